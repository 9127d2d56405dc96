"""Any features and class sets: centroids and eta against their definitions in float64."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.diffusion import CentroidAccumulator, diffusion_index
from shared.errors import UserError
from tests.hostile.logits import DTYPES, Array, laid_out
from tests.hostile.properties import PROPERTY

NORMALIZATIONS = ("mean_pairwise", "target_mean", "none")


class Rows(NamedTuple):
    """Features [n, d] of classes [n], of `classes` in all."""

    features: Tensor
    labels: Tensor
    classes: int


@st.composite
def rows(draw: Any, dtypes: tuple[torch.dtype, ...] = DTYPES) -> Rows:
    n, d, classes = draw(st.integers(0, 60)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1e-6, 1.0, 1e4]))
    features = scale * torch.randn(n, d, generator=generator, dtype=torch.float64)
    features = laid_out(features.to(draw(st.sampled_from(dtypes))), draw(st.sampled_from(["contiguous", "transposed"])))
    return Rows(features, torch.randint(classes, (n,), generator=generator), classes)


def accumulated(parts: list[Rows], second_moments: bool = False) -> CentroidAccumulator:
    of = CentroidAccumulator(parts[0].classes, parts[0].features.shape[1], second_moments=second_moments)
    for part in parts:
        of.update(part.features, part.labels)
    return of


def cut(of: Rows, places: list[int]) -> list[Rows]:
    ends = sorted(min(place, len(of.labels)) for place in places)
    parts = zip([0, *ends], [*ends, len(of.labels)], strict=True)
    return [Rows(of.features[a:b], of.labels[a:b], of.classes) for a, b in parts]


def means(of: Rows) -> Array:
    numbers, labels = of.features.double().numpy(), of.labels.numpy()
    empty = np.full(numbers.shape[1], np.nan)
    return np.stack([numbers[labels == c].mean(axis=0) if (labels == c).any() else empty for c in range(of.classes)])


@PROPERTY
@given(rows(), st.lists(st.integers(0, 60), max_size=4), st.booleans(), st.integers(0, 2**32 - 1))
def test_centroids_in_any_batches_and_order(of: Rows, places: list[int], second_moments: bool, seed: int) -> None:
    """A centroid is off by less than 1e-6 of its features' mean magnitude; a class without rows has none."""
    order = torch.randperm(len(of.labels), generator=torch.Generator().manual_seed(seed))
    shuffled = Rows(of.features[order], of.labels[order], of.classes)
    tolerance = 1e-6 * float(of.features.double().abs().max() if len(of.labels) else 0.0)
    found = accumulated(cut(shuffled, places), second_moments)
    np.testing.assert_allclose(found.centroids.numpy(), means(of), atol=tolerance, rtol=0)
    assert found.counts.tolist() == np.bincount(of.labels.numpy(), minlength=of.classes).tolist()
    if second_moments:
        expected = [
            float(((of.features.double()[of.labels == c] - torch.from_numpy(means(of)[c])) ** 2).sum(dim=1).mean())
            for c in range(of.classes)
        ]
        scale = max(1e-300, float(of.features.double().square().max()) if len(of.labels) else 0.0)
        np.testing.assert_allclose(found.within_class_variance.numpy() / scale, np.array(expected) / scale, atol=1e-9)


@PROPERTY
@given(rows((torch.float64,)), st.integers(0, 60), st.integers(0, 60))
def test_merging_is_associative(of: Rows, first: int, second: int) -> None:
    def three() -> list[CentroidAccumulator]:
        return [accumulated([part]) for part in cut(of, [first, second])]

    left, right = three(), three()
    left[0].merge(left[1])
    left[0].merge(left[2])
    right[1].merge(right[2])
    right[0].merge(right[1])
    whole = accumulated([of])
    assert left[0].counts.tolist() == right[0].counts.tolist() == whole.counts.tolist()
    tolerance = 1e-12 * float(of.features.abs().max() if len(of.labels) else 0.0)
    for found in (left[0], right[0]):
        np.testing.assert_allclose(found.centroids.numpy(), whole.centroids.numpy(), atol=tolerance)


