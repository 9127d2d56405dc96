"""What a fairseq checkpoint says of itself, in the terms of `result.json`."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from fairseq.data import Dictionary
from omegaconf import DictConfig

from nmt_plugin.checkpoints import (
    check_dictionaries,
    check_languages,
    checkpoint_config,
    checkpoint_paths,
    read_checkpoint,
)
from nmt_plugin.fast_path import is_copy
from nmt_plugin.recipe import recipe
from nmt_plugin.teachers.identity import Identity, recall
from shared.errors import UserError
from shared.files import sha256
from shared.results import Model


class TrainedModel:
    """A fairseq checkpoint, read once. Raises UserError for what is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = read_checkpoint(str(path))
        self._config = checkpoint_config(self._state)

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
        """The model in the terms of `result.json`.

        A student at weight 0, as one of a teacher's translations is, never asks its teacher: no temperature, no loss.
        """
        criterion = self._config.criterion
        identity = self._identity()
        distilled = identity is not None and criterion.kd_weight > 0.0
        return Model(
            role="teacher" if identity is None else "student",
            arch=self._config.model._name,
            parameters=_count_parameters(self._state["model"]),
            sha256=sha256(self.path),
            seed=self._config.common.seed,
            alpha=self._alpha(criterion),
            temperature=criterion.temperature if distilled else None,
            kd_weight=None if identity is None else criterion.kd_weight,
            recipe=recipe(self._config) | ({} if identity is None else _taught(criterion, identity)),
            loss=_loss(criterion) if distilled else None,
            distill=_weights(criterion) if distilled else {},
        )

    def teacher(self) -> Model | None:
        """Card of the teacher that the model was distilled from, as it was then; None for a model of hard labels."""
        identity = self._identity()
        return None if identity is None else identity.teacher

    def _alpha(self, criterion: DictConfig) -> float | None:
        """Label smoothing in the paper's convention (alpha / K on every entry), whichever criterion trained the model.

        Raises UserError for one that has another loss.
        """
        if criterion._name == "word_kd":
            return criterion.label_smoothing if criterion.kd_weight < 1.0 else None
        if criterion._name == "smoothed_cross_entropy":
            return criterion.label_smoothing
        if criterion._name == "cross_entropy":
            return 0.0
        if criterion._name == "label_smoothed_cross_entropy":
            classes = _output_rows(self._state["model"])
            return criterion.label_smoothing * classes / (classes - 1)
        raise UserError(
            f"{self.path} was trained with the criterion {criterion._name!r}, whose label smoothing is not known here"
        )

    def _identity(self) -> Identity | None:
        """None for a model of hard labels. Raises UserError for a student that does not say who its teacher was."""
        if self._config.criterion._name != "word_kd":
            return None
        try:
            identity = recall(self._state)
        except UserError as error:
            raise UserError(f"{self.path}: what it says of its teacher is damaged ({error})") from None
        if identity is None:
            raise UserError(f"{self.path} does not say who its teacher was, so it cannot be recorded; train it again")
        return identity

    def check_dictionaries(self, data_bin: Path, source: str, target: str) -> None:
        """Raise UserError unless the data folder's dictionaries are the model's, and so is the direction.

        Its output has one row for each target entry, and where its own dictionaries are found, they agree.
        """
        check_languages(self.path, self._config, source, target)
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


def _taught(criterion: DictConfig, identity: Identity) -> dict[str, Any]:
    """What a cache kept of the teacher, where the student asked it, and whose translations the student's targets are.

    Nothing of a live teacher and of references, as records of before either was looked at have nothing.
    """
    found: dict[str, Any] = {}
    if identity.topk is not None and criterion.kd_weight > 0.0:
        found |= {"criterion.topk": identity.topk, "criterion.topk_policy": str(criterion.topk_policy)}
    return found if identity.targets is None else found | {"data.targets": identity.targets}


def _loss(criterion: DictConfig) -> str:
    return "dist" if criterion.get("kd_loss") == "dist" else "kd"


def _weights(criterion: DictConfig) -> dict[str, float]:
    """Of DIST's terms; students of before there was a choice had 1."""
    if _loss(criterion) != "dist":
        return {}
    return {name: float(criterion.get(f"dist_{name}", 1.0)) for name in ("beta", "gamma")}


def _output_rows(weights: dict[str, Any]) -> int:
    """Number of target classes K: rows of the output layer, or of the embedding that it is tied to."""
    for name in ("decoder.output_projection.weight", "decoder.embed_tokens.weight"):
        if name in weights:
            return int(weights[name].shape[0])
    raise UserError("the checkpoint has no output layer by fairseq's names, so its number of classes is not known")


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
