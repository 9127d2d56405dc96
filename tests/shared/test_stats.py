"""Student's t against printed tables and a hand-worked interval."""

import math

import pytest

from shared.stats import mean_interval, t_quantile


@pytest.mark.parametrize(
    ("probability", "degrees", "printed"),
    [
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 4, 2.776),
        (0.975, 9, 2.262),
        (0.975, 30, 2.042),
        (0.95, 3, 2.353),
        (0.995, 5, 4.032),
        (0.5, 7, 0.0),
    ],
)
def test_quantiles_of_the_printed_table(probability: float, degrees: int, printed: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(printed, abs=5e-4)


def test_many_degrees_are_normal() -> None:
    assert t_quantile(0.975, 10**6) == pytest.approx(1.959964, abs=1e-4)


def test_interval_by_hand() -> None:
    """1, 2, 3: mean 2, s = 1, t(2) = 4.302653, half-width 4.302653 / sqrt(3)."""
    interval = mean_interval([1.0, 2.0, 3.0])
    assert (interval.mean, interval.n) == (2.0, 3)
    assert interval.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


@pytest.mark.parametrize("size", [1e300, 1.7e308])
def test_what_overflows_where_it_is_squared_or_added(size: float) -> None:
    """As 1, 2, 3 and as 1, 1, 1, in another unit; -1, 1 of the largest has a half-width that is no float."""
    interval = mean_interval([size / 3, size / 1.5, size])
    assert interval.mean == pytest.approx(size / 1.5)
    assert interval.half_width == pytest.approx(size / 3 * (4.302653 / math.sqrt(3)), rel=1e-6)
    same = mean_interval([size, size, size])
    assert (same.mean, same.half_width) == (size, 0.0)
    opposite = mean_interval([-size, size])
    assert opposite.mean == 0.0
    assert opposite.half_width == pytest.approx(12.706205 * size)


def test_many_of_the_largest_do_not_overflow_in_their_sum_of_squares() -> None:
    """50 times -1, 1 in another unit: s = sqrt(100 / 99), so the standard error is 1 / sqrt(99); t(99) = 1.984217."""
    interval = mean_interval([1.7e308, -1.7e308] * 50)
    assert (interval.mean, interval.half_width) == (0.0, pytest.approx(1.984217 / math.sqrt(99) * 1.7e308, rel=1e-6))


def test_one_value_has_no_interval() -> None:
    assert mean_interval([5.0]).half_width is None


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])
    with pytest.raises(ValueError, match="degrees"):
        t_quantile(0.975, 0)