@PROPERTY
@given(rows(), st.integers(0, 60), st.sampled_from([torch.nan, torch.inf, -torch.inf]))
def test_a_feature_that_is_no_number_is_told(of: Rows, place: int, value: float) -> None:
    if not len(of.labels):
        return
    features = of.features.clone()
    features[place % len(features), 0] = value
    found = CentroidAccumulator(of.classes, features.shape[1])
    with pytest.raises(ValueError, match="a feature is NaN or infinite"):
        found.update(features, of.labels)


class Spaces(NamedTuple):
    """Centroids at T1 and T2, a target and its set."""

    low: Tensor
    high: Tensor
    target: int
    members: list[int]


@st.composite
def spaces(draw: Any) -> Spaces:
    classes, widths = draw(st.integers(3, 8)), [draw(st.integers(1, 5)) for _ in range(2)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    low, high = (torch.randn(classes, width, generator=generator, dtype=torch.float64) for width in widths)
    empty = draw(st.sets(st.integers(0, classes - 1), max_size=classes - 3))
    low[list(empty)] = torch.nan
    present = [c for c in range(classes) if c not in empty]
    target = draw(st.sampled_from(present))
    others = st.sampled_from([c for c in present if c != target])
    return Spaces(low, high, target, draw(st.lists(others, min_size=1, unique=True)))


def eta(of: Spaces, normalization: str) -> float:
    """The definition, over the classes that have both centroids."""
    seen = [c for c in range(len(of.low)) if bool(of.low[c].isfinite().all())]

    def distances(centroids: Tensor) -> Array:
        c = centroids.numpy()
        far = np.array([[np.linalg.norm(c[i] - c[j]) for j in range(len(c))] for i in range(len(c))])
        pairs = [far[i, j] for i in seen for j in seen if i < j]
        scale = {
            "none": 1.0,
            "mean_pairwise": np.mean(pairs),
            "target_mean": np.mean([far[of.target, j] for j in seen if j != of.target]),
        }[normalization]
        return np.array([far[of.target, k] for k in of.members]) / scale

    before, after = distances(of.low), distances(of.high)
    return float(((after - before) / before).mean())


@PROPERTY
@given(spaces(), st.sampled_from(NORMALIZATIONS))
def test_eta(of: Spaces, normalization: str) -> None:
    found = diffusion_index(of.low, of.high, of.target, of.members, normalization=normalization)
    assert found == pytest.approx(eta(of, normalization), rel=1e-6, abs=1e-9)


@PROPERTY
@given(spaces(), st.sampled_from(NORMALIZATIONS), st.floats(1e-3, 1e3), st.floats(-10.0, 10.0), st.integers(0, 2**31))
def test_eta_sees_no_scale_no_shift_and_no_order(
    of: Spaces, normalization: str, scale: float, shift: float, seed: int
) -> None:
    """Without a normalization the scale of both together alone does not show."""
    order = torch.randperm(len(of.low), generator=torch.Generator().manual_seed(seed))
    place = order.argsort().tolist()
    both = scale if normalization == "none" else 1.0
    found = diffusion_index(
        both * of.low[order] + shift, scale * of.high[order] - shift, place[of.target],
        [place[k] for k in reversed(of.members)], normalization=normalization,
    )  # fmt: skip
    expected = diffusion_index(of.low, of.high, of.target, of.members, normalization=normalization)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@PROPERTY
@given(spaces(), st.integers(-3, 12), st.lists(st.integers(-3, 12), max_size=4), st.text(max_size=5))
def test_any_sets_give_eta_or_one_line(of: Spaces, target: int, members: list[int], normalization: str) -> None:
    for name in (*NORMALIZATIONS, normalization):
        try:
            found = diffusion_index(of.low, of.high, target, members, normalization=name)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            valid = of._replace(target=target, members=members)
            assert found == pytest.approx(eta(valid, name), rel=1e-6, abs=1e-9)
