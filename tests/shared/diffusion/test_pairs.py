"""Which two students may be compared."""

import dataclasses
from types import ModuleType
from typing import Any

import pytest

from shared.diffusion.pairs import Student, check_pair
from shared.errors import UserError


def pair(sample: ModuleType, **changes: Any) -> tuple[Student, Student]:
    of = sample.teacher(0.1)
    low, high = sample.student(of, 1.0), sample.student(of, 3.0)
    return Student("low", low, of, {"file": "last"}), Student(
        "high", dataclasses.replace(high, **changes), of, {"file": "last"}
    )


def test_students_that_differ_in_temperature_alone_may_be_compared(sample: ModuleType) -> None:
    check_pair(*pair(sample))


def test_a_teacher_whose_recipe_a_later_version_tells_otherwise_is_the_same(sample: ModuleType) -> None:
    low, high = pair(sample)
    later = dataclasses.replace(sample.teacher(0.1), recipe={"told": "otherwise"})
    check_pair(low, dataclasses.replace(high, teacher=later))


def test_a_temperature_that_does_not_rise_is_refused(sample: ModuleType) -> None:
    low, high = pair(sample)
    with pytest.raises(UserError, match="high has T = 3 and low T = 1"):
        check_pair(high, low)
    with pytest.raises(UserError, match="must rise from low to high"):
        check_pair(low, low)


def test_teachers_and_students_of_others_are_refused(sample: ModuleType) -> None:
    low, high = pair(sample)
    with pytest.raises(UserError, match="high has no teacher; eta compares two students"):
        check_pair(low, dataclasses.replace(high, teacher=None))
    with pytest.raises(UserError, match="high has no temperature; eta compares two students"):
        check_pair(low, dataclasses.replace(high, model=dataclasses.replace(high.model, temperature=None)))
    with pytest.raises(UserError, match="low and high have different teachers"):
        check_pair(low, dataclasses.replace(high, teacher=sample.teacher(0.1, seed=2)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2}, r"differ in seed too \(1; 2\), not in T alone"),
        ({"kd_weight": 0.9}, r"kd_weight too \(1.0; 0.9\)"),
        ({"arch": "mlp"}, r"arch too \(cnn; mlp\)"),
        ({"alpha": 0.1}, r"alpha too \(None; 0.1\)"),
        ({"recipe": {"epochs": 4, "lr": 0.5}}, r"lr too \(0.05; 0.5\)"),
        ({"recipe": {"epochs": 4}}, r"lr too \(0.05; None\)"),
        ({"loss": "dist"}, r"loss too \(None; dist\)"),
        ({"distill": {"beta": 0.5}}, r"beta too \(None; 0.5\)"),
    ],
)
def test_any_other_difference_is_named(sample: ModuleType, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_pair(*pair(sample, **changes))


def test_what_the_caller_adds_must_agree_too(sample: ModuleType) -> None:
    low, high = pair(sample)
    with pytest.raises(UserError, match=r"file too \(last; best\)"):
        check_pair(low, dataclasses.replace(high, further={"file": "best"}))
