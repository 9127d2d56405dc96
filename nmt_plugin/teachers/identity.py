"""Which teacher a student has, kept in the student's own checkpoints: files may move, or be written anew."""

import dataclasses
from typing import Any

from shared.decoding import check_plain, decode
from shared.results import Model

_KEY = "word_kd"  # in the task's state, which fairseq saves with every checkpoint


@dataclasses.dataclass(frozen=True)
class Identity:
    """Card of the teacher; `topk` is what its cache keeps of each distribution, None for a live teacher."""

    teacher: Model
    topk: int | None = None


def remember(task: Any, identity: Identity) -> None:
    """Have every checkpoint of a training on `task` say who its teacher is."""
    task.state.merge_state_dict({_KEY: dataclasses.asdict(identity)})


def recall(state: dict[str, Any]) -> Identity | None:
    """The teacher that the checkpoint `state` names, None where it names none. Raises UserError for nonsense."""
    kept = state.get("task_state")
    if not isinstance(kept, dict) or _KEY not in kept:
        return None
    check_plain(kept[_KEY], f"task_state.{_KEY}")
    identity: Identity = decode(Identity, kept[_KEY], f"task_state.{_KEY}")
    return identity
