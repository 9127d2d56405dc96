"""Two students whose diffusion may be measured: one teacher, one recipe, and a temperature that rises."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from shared.errors import UserError
from shared.results import Model


@dataclass(frozen=True)
class Student:
    """A model to compare: where it is (for messages), its card, its teacher's, and what else must agree by name."""

    path: str
    model: Model
    teacher: Model | None
    further: dict[str, Any] = field(default_factory=dict)


def _file_of(student: Student) -> Model | None:
    """Its teacher, without the recipe, which is told as the version that wrote it knew it."""
    return None if student.teacher is None else dataclasses.replace(student.teacher, recipe={})


def check_pair(low: Student, high: Student) -> None:
    """Raise UserError unless the two are students of one teacher that differ in temperature, low first, and no more."""
    for student in (low, high):
        if student.teacher is None or student.model.temperature is None:
            lacking = "has no teacher" if student.teacher is None else "has no temperature"
            what = "is a teacher" if student.model.role == "teacher" else lacking
            raise UserError(f"{student.path} {what}; eta compares two students of one teacher")
    if _file_of(low) != _file_of(high):
        raise UserError(f"{low.path} and {high.path} have different teachers; eta compares students of the same one")
    if not (low.model.temperature or 0) < (high.model.temperature or 0):
        raise UserError(
            f"the temperature must rise from low to high, but {low.path} has T = {low.model.temperature:g} "
            f"and {high.path} T = {high.model.temperature:g}"
        )
    mine, theirs = _must_agree(low), _must_agree(high)
    for what in sorted(mine.keys() | theirs.keys()):
        if mine.get(what) != theirs.get(what):
            values = f"{mine.get(what)}; {theirs.get(what)}"
            raise UserError(f"{low.path} and {high.path} differ in {what} too ({values}), not in T alone")


def _must_agree(student: Student) -> dict[str, Any]:
    own = {what: getattr(student.model, what) for what in ("arch", "seed", "kd_weight", "alpha", "loss")}
    return own | student.further | student.model.distill | student.model.recipe
