"""The mean of a run's last checkpoints: one model from several points of one training."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq import utils

from nmt_plugin.checkpoints import checkpoint_config, read_checkpoint
from nmt_plugin.records import TrainedModel
from shared.errors import UserError
from shared.files import atomic_path, sha256

# How fairseq-train names what it keeps: checkpoint7.pt after epoch 7, checkpoint_2_2500.pt at update 2500 of epoch 2.
_EPOCH = re.compile(r"checkpoint(\d+)\.pt")
_UPDATE = re.compile(r"checkpoint_\d+_(\d+)\.pt")


def average_checkpoints(paths: Sequence[Path], output: Path) -> None:
    """Write to `output` the element-wise mean of the checkpoints' weights; everything else is the first one's.

    Sums are in float64 and cast back to the weights' own type. The result has no optimizer state (it is no point of a
    training) and names its sources under `averaged`. Equal input gives equal bytes. Raises UserError where the
    checkpoints are not of one model.
    """
    states = [read_checkpoint(str(path)) for path in paths]
    for path, state in zip(paths[1:], states[1:], strict=True):
        _check_same_model(paths[0], states[0], path, state)
    kept = {key: value for key, value in states[0].items() if key not in ("model", "last_optimizer_state")}
    weights = {name: _mean([state["model"][name] for state in states]) for name in states[0]["model"]}
    averaged = {path.name: sha256(path) for path in paths}
    with atomic_path(output) as beside, beside.open("wb") as file:  # by its name, torch would store that name too
        torch.save({**kept, "model": weights, "averaged": averaged}, file)


def latest_checkpoints(folder: Path, count: int) -> list[Path]:
    """The last `count` epoch checkpoints of a save dir, newest first; update checkpoints where it has no such number.

    Raises UserError, with what was found, where there are too few of either.
    """
    names = sorted(path.name for path in folder.glob("checkpoint*.pt"))
    for pattern in (_EPOCH, _UPDATE):
        found = {int(match[1]): match[0] for name in names if (match := pattern.fullmatch(name))}
        if len(found) >= count:
            return [folder / found[step] for step in sorted(found, reverse=True)[:count]]
    raise UserError(
        f"{folder} has fewer than {count} checkpoints of epochs (checkpoint7.pt) or of updates (checkpoint_2_2500.pt); "
        f"found: {', '.join(names) or 'none'}; train without --no-epoch-checkpoints, or average fewer"
    )


def _mean(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean of tensors of one shape; counters (integers) have none and are the first tensor's."""
    first = weights[0]
    if not first.is_floating_point():
        return first.clone()
    total = torch.zeros(first.shape, dtype=torch.float64)
    for weight in weights:
        total += weight
    return (total / len(weights)).to(first.dtype)


def _check_same_model(path: Path, state: dict[str, Any], other_path: Path, other: dict[str, Any]) -> None:
    """Raise UserError that says in what the two differ."""
    for what, describe in (("weights", _shapes), ("dictionaries", _dictionaries)):
        if describe(state) != describe(other):
            raise UserError(f"{other_path} and {path} differ in their {what}; only one model's can be averaged")
    if _architecture(path) != _architecture(other_path):
        raise UserError(f"{other_path} and {path} differ in their architecture; only one model's can be averaged")


def _shapes(state: dict[str, Any]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (weight.shape, weight.dtype) for name, weight in state["model"].items()}


def _dictionaries(state: dict[str, Any]) -> object:
    """Names and digests of the dictionaries; where the data folder is gone, its name."""
    data = checkpoint_config(state).task.data
    folder = Path(utils.split_paths(data)[0])
    return sorted((path.name, sha256(path)) for path in folder.glob("dict.*txt")) or data


def _architecture(path: Path) -> tuple[str, dict[str, Any]]:
    """Its name and settings: the number of heads, for one, shows in no weight's shape."""
    card = TrainedModel(path).card()
    return card.arch, {key: value for key, value in card.recipe.items() if key.startswith("model.")}
