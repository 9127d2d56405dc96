"""The hyper-parameters of a fairseq training, flat, as a record keeps them."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from fairseq.optim import OPTIMIZER_REGISTRY
from fairseq.optim.lr_scheduler import LR_SCHEDULER_REGISTRY
from omegaconf import DictConfig, OmegaConf

from shared.errors import UserError

# What must agree between two models that are compared: whole groups of fairseq's configuration, less what only names
# places. alpha, temperature and the teacher are not among them: they are what is studied.
_GROUPS = ("optimization", "optimizer", "lr_scheduler", "model")
_REGISTRIES = {"optimizer": OPTIMIZER_REGISTRY, "lr_scheduler": LR_SCHEDULER_REGISTRY, "model": ARCH_MODEL_REGISTRY}
_DATASET = ("max_tokens", "batch_size", "required_batch_size_multiple")
_COMMON = ("fp16", "bf16")
# Left out where they are as usual: records of before these were looked at agree with new ones.
_USUAL = {
    "distributed_training.distributed_world_size": 1,
    "common.amp": False,
    "criterion.ignore_prefix_size": 0,
    "dataset.train_subset": "train",
    "checkpoint.finetune_from_model": None,
    "checkpoint.continue_once": None,
    "checkpoint.restore_file": "checkpoint_last.pt",
}


def recipe(config: DictConfig) -> dict[str, Any]:
    """Flat hyper-parameters, e.g. `lr_scheduler.warmup_updates` or `model.encoder.layers`.

    The number of processes, of whose batches each update is made, is named where it is not 1; see `_USUAL`. Of another
    checkpoint that the training started from, the file's name is.
    """
    found = {f"dataset.{key}": config.dataset.get(key) for key in _DATASET}
    found |= {f"common.{key}": config.common.get(key) for key in _COMMON}
    for group in _GROUPS:
        settings = config.get(group) or {}
        if isinstance(settings, Namespace):
            settings = _own_settings(settings, group)
        if isinstance(settings, DictConfig):
            settings = OmegaConf.to_container(settings, enum_to_str=True)
        found |= dict(_flat(settings, group))
    return found | dict(_unusual(config))


def _unusual(config: DictConfig) -> Iterator[tuple[str, Any]]:
    for name, usual in _USUAL.items():
        group, _, key = name.partition(".")
        value = getattr(config.get(group), key, None)
        if value not in (None, usual):
            yield name, Path(value).name if group == "checkpoint" else value


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
