"""Oracle: numpy means over everything at once."""

import numpy as np
import pytest
import torch

from shared.diffusion import CentroidAccumulator


def data(rows: int = 500, classes: int = 7, dim: int = 13) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(classes, (rows,), generator=generator)
    return torch.randn(rows, dim, generator=generator) + labels.unsqueeze(1), labels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 17, 500])
def test_streamed_centroids_equal_means(batch: int, dtype: torch.dtype) -> None:
    features, labels = data()
    features = features.to(dtype)
    seen = CentroidAccumulator(7, 13)
    for x, y in zip(features.split(batch), labels.split(batch), strict=True):
        seen.update(x, y)
    for k in range(7):
        mean = features[labels == k].double().numpy().mean(axis=0)
        np.testing.assert_allclose(seen.centroids[k].numpy(), mean, rtol=1e-12)
    assert seen.counts.tolist() == np.bincount(labels.numpy(), minlength=7).tolist()


def test_merging_parts_equals_the_whole() -> None:
    features, labels = data()
    whole, left, right = (CentroidAccumulator(7, 13) for _ in range(3))
    whole.update(features, labels)
    left.update(features[:123], labels[:123])
    right.update(features[123:], labels[123:])
    left.merge(right)
    torch.testing.assert_close(left.centroids, whole.centroids, rtol=1e-12, atol=0)
    assert left.counts.tolist() == whole.counts.tolist()


def test_large_offsets_do_not_lose_digits() -> None:
    """fp32 sums would lose the fraction: 1e7 + 0.25 over 1000 rows."""
    features = torch.full((1000, 1), 2.0**23, dtype=torch.float32)
    features[::2] += 1
    seen = CentroidAccumulator(1, 1)
    for row in features.split(10):
        seen.update(row, torch.zeros(10, dtype=torch.long))
    assert float(seen.centroids) == 2.0**23 + 0.5


def test_unseen_class_is_nan() -> None:
    seen = CentroidAccumulator(2, 3)
    seen.update(torch.ones(4, 3), torch.zeros(4, dtype=torch.long))
    assert seen.centroids[0].tolist() == [1, 1, 1]
    assert bool(seen.centroids[1].isnan().all())


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (torch.zeros(2, 4), torch.zeros(2, dtype=torch.long)),
        (torch.zeros(2, 3), torch.zeros(3, dtype=torch.long)),
        (torch.zeros(2, 3), torch.tensor([0, 2])),
        (torch.zeros(2, 3), torch.tensor([-1, 0])),
        (torch.full((2, 3), float("nan")), torch.tensor([0, 1])),
    ],
)
def test_what_does_not_fit_is_refused(features: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"want features|labels must be|NaN"):
        CentroidAccumulator(2, 3).update(features, labels)


def test_merging_other_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot merge"):
        CentroidAccumulator(2, 3).merge(CentroidAccumulator(3, 3))
