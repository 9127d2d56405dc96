"""Holm's adjustment by hand and by its step-down definition."""

import numpy as np
import pytest

from shared.stats import holm


def test_by_hand() -> None:
    """Sorted .005 * 4, .01 * 3, .03 * 2, .04 * 1 = .02, .03, .06, .04, and the last may not be below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_capped_at_1_and_ties_alike() -> None:
    assert holm([0.9, 0.4, 0.4]) == pytest.approx([1.0, 1.0, 1.0])
    assert holm([0.02, 0.02]) == pytest.approx([0.04, 0.04])
    assert holm([0.3]) == [0.3]
    assert holm([]) == []


def test_equals_the_step_down_procedure() -> None:
    """Rejected at a level: from the smallest on, while p_(i) <= level / (m - i + 1)."""
    rng = np.random.default_rng(0)
    for level in rng.uniform(0.01, 0.5, 200):
        p_values = rng.uniform(0.0, 0.3, 6)
        rejected: set[int] = set()
        for left, i in zip(range(6, 0, -1), np.argsort(p_values), strict=True):
            if p_values[i] > level / left:
                break
            rejected.add(int(i))
        assert {i for i, p in enumerate(holm(p_values.tolist())) if p <= level} == rejected


@pytest.mark.parametrize("p_values", [[0.5, 1.1], [-0.1], [float("nan")]])
def test_what_is_no_p_value_is_refused(p_values: list[float]) -> None:
    with pytest.raises(ValueError, match="p values"):
        holm(p_values)
