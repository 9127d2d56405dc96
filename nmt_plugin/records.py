"""What a fairseq checkpoint says of itself, in the terms of `result.json`."""

import hashlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from fairseq.optim import OPTIMIZER_REGISTRY
from fairseq.optim.lr_scheduler import LR_SCHEDULER_REGISTRY
from omegaconf import DictConfig, OmegaConf

from nmt_plugin.checkpoints import check_dictionaries, checkpoint_config, checkpoint_paths, read_checkpoint
from nmt_plugin.fast_path import is_copy
from nmt_plugin.teachers.store import Manifest, read_manifest
from shared.errors import UserError
from shared.files import sha256
from shared.results import Model

# What must agree between two models that are compared: whole groups of fairseq's configuration, less what only names
# places. alpha, temperature and the teacher are not among them: they are what is studied.
_GROUPS = ("optimization", "optimizer", "lr_scheduler", "model")
_REGISTRIES = {"optimizer": OPTIMIZER_REGISTRY, "lr_scheduler": LR_SCHEDULER_REGISTRY, "model": ARCH_MODEL_REGISTRY}
_DATASET = ("max_tokens", "batch_size", "required_batch_size_multiple")
_COMMON = ("fp16", "bf16")


class TrainedModel:
    """A fairseq checkpoint, read once. Raises UserError for what is not one.

    `teacher` says where a student's teacher (checkpoints or cache) is now, if not where the training found it.
    """

    def __init__(self, path: Path, teacher: str | None = None) -> None:
        self.path = path
        self._state = read_checkpoint(str(path))
        self._config = checkpoint_config(self._state)
        if teacher is not None:
            criterion = self._config.criterion
            if criterion._name != "word_kd":
                raise UserError(f"{path} was trained on hard labels and has no teacher; leave --teacher out")
            criterion["teacher_cache" if criterion.get("teacher_cache") else "teacher"] = teacher

    @property
    def num_updates(self) -> int | None:
        """Optimizer updates that the model has seen; None where the checkpoint does not say."""
        history = self._state.get("optimizer_history") or [{}]  # older fairseq's has none
        updates = history[-1].get("num_updates", self._extra.get("num_updates"))
        return None if updates is None else int(updates)

    @property
    def training_seconds(self) -> float:
        """Wall time of the training so far, over all restarts, as fairseq recorded it."""
        return float(self._extra.get("previous_training_time") or 0.0)

    @property
    def _extra(self) -> dict[str, Any]:
        return self._state.get("extra_state") or {}

    def card(self) -> Model:
        """The model in the terms of `result.json`."""
        criterion = self._config.criterion
        distilled = criterion._name == "word_kd"
        try:
            recipe = _recipe(self._config)
        except UserError as error:  # the cache that it was distilled from is not there
            raise self._unknown_teacher(error) from None
        return Model(
            role="student" if distilled else "teacher",
            arch=self._config.model._name,
            parameters=_count_parameters(self._state["model"]),
            sha256=sha256(self.path),
            seed=self._config.common.seed,
            alpha=_alpha(criterion, self._state["model"]),
            temperature=criterion.temperature if distilled else None,
            kd_weight=criterion.kd_weight if distilled else None,
            recipe=recipe,
        )

    def teacher(self) -> Model | None:
        """Card of the teacher that the model was distilled from; None for a model trained on hard labels.

        Raises UserError where the teacher's checkpoint or cache is not where it was.
        """
        criterion = self._config.criterion
        if criterion._name != "word_kd":
            return None
        try:
            if criterion.get("teacher_cache"):
                return _manifest(criterion).teacher
            return teacher_card(criterion.teacher)
        except UserError as error:
            raise self._unknown_teacher(error) from None

    def _unknown_teacher(self, error: UserError) -> UserError:
        return UserError(
            f"the record of {self.path} cannot name its teacher: {error} (evaluate's --teacher says where it is now)"
        )

    def check_dictionaries(self, data_bin: Path, source: str, target: str) -> None:
        """Raise UserError unless the data folder's dictionaries are the model's.

        Its output has one row for each target entry, and where its own dictionaries are found, they agree.
        """
        for path in (data_bin / f"dict.{source}.txt", data_bin / f"dict.{target}.txt"):
            if not path.is_file():
                raise UserError(f"{path}: no such dictionary; build the corpus again with --fresh")
        entries, rows = len(Dictionary.load(str(path))), _output_rows(self._state["model"])
        if entries != rows:
            raise UserError(
                f"{self.path} was trained with {rows} dictionary entries, but {path} has {entries}; "
                "evaluate it on the corpus that it was trained on"
            )
        check_dictionaries(self.path, self._config, data_bin, (source, target))


