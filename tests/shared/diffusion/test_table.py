"""The table of eta that both halves of the project print."""

import pytest

from shared.diffusion.table import table_in_percent
from shared.results import Eta


def row(split: str, target: str, set_name: str, value: float) -> Eta:
    return Eta(split, target, set_name, ["member"], value, "target_mean", "nearest centroids")


def test_table_worked_by_hand() -> None:
    """Ratios in, percent out; splits, sets and targets in the order of the record, as wide as the longest name."""
    eta = [
        row("train", "beaver", "S1", -0.01234),
        row("train", "beaver", "S2", 0.5),
        row("train", "aquarium fish", "S1", 0.0),
        row("train", "aquarium fish", "S2", 12.0),
        row("val", "beaver", "S1", -0.00004),
        row("val", "beaver", "S2", 0.25),
        row("val", "aquarium fish", "S1", 1.0),
        row("val", "aquarium fish", "S2", -1.0),
    ]
    assert list(table_in_percent(eta)) == [
        "eta in percent, normalization target_mean; sets: nearest centroids",
        "target             train S1    train S2      val S1      val S2",
        "beaver                -1.23       50.00       -0.00       25.00",
        "aquarium fish          0.00     1200.00      100.00     -100.00",
    ]


def test_columns_are_those_of_the_record_and_short_names_leave_room_for_the_heading() -> None:
    _, *lines = table_in_percent([row("valid", "a", "S1", 0.5)])
    assert lines == ["target      valid S1", "a              50.00"]


def test_a_target_that_lacks_a_column_is_no_silent_gap() -> None:
    with pytest.raises(KeyError):
        list(table_in_percent([row("train", "a", "S1", 0.5), row("train", "b", "S2", 0.5)]))
