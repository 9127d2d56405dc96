"""Oracle: numpy float64 means and variances over everything at once."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.diffusion import CentroidAccumulator, centroids

ROWS = centroids._FLOAT32_ADDITIONS


def data(rows: int = 500, classes: int = 7, dim: int = 13) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(classes, (rows,), generator=generator)
    return torch.rand(rows, dim, generator=generator, dtype=torch.float64) + labels.unsqueeze(1), labels


def accumulate(features: Tensor, labels: Tensor, batch: int, classes: int, **options: bool) -> CentroidAccumulator:
    seen = CentroidAccumulator(classes, features.shape[1], **options)
    for x, y in zip(features.split(batch), labels.split(batch), strict=True):
        seen.update(x, y)
    return seen


def means(features: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    x, y = features.double().numpy(), labels.numpy()
    return np.stack([x[y == k].mean(axis=0) if (y == k).any() else np.full(x.shape[1], np.nan) for k in range(classes)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [1, 17, 131, 500])
def test_streamed_centroids_equal_means(batch: int, dtype: torch.dtype) -> None:
    features, labels = data()
    features = features.to(dtype)
    seen = accumulate(features, labels, batch, 7)
    tolerance = 1e-13 if dtype == torch.float64 else 1e-6
    np.testing.assert_allclose(seen.centroids.numpy(), means(features, labels, 7), rtol=tolerance)
    assert seen.centroids.dtype == torch.float64
    assert seen.counts.tolist() == np.bincount(labels.numpy(), minlength=7).tolist()


@pytest.mark.parametrize(
    ("rows", "classes", "dim"), [(3, 47, 31), (1, 1, 1), (5000, 3, 123), (4097, 1000, 2), (9, 2, 0)]
)
def test_odd_shapes(rows: int, classes: int, dim: int) -> None:
    features, labels = data(rows, classes, dim)
    features = features.float()
    seen = accumulate(features, labels, rows, classes)
    np.testing.assert_allclose(seen.centroids.numpy(), means(features, labels, classes), rtol=1e-6)


@pytest.mark.parametrize("batch", [11, 60, 900])
def test_classes_and_rows_in_many_parts(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """As where classes times dimension is large: a few classes, and a few rows, at a time; some have no rows."""
    monkeypatch.setattr(centroids, "_CACHED", 64)
    features, labels = data(900, 45, 13)
    labels[labels % 9 == 5] = 7
    seen = accumulate(features.float(), labels, batch, 50)
    np.testing.assert_allclose(seen.centroids.numpy(), means(features.float(), labels, 50), rtol=1e-6)


def test_features_of_any_layout_and_those_that_want_a_gradient() -> None:
    features, labels = data()
    features = features.float()
    seen = CentroidAccumulator(7, 13)
    seen.update(features.t().contiguous().t().requires_grad_(), labels)
    assert not seen.centroids.requires_grad
    np.testing.assert_allclose(seen.centroids.numpy(), means(features, labels, 7), rtol=1e-6)


@pytest.mark.parametrize(
    ("batch", "both_ways"),
    [(3 * ROWS // 4, False), (2 * ROWS - 6, True), (40_000, False)],
    ids=["in float32", "mixed", "one batch"],
)
def test_a_long_stream_with_a_large_mean_keeps_its_digits(
    batch: int, both_ways: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The float32 sum of as many rows does not. Batches of one class in the main go to float64 one by one."""
    taken: set[str] = set()
    for way in ("_add_by_class", "_add_exactly"):
        real = getattr(CentroidAccumulator, way)
        monkeypatch.setattr(CentroidAccumulator, way, lambda *a, way=way, real=real: taken.add(way) or real(*a))
    generator = torch.Generator().manual_seed(1)
    features = 3.3 + 1e-3 * torch.rand(40_000, 5, generator=generator)
    labels = torch.randint(2, (40_000,), generator=generator)
    mean = means(features, labels, 2)
    naive = torch.zeros(2, 5).index_add_(0, labels, features) / torch.bincount(labels).unsqueeze(1)
    assert (np.abs(naive.numpy() - mean) / mean).max() > 1e-6
    np.testing.assert_allclose(accumulate(features, labels, batch, 2).centroids.numpy(), mean, rtol=2e-7)
    assert (len(taken) == 2) == both_ways