def teacher_card(checkpoints: str) -> Model:
    """Card of a teacher, one checkpoint or several separated by colons (an ensemble has the members' common facts)."""
    cards = [TrainedModel(Path(path)).card() for path in checkpoint_paths(checkpoints)]
    first = cards[0]
    if len(cards) == 1:
        return first
    alphas = {card.alpha for card in cards}
    shared = {key: value for key, value in first.recipe.items() if all(c.recipe.get(key) == value for c in cards)}
    return Model(
        role="teacher",
        arch=" + ".join(card.arch for card in cards),
        parameters=sum(card.parameters for card in cards),
        sha256=hashlib.sha256("".join(card.sha256 for card in cards).encode()).hexdigest(),
        seed=first.seed,
        alpha=first.alpha if len(alphas) == 1 else None,
        recipe=shared | {"ensemble": [card.sha256 for card in cards]},
    )


def _manifest(criterion: DictConfig) -> Manifest:
    return read_manifest(Path(criterion.teacher_cache) / "train")


def _distillation(criterion: DictConfig) -> dict[str, Any]:
    """How a student was distilled, besides T and the weight; what older checkpoints do not say was the default."""
    if criterion._name != "word_kd":
        return {}
    recipe: dict[str, Any] = {"criterion.kd_loss": str(criterion.get("kd_loss") or "kl")}
    if criterion.get("teacher_cache"):
        manifest = _manifest(criterion)
        recipe |= {"criterion.topk": manifest.k, "criterion.topk_policy": str(criterion.topk_policy)}
    return recipe


def _alpha(criterion: DictConfig, weights: dict[str, Any]) -> float | None:
    """Label smoothing in the paper's convention (alpha / K on every entry), whichever criterion trained the model."""
    if criterion._name == "word_kd":
        return criterion.label_smoothing if criterion.kd_weight < 1.0 else None
    if criterion._name == "smoothed_cross_entropy":
        return criterion.label_smoothing
    if criterion._name == "cross_entropy":
        return 0.0
    if criterion._name == "label_smoothed_cross_entropy":
        classes = _output_rows(weights)
        return criterion.label_smoothing * classes / (classes - 1)
    raise UserError(f"trained with the criterion {criterion._name!r}, whose label smoothing is not known here")


def _output_rows(weights: dict[str, Any]) -> int:
    """Number of target classes K: rows of the output layer, or of the embedding that it is tied to."""
    for name in ("decoder.output_projection.weight", "decoder.embed_tokens.weight"):
        if name in weights:
            return int(weights[name].shape[0])
    raise UserError("the checkpoint has no output layer by fairseq's names, so its number of classes is not known")


def _recipe(config: DictConfig) -> dict[str, Any]:
    """Flat hyper-parameters, e.g. `lr_scheduler.warmup_updates` or `model.encoder.layers`."""
    recipe = {f"dataset.{key}": config.dataset.get(key) for key in _DATASET}
    recipe |= {f"common.{key}": config.common.get(key) for key in _COMMON}
    for group in _GROUPS:
        settings = config.get(group) or {}
        if isinstance(settings, Namespace):
            settings = _own_settings(settings, group)
        if isinstance(settings, DictConfig):
            settings = OmegaConf.to_container(settings, enum_to_str=True)
        recipe |= dict(_flat(settings, group))
    return recipe | _distillation(config.criterion)


def _own_settings(options: Namespace, group: str) -> Any:
    """What belongs to one part among the options of a whole command line, with which fairseq keeps some parts.

    A Transformer is given in fairseq's structure for it, where it equals one named in YAML.
    """
    kind = _REGISTRIES[group].get(options._name)
    if kind is None:
        raise UserError(f"fairseq knows no {group} {options._name!r}; it needs the plugin that defines it")
    if issubclass(kind, TransformerModelBase):
        return OmegaConf.structured(TransformerConfig.from_namespace(options))
    parser = ArgumentParser(add_help=False, conflict_handler="resolve")
    kind.add_args(parser)
    own = [action.dest for action in parser._actions if action.dest in options]
    return {"_name": options._name, **{name: vars(options)[name] for name in own}}


def _flat(settings: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(settings, dict):
        for key, value in settings.items():
            if not key.endswith("path") and key not in ("_name", "_parent"):
                yield from _flat(value, f"{prefix}.{key}")
            elif key == "_name" and prefix != "model":
                yield prefix, value
    else:
        yield prefix, settings


def _count_parameters(weights: dict[str, Any]) -> int:
    """Tied weights count once; fairseq's version and position buffers, and fairseq 0.12.2's copies, do not count.

    Checkpoints of GPU and half-precision training hold tied weights as equal copies, so ties are known by content.
    """
    total = 0
    tables: list[torch.Tensor] = []
    for name, weight in weights.items():
        if name.endswith(("version", "_float_tensor")) or is_copy(name):
            continue
        if name.endswith(("embed_tokens.weight", "output_projection.weight")):
            if any(table.shape == weight.shape and torch.equal(table, weight) for table in tables):
                continue
            tables.append(weight)
        total += weight.numel()
    return total
