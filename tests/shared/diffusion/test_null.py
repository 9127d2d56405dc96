"""Oracle: eta of every set, one by one, by `diffusion_index`, which has oracles of its own."""

import itertools
import math

import numpy as np
import pytest
import torch

from shared.diffusion import NORMALIZATIONS, ClassSets, diffusion_index, diffusion_indices, nulls_of
from shared.diffusion.null import _means
from shared.diffusion.rows import eta_rows
from shared.results import Null


def centroids(classes: int, dim: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    low = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    return low, low + 0.3 * torch.randn(classes, dim, generator=generator, dtype=torch.float64)


def null_of(low: torch.Tensor, high: torch.Tensor, target: int, classes: list[int], name: str) -> Null:
    value = diffusion_index(low, high, target, classes)
    [null] = nulls_of(low, high, [target], [classes], [value], [name])
    assert null is not None
    return null


def test_three_other_classes_by_hand() -> None:
    """From the target at 0, not normalized: 1 -> 0.5, 2 -> 2 and 4 -> 6, so that eta is -1/2, 0 and 1/2."""
    low, high = torch.tensor([[0.0], [1.0], [2.0], [4.0]]), torch.tensor([[0.0], [0.5], [2.0], [6.0]])
    first, second = nulls_of(low, high, [0, 0], [[1], [2, 3]], [-0.5, 0.25], ["S1", "S2"])
    assert first is not None
    assert (first.draws, first.exact, first.p_value) == (3, True, 1 / 3)
    assert first.mean == pytest.approx(0, abs=1e-12)
    # The percentiles of -1/2, 0, 1/2, and of the pairs' -1/4, 0, 1/4, run straight between them.
    assert (first.low, first.high) == pytest.approx((-0.475, 0.475), abs=1e-12)
    assert second is not None
    assert (second.draws, second.exact, second.p_value) == (3, True, 1 / 3)
    assert (second.low, second.high) == pytest.approx((-0.2375, 0.2375), abs=1e-12)
    [middle] = nulls_of(low, high, [0], [[2]], [0.0], ["S1"])
    assert middle is not None
    assert middle.p_value == 2 / 3


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("size", [1, 3, 6])
def test_every_set_where_they_are_few(normalization: str, size: int) -> None:
    low, high = centroids(8)
    target, s1 = 2, [5, 1, 7, 0, 3, 4][:size]
    over = [k for k in range(8) if k != target and k != 6]  # what target_mean divides by, for the random sets too
    options = {"normalization": normalization, "normalize_over": over}
    value = diffusion_index(low, high, target, s1, **options)
    all_sets = list(itertools.combinations([k for k in range(8) if k != target], size))
    etas = [diffusion_index(low, high, target, chosen, **options) for chosen in all_sets]
    for name, as_far in (
        ("S1", sum(eta <= value + 1e-12 for eta in etas)),
        ("S2", sum(e >= value - 1e-12 for e in etas)),
    ):
        [null] = nulls_of(low, high, [target], [s1], [value], [name])
        assert null is not None
        assert (null.draws, null.exact) == (math.comb(7, size), True)
        assert null.p_value == as_far / len(etas)
        assert null.mean == pytest.approx(np.mean(etas), rel=1e-9)
        assert (null.low, null.high) == pytest.approx(np.quantile(etas, (0.025, 0.975)), rel=1e-9)


def test_sets_are_drawn_where_they_are_many() -> None:
    low, high = centroids(40, seed=3)
    others = list(range(1, 40))
    changes = diffusion_indices(low, high, [0] * 39, [[k] for k in others]).numpy()
    nearer = [others[k] for k in changes.argsort()]
    null = null_of(low, high, 0, nearer[:5], "S1")
    assert (null.draws, null.exact) == (1000, False)
    assert null.p_value == 1 / 1001  # the most extreme of 575,757 sets: the measured one alone
    assert null_of(low, high, 0, nearer[-5:], "S2").p_value == 1 / 1001
    assert null_of(low, high, 0, nearer[-5:], "S1").p_value == 1.0
    # All sets of 5 have the mean of the classes, and deviate by s / sqrt(5) * sqrt((39 - 5) / (39 - 1)).
    deviation = changes.std() / math.sqrt(5) * math.sqrt(34 / 38)
    assert null.mean == pytest.approx(changes.mean(), abs=4 * deviation / math.sqrt(1000))
    assert null.high - null.low == pytest.approx(2 * 1.96 * deviation, rel=0.15)


def test_a_random_set_is_seldom_special() -> None:
    """p is spread evenly over (0, 1] for sets that are random themselves."""
    low, high = centroids(60, dim=20, seed=5)
    numbers = np.random.default_rng(1)
    chosen = [sorted(numbers.choice(np.arange(1, 60), 6, replace=False).tolist()) for _ in range(400)]
    values = diffusion_indices(low, high, [0] * 400, chosen).tolist()
    found = [null.p_value for null in nulls_of(low, high, [0] * 400, chosen, values, ["S1"] * 400) if null]
    assert np.quantile(found, (0.25, 0.5, 0.75)) == pytest.approx((0.25, 0.5, 0.75), abs=0.08)


@pytest.mark.parametrize("size", [4, 9])
def test_drawn_sets_hold_each_class_equally_often(size: int) -> None:
    """The sum of powers of two tells who is in a set; 715 sets are more than the 500 that are drawn."""
    sums = _means(2.0 ** np.arange(13), size, 500, 0) * size
    members = np.array([[round(total) >> k & 1 for k in range(13)] for total in sums])
    assert (members.sum(axis=1) == size).all()
    share = size / 13
    assert members.mean(axis=0) == pytest.approx(np.full(13, share), abs=4 * math.sqrt(share * (1 - share) / 500))


@pytest.mark.parametrize("size", [1, 4, 9, 13])
def test_every_set_is_taken_once(size: int) -> None:
    sums = _means(2.0 ** np.arange(13), size, 1000, 0) * size
    assert sorted(sums.round()) == sorted(sum(2.0**k for k in one) for one in itertools.combinations(range(13), size))


def test_equal_changes_are_ties_whatever_their_rounding() -> None:
    low, _ = centroids(30, dim=7)
    high = low * 1.1
    for members in ([3, 9, 12], list(range(1, 25))):
        value = diffusion_index(low, high, 0, members, normalization="none")
        for null in nulls_of(low, high, [0, 0], [members] * 2, [value] * 2, ["S1", "S2"]):
            assert null is not None
            assert (null.p_value, null.mean) == (1.0, pytest.approx(0.1))


def test_p_is_the_same_under_every_normalization() -> None:
    low, high = centroids(25)
    sets = [ClassSets(4, [1, 2, 3], [7, 8, 20, 21, 22], "explicit")]
    names = [str(k) for k in range(25)]
    rows = {n: list(eta_rows("val", low, high, sets, names, normalization=n)) for n in NORMALIZATIONS}
    p_values = [[row.null.p_value for row in of if row.null] for of in rows.values()]
    assert p_values[0] == p_values[1] == p_values[2]
    assert len(p_values[0]) == 2
    assert len({row.value for of in rows.values() for row in of}) == 6


def test_classes_without_a_centroid_and_those_upon_the_target_are_no_members() -> None:
    low, high = centroids(9)
    expected = null_of(low[:6], high[:6], 0, [2, 4], "S1")
    low[6], high[7], low[8] = math.nan, math.nan, low[0]
    value = diffusion_index(low, high, 0, [2, 4])
    [null] = nulls_of(low, high, [0], [[2, 4]], [value], ["S1"])
    assert null is not None
    assert (null.draws, null.p_value) == (math.comb(5, 2), expected.p_value)


def test_a_set_that_fell_upon_the_target_has_none() -> None:
    low, high = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [0.0], [2.0]])
    assert list(nulls_of(low, high, [0], [[1]], [-1.0], ["S1"])) == [None]


def test_many_targets_are_the_same_as_each_by_itself() -> None:
    low, high = centroids(300, dim=5)
    targets = [k for k in range(300) for _ in range(2)]
    sets = [[(k + 1) % 300, (k + 9) % 300] if place % 2 else [(k + 2) % 300] for place, k in enumerate(targets)]
    names = ["S1", "S2"] * 300
    values = diffusion_indices(low, high, targets, sets).tolist()
    together = list(nulls_of(low, high, targets, sets, values, names))
    for place in (0, 1, 511, 512, 513, 599):  # 256 targets are looked at together
        [alone] = nulls_of(low, high, [targets[place]], [sets[place]], [values[place]], [names[place]])
        assert together[place] is not None
        assert alone is not None
        assert (together[place].draws, together[place].p_value) == (alone.draws, alone.p_value)
        assert together[place].mean == pytest.approx(alone.mean)
