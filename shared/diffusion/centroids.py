"""Class centroids, streamed over batches in float64."""

import torch
from torch import Tensor


class CentroidAccumulator:
    """Sums penultimate features by class; memory is num_classes x dim however many rows are seen.

    Sums are float64 and counts int64, kept on the device of the features. Accumulators over disjoint data `merge`.
    """

    def __init__(self, num_classes: int, dim: int) -> None:
        self._sums = torch.zeros(num_classes, dim, dtype=torch.float64)
        self._counts = torch.zeros(num_classes, dtype=torch.int64)

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Add `features` [n, dim] (any floating dtype) of classes `labels` [n] (int64, 0 to num_classes - 1).

        Raises ValueError for shapes that do not fit, a label out of range, or a feature that is not finite.
        """
        classes, dim = self._sums.shape
        if features.ndim != 2 or features.shape[1] != dim or labels.shape != features.shape[:1]:
            raise ValueError(
                f"want features [n, {dim}] and labels [n], got {tuple(features.shape)}, {tuple(labels.shape)}"
            )
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise ValueError(f"labels must be 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")
        if not bool(features.isfinite().all()):
            raise ValueError("a feature is NaN or infinite: the model has diverged")
        self._sums = self._sums.to(features.device)
        self._counts = self._counts.to(features.device)
        self._sums.index_add_(0, labels, features.detach().double())
        self._counts += torch.bincount(labels, minlength=classes)

    def merge(self, other: "CentroidAccumulator") -> None:
        """Add what `other` has seen. Raises ValueError where classes or dimension differ."""
        if self._sums.shape != other._sums.shape:
            raise ValueError(f"cannot merge {tuple(other._sums.shape)} into {tuple(self._sums.shape)}")
        self._sums += other._sums.to(self._sums.device)
        self._counts += other._counts.to(self._counts.device)

    @property
    def counts(self) -> Tensor:
        """Rows seen of each class: [num_classes], int64."""
        return self._counts.clone()

    @property
    def centroids(self) -> Tensor:
        """Mean feature of each class: [num_classes, dim], float64; NaN for a class that has not been seen."""
        return self._sums / self._counts.unsqueeze(1)
