"""Which teacher a student has, kept in the student's own checkpoints: files may move, or be written anew."""

import dataclasses
from pathlib import Path
from typing import Any

from fairseq import utils

from nmt_plugin.checkpoints import task_settings
from nmt_plugin.corpora.card import read_card
from shared.decoding import check_plain, decode
from shared.errors import UserError
from shared.results import Model

_KEY = "word_kd"  # in the task's state, which fairseq saves with every checkpoint


@dataclasses.dataclass(frozen=True)
class Identity:
    """Card of the teacher; `topk` is what its cache keeps of each distribution, None for a live teacher.

    `targets` says whose translations the training targets are, None where they are references or nothing is known.
    """

    teacher: Model
    topk: int | None = None
    targets: str | None = None


def remember(task: Any, identity: Identity) -> None:
    """Have every checkpoint of a training on `task` say who its teacher is, and what its targets are."""
    identity = dataclasses.replace(identity, targets=_translations(task, identity.teacher))
    task.state.merge_state_dict({_KEY: dataclasses.asdict(identity)})


def recall(state: dict[str, Any]) -> Identity | None:
    """The teacher that the checkpoint `state` names, None where it names none. Raises UserError for nonsense."""
    kept = state.get("task_state")
    if not isinstance(kept, dict) or _KEY not in kept:
        return None
    check_plain(kept[_KEY], f"task_state.{_KEY}")
    identity: Identity = decode(Identity, kept[_KEY], f"task_state.{_KEY}")
    return identity


def _translations(task: Any, teacher: Model) -> str | None:
    """What the card of a corpus that `nmt_plugin.sequence_kd` made says of its targets; None for other data.

    Not a digest of them: each teacher's are others, and students of different teachers are to be compared.
    """
    folders = [Path(path).resolve() for path in utils.split_paths(str(getattr(task_settings(task), "data", None)))]
    if len(folders) != 1 or folders[0].name != "data-bin":
        return None
    try:
        request = read_card(folders[0].parent)["request"]
    except UserError:
        return None
    if request.get("corpus") != "sequence-kd":
        return None
    translator = str(request.get("teacher_sha256"))
    who = "the teacher" if translator == teacher.sha256 else translator[:12]
    search = ", ".join(f"{name} {request.get(name)}" for name in ("beam", "lenpen", "max_len"))
    return f"translations by {who}, {search}"
