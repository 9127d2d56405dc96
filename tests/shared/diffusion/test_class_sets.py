import pytest
import torch

from shared.diffusion import explicit_sets, nearest_centroid_sets
from shared.errors import UserError

NAMES = ["cat", "dog", "wolf", "boat"]
POINTS = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0], [30.0, 40.0]])


def test_explicit_sets_take_names_and_indices() -> None:
    sets = explicit_sets("dog", ["wolf"], ["3"], NAMES)
    assert (sets.target, sets.s1, sets.s2, sets.chosen_by) == (1, [2], [3], "explicit")


def test_s2_is_the_rest_where_it_is_not_named() -> None:
    assert explicit_sets("dog", ["wolf"], None, NAMES).s2 == [0, 3]


def test_nearest_centroids() -> None:
    sets = nearest_centroid_sets(POINTS, 1, 2)
    assert (sets.s1, sets.s2, sets.chosen_by) == ([0, 2], [3], "nearest centroids")


def test_several_models_choose_by_the_mean_of_distances_on_the_scale_of_each() -> None:
    """Class 3 is second nearest to 0 by far in one model; not quite in the other, of features 1,000 times as large."""
    one = torch.tensor([[0.0], [4.0], [1.0], [2.5]])
    other = 1000 * torch.tensor([[0.0], [3.0], [1.0], [3.2]])
    assert [nearest_centroid_sets(model, 0, 2).s1 for model in (one, other)] == [[2, 3], [1, 2]]
    scales = [4 + 1 + 2.5 + 3 + 1.5 + 1.5, 3 + 1 + 3.2 + 2 + 0.2 + 2.2]  # sums of all pairs
    on_its_scale = 2.5 / scales[0] + 3.2 / scales[1] < 4 / scales[0] + 3 / scales[1]
    as_it_is = 2.5 + 3200 < 4 + 3000
    assert (on_its_scale, as_it_is) == (True, False)
    assert nearest_centroid_sets([one, other], 0, 2).s1 == [2, 3]
    assert nearest_centroid_sets([one], 0, 2) == nearest_centroid_sets(one, 0, 2)


def test_a_class_without_examples_is_in_neither_set() -> None:
    points = torch.cat([POINTS, torch.full((1, 2), float("nan"))])
    sets = nearest_centroid_sets(points, 1, 1)
    assert (sets.s1, sets.s2) == ([2], [0, 3])


@pytest.mark.parametrize(
    ("target", "s1", "s2", "message"),
    [
        ("fox", ["wolf"], None, "unknown class 'fox'.*cat, dog, wolf, boat"),
        ("dog", [], None, "S1 of dog is empty"),
        ("dog", ["cat", "wolf", "boat"], None, "S2 of dog is empty"),
        ("dog", ["wolf"], ["wolf", "cat"], "share wolf"),
        ("dog", ["dog"], None, "S1 of dog holds dog itself"),
        ("dog", ["wolf", "wolf"], None, "S1 of dog names a class twice"),
        ("4", ["dog"], None, "unknown class '4'"),
    ],
)
def test_bad_sets_are_refused(target: str, s1: list[str], s2: list[str] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        explicit_sets(target, s1, s2, NAMES)


@pytest.mark.parametrize("size", [0, 3, 4])
def test_sizes_that_leave_a_set_empty_are_refused(size: int) -> None:
    with pytest.raises(UserError, match="it must be 1 to 2"):
        nearest_centroid_sets(POINTS, 1, size)


def test_a_name_of_two_classes_is_refused() -> None:
    with pytest.raises(UserError, match=r"2 classes are called 'crane'.*\[0, 2\]"):
        explicit_sets("crane", ["dog"], None, ["crane", "dog", "crane"])


def test_a_target_without_examples_has_no_neighbours() -> None:
    points = torch.cat([POINTS, torch.full((1, 2), float("nan"))])
    with pytest.raises(UserError, match="target class 4 has no examples"):
        nearest_centroid_sets(points, 4, 1)
