"""Whether the checkpoint that fairseq-train goes on from is of the training that it is asked for."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt_plugin.checkpoints import checkpoint_config, read_checkpoint
from nmt_plugin.criterions.word_kd import WordKDConfig
from nmt_plugin.teachers.identity import Identity, recall
from shared.errors import UserError

# Where the teacher is and in which form it is run; which one it is, its checksum says.
_FREE = ("_name", "teacher", "teacher_cache", "teacher_dtype", "fused_head")
_CRITERION = [field.name for field in dataclasses.fields(WordKDConfig) if field.name not in _FREE]


def check_same_training(cfg: Any, trainer: Any) -> None:
    """Raise UserError where the --save-dir's last checkpoint, which fairseq goes on from, is of another training.

    `cfg` is fairseq's of checkpoints. What is compared: the names of criterion, model and optimizer, the criterion's
    settings that both have, the seed and the teacher. fairseq itself compares the criterion's and the optimizer's
    classes, and a record would tell the new temperature for weights that were trained at the old one.
    """
    path = Path(cfg.save_dir) / f"checkpoint_last{trainer.checkpoint_suffix or ''}.pt"
    if cfg.restore_file != "checkpoint_last.pt" or cfg.reset_optimizer or not path.is_file():
        return
    try:
        state = read_checkpoint(str(path))
        there = checkpoint_config(state)
        taught, teaches = recall(state), recall({"task_state": trainer.task.state_dict()})
    except UserError:  # fairseq may be told to read it all the same, or says why it cannot
        return
    classes = len(trainer.task.target_dictionary)
    differing = [
        f"{name}: {theirs} there, {ours} here"
        for name, theirs, ours in (*_settings(there, trainer.cfg), *_teachers(taught, teaches, classes))
        if None not in (theirs, ours) and theirs != ours
    ]
    if differing:
        raise UserError(
            f"--save-dir {cfg.save_dir} holds another training ({'; '.join(differing[:3])}); name another one"
        )


def _settings(there: Any, here: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, the checkpoint's value and this call's; None where one has none."""
    for group in ("criterion", "model", "optimizer"):
        yield group, _value(there, group, "_name"), _value(here, group, "_name")
    for name in _CRITERION:
        yield f"criterion.{name}", _value(there, "criterion", name), _value(here, "criterion", name)
    yield "common.seed", _value(there, "common", "seed"), _value(here, "common", "seed")


def _teachers(there: Identity | None, here: Identity | None, classes: int) -> Iterator[tuple[str, Any, Any]]:
    if there is not None and here is not None:
        yield "the teacher's sha256", there.teacher.sha256[:12], here.teacher.sha256[:12]
        yield "of the teacher's classes", _kept(there, classes), _kept(here, classes)


def _kept(identity: Identity, classes: int) -> str:
    """A cache of every class may take the live teacher's place."""
    return "all" if (identity.topk or classes) == classes else f"the top {identity.topk}"


def _value(config: Any, group: str, name: str) -> Any:
    return getattr(getattr(config, group, None), name, None)
