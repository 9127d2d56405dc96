"""Oracles: values worked by hand on three points, and the definition written out as loops."""

import math

import numpy as np
import pytest
import torch

from shared.diffusion import (
    NORMALIZATIONS,
    diffusion_index,
    diffusion_indices,
    mean_pairwise_distance,
    on_one_scale,
)
from shared.diffusion.distances import distances_between
from shared.errors import UserError

# Three classes on a line at T1: 0, 3, 4. At T2 class 1 comes nearer (2) and class 2 goes away (8).
LOW = torch.tensor([[0.0], [3.0], [4.0]])
HIGH = torch.tensor([[0.0], [2.0], [8.0]])


@pytest.mark.parametrize(
    ("normalization", "similar", "dissimilar"),
    [
        ("none", -1 / 3, 1.0),  # 2/3 - 1; 8/4 - 1
        # pairs at T1: 3, 4, 1 (mean 8/3); at T2: 2, 8, 6 (mean 16/3): scale 1/2
        ("mean_pairwise", (2 / 3) / 2 - 1, 2 / 2 - 1),
        # from class 0 at T1: 3, 4 (mean 7/2); at T2: 2, 8 (mean 5): scale 7/10
        ("target_mean", (2 / 3) * 0.7 - 1, 2 * 0.7 - 1),
    ],
)
def test_three_points_by_hand(normalization: str, similar: float, dissimilar: float) -> None:
    assert diffusion_index(LOW, HIGH, 0, [1], normalization=normalization) == pytest.approx(similar, abs=1e-12)
    assert diffusion_index(LOW, HIGH, 0, [2], normalization=normalization) == pytest.approx(dissimilar, abs=1e-12)


def test_default_normalization_is_mean_pairwise() -> None:
    assert diffusion_index(LOW, HIGH, 0, [1]) == diffusion_index(LOW, HIGH, 0, [1], normalization="mean_pairwise")


def test_target_mean_over_a_part_of_the_classes() -> None:
    """Divided by the distance to class 1 alone, class 1 does not move and class 2 goes from 4/3 to 4."""
    value = diffusion_index(LOW, HIGH, 0, [2], normalization="target_mean", normalize_over=[1])
    assert value == pytest.approx(4 / (4 / 3) - 1, abs=1e-12)


def by_loops(low: torch.Tensor, high: torch.Tensor, target: int, classes: list[int]) -> float:
    def normalized(points: list[list[float]], k: int) -> float:
        pairs = [math.dist(a, b) for i, a in enumerate(points) for b in points[:i]]
        return math.dist(points[target], points[k]) / (sum(pairs) / len(pairs))

    before, after = low.double().tolist(), high.double().tolist()
    changes = [(normalized(after, k) - normalized(before, k)) / normalized(before, k) for k in classes]
    return sum(changes) / len(changes)