def test_equal_rows_whose_roundings_all_go_the_same_way() -> None:
    """The worst of 1,000 constants, as a feature that a layer has switched off: errors that do not average out."""
    constants = 1 + torch.arange(1000).repeat(1, 1) * 2.0**-23 * 331
    features, labels = constants.expand(8 * ROWS, -1), torch.zeros(8 * ROWS, dtype=torch.long)
    seen = accumulate(features, labels, ROWS // 2, 1)
    np.testing.assert_allclose(seen.centroids[0].numpy(), constants[0].double().numpy(), rtol=1e-6)


def test_the_worst_order_there_is() -> None:
    """Nearly all of the sum in the first row, each of the others just too small for it to see."""
    small = 0.999 * 2.0**-24
    features = torch.tensor([1.0] + [small] * (ROWS - 1)).unsqueeze(1)
    seen = accumulate(features.repeat(8, 1), torch.zeros(8 * ROWS, dtype=torch.long), ROWS, 1)
    np.testing.assert_allclose(seen.centroids.numpy(), means(features, torch.zeros(ROWS), 1), rtol=2e-6)
    assert ROWS <= 32


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("squares", [False, True])
def test_what_was_seen_in_inference_mode_is_read_outside(dtype: torch.dtype, squares: bool) -> None:
    features, labels = data()
    features = features.to(dtype)
    seen, other = (CentroidAccumulator(7, 13, second_moments=squares) for _ in range(2))
    with torch.inference_mode():
        for rows in (slice(50), slice(50, 100)):  # the first batch leaves nothing pending
            seen.update(features[rows] * 1.0, labels[rows])
        other.update(features[100:] * 1.0, labels[100:])
        seen.merge(other)
    seen.update(features, labels)
    np.testing.assert_allclose(seen.centroids.numpy(), means(features, labels, 7), rtol=1e-6)
    if squares:
        assert bool(seen.within_class_variance.isfinite().all())


def test_a_batch_of_a_hundred_thousand_rows_of_one_class() -> None:
    features = torch.full((100_000, 3), 2.0**23)
    features[::2] += 1
    seen = CentroidAccumulator(4, 3)
    seen.update(features, torch.full((100_000,), 2))
    assert seen.centroids[2].tolist() == [2.0**23 + 0.5] * 3


def test_memory_does_not_grow_with_the_rows() -> None:
    """All that is kept are tensors of the classes, whatever was seen."""
    features, labels = data(3000)
    kept = [value for value in vars(accumulate(features.float(), labels, 100, 7)).values() if value is not None]
    assert sorted(value.numel() for value in kept) == [7, 7, 91, 91]
    assert all(value.untyped_storage().nbytes() == value.numel() * value.itemsize for value in kept)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("batch", [10, 500])
def test_within_class_variance_far_from_the_origin(batch: int, dtype: torch.dtype) -> None:
    """Squares less squares: float32 would have no digit left."""
    features, labels = data()
    features = (1000 + 0.1 * features).to(dtype)
    found = accumulate(features, labels, batch, 8, second_moments=True)
    x, y = features.double().numpy(), labels.numpy()
    expected = [x[y == k].var(axis=0).sum() for k in range(7)]
    np.testing.assert_allclose(found.within_class_variance[:7].numpy(), expected, rtol=1e-6)
    assert bool(found.within_class_variance[7].isnan())
    np.testing.assert_allclose(found.centroids[:7].numpy(), means(features, labels, 7), rtol=1e-13)


def test_the_variance_of_equal_rows_is_zero_not_below() -> None:
    """A thousand constants, some of which rounding alone would put below."""
    labels = torch.arange(1000).repeat(7)
    features = (labels.double() / 999).unsqueeze(1)
    found = accumulate(features, labels, 500, 1000, second_moments=True).within_class_variance
    assert bool((found >= 0).all())
    assert float(found.max()) < 1e-14


def test_the_variance_wants_second_moments() -> None:
    with pytest.raises(RuntimeError, match="second_moments=True"):
        _ = accumulate(*data(), 500, 7).within_class_variance


@pytest.mark.parametrize("second_moments", [False, True])
def test_merging_parts_in_any_order_equals_the_whole(second_moments: bool) -> None:
    features, labels = data()
    features = features.float()
    whole = accumulate(features, labels, 500, 7, second_moments=second_moments)

    def part(start: int, stop: int) -> CentroidAccumulator:
        return accumulate(features[start:stop], labels[start:stop], 50, 7, second_moments=second_moments)

    left, right = part(0, 123), part(123, 124)
    left.merge(right)
    left.merge(part(124, 500))
    right.merge(part(124, 500))
    start = part(0, 123)
    start.merge(right)
    for merged in (left, start):
        torch.testing.assert_close(merged.centroids, whole.centroids, rtol=1e-6, atol=0)
        assert merged.counts.tolist() == whole.counts.tolist()
        if second_moments:
            torch.testing.assert_close(merged.within_class_variance, whole.within_class_variance, rtol=1e-11, atol=0)
    torch.testing.assert_close(left.centroids, start.centroids, rtol=1e-15, atol=0)


def test_rows_may_follow_a_merge_and_a_look() -> None:
    features, labels = data()
    features = features.float()
    seen, other = accumulate(features[:20], labels[:20], 10, 7), accumulate(features[20:40], labels[20:40], 10, 7)
    seen.merge(other)
    counts = seen.counts
    assert seen.centroids.shape == (7, 13)
    seen.update(features[40:60], labels[40:60])
    other.update(features[:1], labels[:1])  # its own business
    assert counts.sum() == 40
    np.testing.assert_allclose(seen.centroids.numpy(), means(features[:60], labels[:60], 7), rtol=1e-6)


def test_a_class_without_rows_and_an_empty_batch() -> None:
    seen = CentroidAccumulator(2, 3)
    seen.update(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    assert bool(seen.centroids.isnan().all())
    seen.update(torch.ones(4, 3), torch.zeros(4, dtype=torch.long))
    assert seen.centroids[0].tolist() == [1, 1, 1]
    assert bool(seen.centroids[1].isnan().all())
    assert seen.counts.tolist() == [4, 0]


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.zeros(2, 4), torch.zeros(2, dtype=torch.long), r"want features \[n, 3\].*\(2, 4\)"),
        (torch.zeros(2, 3), torch.zeros(3, dtype=torch.long), "want features"),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long), "want features"),
        (torch.zeros(2, 3), torch.tensor([0, 2]), "labels must be 0 to 1, got 0 to 2"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), "labels must be 0 to 1, got -1 to 0"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_no_trace(features: Tensor, labels: Tensor, message: str) -> None:
    seen = CentroidAccumulator(2, 3)
    with pytest.raises(ValueError, match=message):
        seen.update(features, labels)
    assert seen.counts.tolist() == [0, 0]
    assert bool(seen.centroids.isnan().all())


