"""What a fairseq checkpoint says of itself, in the terms of `result.json`."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from nmt_plugin.checkpoints import checkpoint_config, read_checkpoint
from shared.errors import UserError
from shared.files import sha256
from shared.results import Model

# What must agree between two models that are compared; alpha, temperature and the teacher are what is studied.
_RECIPE: dict[str, tuple[str, ...]] = {
    "optimization": ("max_epoch", "max_update", "lr", "update_freq", "clip_norm", "sentence_avg"),
    "optimizer": ("_name", "adam_betas", "adam_eps", "weight_decay"),
    "lr_scheduler": ("_name", "warmup_updates", "warmup_init_lr"),
    "dataset": ("max_tokens", "batch_size"),
    "common": ("fp16", "bf16"),
    "model": (
        *("encoder_layers", "decoder_layers", "encoder_embed_dim", "decoder_embed_dim", "encoder_ffn_embed_dim"),
        *("decoder_ffn_embed_dim", "encoder_attention_heads", "decoder_attention_heads", "dropout"),
        *("attention_dropout", "activation_dropout", "share_all_embeddings"),
    ),
}


def model_card(checkpoint: Path) -> Model:
    """Card of a trained fairseq model. Raises UserError for what is not a fairseq checkpoint."""
    state = read_checkpoint(str(checkpoint))
    config = checkpoint_config(state)
    criterion = config.criterion
    distilled = criterion._name == "word_kd"
    return Model(
        role="student" if distilled else "teacher",
        arch=config.model._name,
        parameters=_count_parameters(state["model"]),
        sha256=sha256(checkpoint),
        seed=config.common.seed,
        alpha=_alpha(criterion, state["model"]),
        temperature=criterion.temperature if distilled else None,
        kd_weight=criterion.kd_weight if distilled else None,
        recipe=_recipe(config),
    )


def teacher_path(checkpoint: Path) -> Path | None:
    """The teacher a checkpoint was distilled from; None for a model trained on hard labels."""
    criterion = checkpoint_config(read_checkpoint(str(checkpoint))).criterion
    return Path(criterion.teacher) if criterion._name == "word_kd" else None


def training_seconds(checkpoint: Path) -> float:
    """Wall time of the training so far, over all restarts, as fairseq recorded it."""
    return float(read_checkpoint(str(checkpoint)).get("extra_state", {}).get("previous_training_time", 0.0))


def num_updates(checkpoint: Path) -> int:
    """Optimizer updates that the checkpoint has seen."""
    return int(read_checkpoint(str(checkpoint))["optimizer_history"][-1]["num_updates"])


def _alpha(criterion: DictConfig, weights: dict[str, Any]) -> float | None:
    """Label smoothing in the paper's convention (alpha / K on every entry), whichever criterion trained the model."""
    if criterion._name == "word_kd":
        return criterion.label_smoothing if criterion.kd_weight < 1.0 else None
    if criterion._name == "smoothed_cross_entropy":
        return criterion.label_smoothing
    if criterion._name == "cross_entropy":
        return 0.0
    if criterion._name == "label_smoothed_cross_entropy":
        classes = weights["decoder.embed_tokens.weight"].shape[0]
        return criterion.label_smoothing * classes / (classes - 1)
    raise UserError(f"trained with the criterion {criterion._name!r}, whose label smoothing is not known here")


def _recipe(config: DictConfig) -> dict[str, Any]:
    recipe: dict[str, Any] = {}
    for group, keys in _RECIPE.items():
        settings = config[group]
        # fairseq keeps a model that was named by --arch as a Namespace, one that was named in YAML as a config.
        plain = vars(settings) if isinstance(settings, Namespace) else OmegaConf.to_container(settings)
        assert isinstance(plain, dict)
        recipe |= {f"{group}.{key}": plain[key] for key in keys if key in plain}
    return recipe


def _count_parameters(weights: dict[str, Any]) -> int:
    """Tied weights count once; fairseq's version and position buffers do not count."""
    buffers = ("version", "_float_tensor")
    unique = {(w.data_ptr(), w.shape): w.numel() for name, w in weights.items() if not name.endswith(buffers)}
    return sum(unique.values())