@pytest.mark.parametrize("dim", [1, 3, 64])
def test_equals_the_definition_by_loops(dim: int) -> None:
    generator = torch.Generator().manual_seed(dim)
    low, high = torch.randn(10, dim, generator=generator), torch.randn(10, dim + 1, generator=generator)
    expected = by_loops(low, high, 4, [1, 7, 9])
    assert diffusion_index(low, high, 4, [1, 7, 9]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_no_change_is_zero(normalization: str) -> None:
    assert diffusion_index(LOW, LOW, 0, [1, 2], normalization=normalization) == 0.0


@pytest.mark.parametrize("normalization", ["mean_pairwise", "target_mean"])
def test_normalized_index_does_not_see_a_change_of_scale(normalization: str) -> None:
    assert diffusion_index(LOW, 17 * LOW, 1, [0, 2], normalization=normalization) == pytest.approx(0, abs=1e-12)
    assert diffusion_index(LOW, 17 * LOW, 1, [0, 2], normalization="none") == pytest.approx(16)


def test_a_class_without_examples_outside_the_set_does_not_matter() -> None:
    empty = torch.full((1, 1), float("nan"))
    low, high = torch.cat([LOW, empty]), torch.cat([HIGH, empty])
    assert diffusion_index(low, high, 0, [1, 2]) == pytest.approx(diffusion_index(LOW, HIGH, 0, [1, 2]))
    with pytest.raises(UserError, match="have no examples"):
        diffusion_index(low, high, 0, [3])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_only_target_mean_needs_examples_of_the_classes_to_normalize_over(normalization: str) -> None:
    empty = torch.full((1, 1), float("nan"))
    low, high, over = torch.cat([LOW, empty]), torch.cat([HIGH, empty]), [1, 2, 3]
    if normalization == "target_mean":
        with pytest.raises(UserError, match=r"classes \[3\] have no examples"):
            diffusion_index(low, high, 0, [1, 3], normalization=normalization, normalize_over=over)
        return
    value = diffusion_index(low, high, 0, [1], normalization=normalization, normalize_over=over)
    assert value == pytest.approx(diffusion_index(LOW, HIGH, 0, [1], normalization=normalization))


@pytest.mark.parametrize(
    ("target", "classes", "message"),
    [
        (0, [], "empty"),
        (0, [0, 1], "its own class set"),
        (0, [3], "not in 0 to 2"),
        (5, [1], "not in"),
        (0, [1, 1], "twice"),
    ],
)
def test_bad_sets_are_refused(target: int, classes: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        diffusion_index(LOW, HIGH, target, classes)


def test_both_sides_are_normalized_over_the_classes_that_both_have_seen() -> None:
    """A class that only one student has seen must not enter that student's normalizer."""
    far = torch.tensor([[1000.0]])
    low, high = torch.cat([LOW, far]), torch.cat([HIGH, torch.full((1, 1), float("nan"))])
    assert diffusion_index(low, high, 0, [1, 2]) == pytest.approx(diffusion_index(LOW, HIGH, 0, [1, 2]))


@pytest.mark.parametrize(("over", "message"), [([], "empty"), ([0, 1], "its own set"), ([9], "not in 0 to 2")])
def test_bad_sets_to_normalize_over_are_refused(over: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        diffusion_index(LOW, HIGH, 0, [2], normalization="target_mean", normalize_over=over)


def test_unknown_normalization_lists_the_valid_ones() -> None:
    with pytest.raises(UserError, match="mean_pairwise, target_mean, none"):
        diffusion_index(LOW, HIGH, 0, [1], normalization="cosine")


def test_coinciding_centroids_and_other_class_counts_are_refused() -> None:
    with pytest.raises(UserError, match="coincides"):
        diffusion_index(torch.tensor([[1.0], [1.0], [2.0]]), HIGH, 0, [1])
    with pytest.raises(UserError, match="coincides"):
        diffusion_index(torch.ones(3, 1), HIGH, 0, [1])
    with pytest.raises(UserError, match="3 and 2 classes"):
        diffusion_index(LOW, HIGH[:2], 0, [1])


@pytest.mark.parametrize("classes", [2, 24, 26, 300, 700])
def test_mean_pairwise_distance_in_parts_is_that_of_all_pairs(classes: int) -> None:
    """Sizes below and above one part; far from the origin, where subtracting squares would lose digits."""
    generator = torch.Generator().manual_seed(classes)
    centroids = 1e4 + torch.randn(classes, 5, generator=generator, dtype=torch.float64)
    assert mean_pairwise_distance(centroids) == pytest.approx(float(torch.pdist(centroids).mean()), rel=1e-11)
    assert math.isnan(mean_pairwise_distance(centroids[:1]))


def test_on_one_scale_no_further_normalization_is_needed() -> None:
    """Classes that only one student has seen do not enter either scale."""
    generator = torch.Generator().manual_seed(0)
    low, high = torch.randn(30, 8, generator=generator), torch.randn(30, 9, generator=generator)
    low[3], high[7] = torch.nan, torch.nan
    expected = diffusion_index(low, high, 4, [1, 9], normalization="mean_pairwise")
    assert diffusion_index(*on_one_scale(low, high), 4, [1, 9], normalization="none") == pytest.approx(expected)


def by_definition(low: torch.Tensor, high: torch.Tensor, target: int, classes: list[int], over: list[int]) -> float:
    """eta by `target_mean`, of numpy's norms, one class after the other."""
    before, after = (np.linalg.norm(c.double().numpy() - c[target].double().numpy(), axis=1) for c in (low, high))
    before, after = before / before[over].mean(), after / after[over].mean()
    return float(np.mean([(after[k] - before[k]) / before[k] for k in classes]))


def many_sets(classes: int, seen: list[int]) -> tuple[list[int], list[list[int]], list[list[int]]]:
    """Targets in any order, some several times, with sets of every size out of the classes `seen`."""
    random = np.random.default_rng(classes)
    targets = [seen[i] for i in random.integers(len(seen), size=2 * classes)]
    others = [random.permutation([k for k in seen if k != target]).tolist() for target in targets]
    sizes = random.integers(1, len(seen), size=2 * classes)
    return targets, [some[:size] for some, size in zip(others, sizes, strict=True)], [some[:9] for some in others]


def test_many_pairs_at_once_equal_the_definition_one_by_one() -> None:
    """Below and above one part of the targets; a class without examples in between; far from the origin."""
    generator = torch.Generator().manual_seed(0)
    low, high = (1e3 + torch.randn(150, dim, generator=generator, dtype=torch.float64) for dim in (5, 7))
    low[3], high[40] = torch.nan, torch.nan
    seen = [k for k in range(150) if k not in (3, 40)]
    targets, sets, over = many_sets(150, seen)
    scale = [float(torch.pdist(c[seen]).mean()) for c in (low, high)]
    scaled = low / scale[0], high / scale[1]
    found = {name: diffusion_indices(low, high, targets, sets, normalization=name) for name in NORMALIZATIONS}
    given = diffusion_indices(low, high, targets, sets, normalization="target_mean", normalize_over=over)
    for i, (target, members) in enumerate(zip(targets, sets, strict=True)):
        others = [k for k in seen if k != target]
        expected = by_definition(low, high, target, members, others)
        assert float(found["target_mean"][i]) == pytest.approx(expected, rel=1e-9, abs=1e-11)
        assert float(given[i]) == pytest.approx(by_definition(low, high, target, members, over[i]), rel=1e-9, abs=1e-11)
        for name, pair in (("mean_pairwise", scaled), ("none", (low, high))):
            before, after = (np.linalg.norm((c - c[target]).numpy(), axis=1)[members] for c in pair)
            assert float(found[name][i]) == pytest.approx(float(np.mean(after / before - 1)), rel=1e-9, abs=1e-11)


def test_one_pair_is_the_same_alone_as_among_many() -> None:
    targets, sets = [0, 2, 0], [[1, 2], [0], [2]]
    for name in NORMALIZATIONS:
        alone = [diffusion_index(LOW, HIGH, t, s, normalization=name) for t, s in zip(targets, sets, strict=True)]
        assert diffusion_indices(LOW, HIGH, targets, sets, normalization=name).tolist() == pytest.approx(alone)
    assert diffusion_indices(LOW, HIGH, [], []).shape == (0,)


def test_the_wrong_one_of_many_pairs_is_named() -> None:
    with pytest.raises(UserError, match="target class 2 is in its own class set"):
        diffusion_indices(LOW, HIGH, [0, 2], [[1], [1, 2]])
    with pytest.raises(UserError, match=r"class 1 coincides with another of \[0, 2\]"):
        diffusion_indices(torch.tensor([[0.0], [3.0], [3.0]]), HIGH, [0, 1], [[1], [0, 2]])
    with pytest.raises(ValueError, match="shorter"):
        diffusion_indices(LOW, HIGH, [0, 1], [[1]])


def test_memory_of_a_thousand_classes_is_not_that_of_their_differences() -> None:
    """[C, C, d] would be 16 GB here, [C, C] of both students 16 MB; a gradient-free CPU tensor is what is largest."""
    generator = torch.Generator().manual_seed(0)
    low, high = torch.rand(1000, 2048, generator=generator), torch.rand(1000, 2048, generator=generator)
    targets = list(range(0, 1000, 20))
    sets = [[k for k in range(1000) if k != target] for target in targets]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        diffusion_indices(low, high, targets, sets, normalization="none")
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert 0 < largest <= 1000 * 2048 * 8


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-6, 1e-8])
def test_distances_between_centroids_that_nearly_coincide_keep_their_digits(apart: float) -> None:
    """In multiples of their length; subtracting squares would leave 12 digits, 8, 4, none."""
    generator = torch.Generator().manual_seed(0)
    far = torch.randn(4, 300, generator=generator, dtype=torch.float64)
    near = far + apart * torch.randn(4, 300, generator=generator, dtype=torch.float64)
    both = torch.cat([far, near, far[:1]])
    found = distances_between(both, both)
    expected = np.linalg.norm(both.numpy()[:, None] - both.numpy()[None], axis=2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert float(found[0, 8]) == 0.0