@pytest.mark.parametrize("second_moments", [False, True])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_one_feature_that_is_not_finite_is_refused(value: float, dtype: torch.dtype, second_moments: bool) -> None:
    """At once in the first batch; else before any centroid, and for good."""
    features, labels = data()
    wrong = features.to(dtype)
    wrong[250, 4] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        CentroidAccumulator(7, 13, second_moments=second_moments).update(wrong, labels)
    seen = accumulate(wrong, labels, 20, 7, second_moments=second_moments)
    fine = accumulate(features, labels, 20, 7, second_moments=second_moments)
    fine.merge(seen)
    for one in (seen, seen, fine):
        with pytest.raises(ValueError, match="NaN or infinite"):
            _ = one.centroids
    if second_moments:
        with pytest.raises(ValueError, match="NaN or infinite"):
            _ = seen.within_class_variance


def test_infinities_of_both_signs_do_not_cancel() -> None:
    seen = CentroidAccumulator(2, 1)
    seen.update(torch.zeros(2, 1), torch.arange(2))
    seen.update(torch.tensor([[float("inf")], [-float("inf")]]), torch.arange(2))
    with pytest.raises(ValueError, match="NaN or infinite"):
        _ = seen.centroids


def test_merging_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot merge"):
        CentroidAccumulator(2, 3).merge(CentroidAccumulator(3, 3))
    with pytest.raises(ValueError, match="with and without second moments"):
        CentroidAccumulator(2, 3).merge(CentroidAccumulator(2, 3, second_moments=True))
