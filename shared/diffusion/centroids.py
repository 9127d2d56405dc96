"""Class centroids, and how far the features of a class lie from its centroid, streamed over batches."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from shared.ranks import sum_over_ranks

# Additions, one after another, that a float32 sum may go through before it goes to the float64 sums. Each rounds by at
# most 2^-24 of its result (Higham 2002, section 4.2), and the results grow to the whole sum: of rows that come in no
# particular order they are half of it on average, so that if every rounding were the largest there is, none the other
# way, a sum would be off by (32 + 1) / 2 * 2^-24 = 9.8e-7 of the sum of its terms' magnitudes. Were all of it in the
# first row, by 31 * 2^-24 = 1.9e-6.
_FLOAT32_ADDITIONS = 32
_BATCH_ROWS = 8192  # rows looked at together, so that a larger batch costs no more memory
_CACHED = 1 << 17  # numbers converted to float64 at a time: 1 MiB stays in a core's cache


class CentroidAccumulator:
    """Sums penultimate features by class; memory is num_classes x dim however many rows are seen.

    Counts are int64 and sums float64, the latter on the device of the features. Rows of float32 and below are summed in
    float32 a few at a time (`_FLOAT32_ADDITIONS`), which is two or three times as fast: a centroid is then off by some
    1e-7 of its features' mean magnitude, by less than 2e-6 whatever they are. Rows of float64, batches that are mostly
    of few classes, and every row where second moments are wanted go to float64 one by one. Accumulators over disjoint
    data `merge`.
    """

    def __init__(self, num_classes: int, dim: int, *, second_moments: bool = False) -> None:
        """`second_moments`: also sum squared norms, for `within_class_variance`; some four times the work."""
        self._sums = torch.zeros(num_classes, dim, dtype=torch.float64)
        self._squares = torch.zeros(num_classes, dtype=torch.float64) if second_moments else None
        self._counts = torch.zeros(num_classes, dtype=torch.int64)  # on the CPU, where labels are checked
        self._pending = torch.zeros(num_classes, dim)
        self._additions = torch.zeros(num_classes, dtype=torch.int64)  # that each class's pending sum went through

    @torch.inference_mode(False)  # what is kept is to be read in any mode
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Add `features` [n, dim] (any floating dtype) of classes `labels` [n] (int64, 0 to num_classes - 1).

        Raises ValueError for shapes that do not fit or a label out of range, before anything is added. A feature that
        is not finite (or, in float32, above 1e36) stays in the sums: ValueError follows at once in the first batch,
        and otherwise before a centroid is handed out. To look at every feature of every batch would cost more than
        adding it does.
        """
        classes, dim = self._sums.shape
        if features.ndim != 2 or features.shape[1] != dim or labels.shape != features.shape[:1]:
            raise ValueError(
                f"want features [n, {dim}] and labels [n], got {tuple(features.shape)}, {tuple(labels.shape)}"
            )
        if not len(labels):
            return
        on_host = labels.cpu()  # a GPU's index_add_ takes the process down at a label out of range
        if not 0 <= int(on_host.min()) <= int(on_host.max()) < classes:
            raise ValueError(f"labels must be 0 to {classes - 1}, got {int(on_host.min())} to {int(on_host.max())}")
        first = not self._counts.any()
        self._move_to(features.device)
        batches = (part.split(_BATCH_ROWS) for part in (features.detach(), labels.to(features.device), on_host))
        for rows, places, counted in zip(*batches, strict=True):
            self._add(rows, places, torch.bincount(counted, minlength=classes))
        if first:  # a model that has diverged is told at once, not after the last image
            self._check()

    @torch.inference_mode(False)
    def merge(self, other: "CentroidAccumulator") -> None:
        """Add what `other` has seen. Raises ValueError where classes, dimension or second moments differ."""
        if self._sums.shape != other._sums.shape:
            raise ValueError(f"cannot merge {tuple(other._sums.shape)} into {tuple(self._sums.shape)}")
        if (self._squares is None) != (other._squares is None):
            raise ValueError("cannot merge accumulators with and without second moments")
        other._flush()
        self._sums += other._sums.to(self._sums.device)
        self._counts += other._counts
        if self._squares is not None and other._squares is not None:
            self._squares += other._squares.to(self._squares.device)

    @torch.inference_mode(False)
    def merge_ranks(self, device: torch.device) -> None:
        """Add what every process of torch.distributed's default group has seen: each of them then holds the whole.

        Every process has to call this, once, after its last row; one without rows too. (Where `update` has raised in
        one of them, end them all: the others would wait.) `device` is where the group
        exchanges tensors: the CPU for gloo, the process's GPU for nccl.
        """
        self._flush()
        self._move_to(device)
        self._sums = sum_over_ranks(self._sums)
        self._counts = sum_over_ranks(self._counts.to(device)).cpu()
        if self._squares is not None:
            self._squares = sum_over_ranks(self._squares)

    @property
    def counts(self) -> Tensor:
        """Rows seen of each class: [num_classes], int64."""
        return self._counts.to(self._sums.device, copy=True)

    @property
    def centroids(self) -> Tensor:
        """Mean feature of each class: [num_classes, dim], float64; NaN for a class that has not been seen.

        Raises ValueError where a feature was NaN or infinite.
        """
        self._check()
        return self._sums / self.counts.unsqueeze(1)

    @property
    def within_class_variance(self) -> Tensor:
        """Mean squared distance of each class's features to its centroid, the trace of their covariance (divided by n).

        [num_classes], float64; NaN for a class that has not been seen. Raises ValueError as `centroids` does, and
        RuntimeError without `second_moments`.
        """
        if self._squares is None:
            raise RuntimeError("within_class_variance needs CentroidAccumulator(..., second_moments=True)")
        # E|f|^2 - |c|^2 in float64 leaves 6 digits of a spread that is 1e-5 of the centroid's length.
        return (self._squares / self.counts - self.centroids.square().sum(dim=1)).clamp(min=0)

    def _add(self, features: Tensor, labels: Tensor, counts: Tensor) -> None:
        self._counts += counts
        most = int(counts.max())
        if features.dtype == torch.float64 or self._squares is not None or most > _FLOAT32_ADDITIONS:
            self._add_exactly(features, labels)
            return
        by_class = not features.is_cuda and len(labels) >= len(counts) and features.shape[1] > 0
        additions = _additions(self._additions, counts, by_class)
        if int(additions.max()) > _FLOAT32_ADDITIONS:
            self._flush()
            additions = _additions(self._additions, counts, by_class)
        if by_class:
            self._add_by_class(features.float(), labels, counts)
        else:
            self._pending.index_add_(0, labels, features.float())
        self._additions = additions

    def _add_by_class(self, features: Tensor, labels: Tensor, counts: Tensor) -> None:
        """What `index_add_` does, in two thirds of its time: every class is written once, however many rows it has."""
        narrow = labels.numpy().astype(np.min_scalar_type(len(counts)))  # 16 bits are sorted by radix
        order, ends = torch.from_numpy(narrow.argsort(kind="stable")), counts.cumsum(0)
        starts = ends - counts
        step = 4 * self._rows_in_cache()  # 2 MiB of float32; much larger ones come from the kernel, page by page
        for pending, first, last in zip(*(t.split(step) for t in (self._pending, starts, ends)), strict=True):
            some = order[int(first[0]) : int(last[-1])]
            pending += embedding_bag(some, features, first - first[0], mode="sum")

    def _add_exactly(self, features: Tensor, labels: Tensor) -> None:
        rows = self._rows_in_cache()
        for some, places in zip(features.split(rows), labels.split(rows), strict=True):
            exact = some.double()
            self._sums.index_add_(0, places, exact)
            if self._squares is not None:
                self._squares.index_add_(0, places, exact.square().sum(dim=1))

    def _flush(self) -> None:
        if self._additions.any():
            rows = self._rows_in_cache()
            for sums, pending in zip(self._sums.split(rows), self._pending.split(rows), strict=True):
                sums += pending
                pending.zero_()
            self._additions.zero_()

    def _rows_in_cache(self) -> int:
        return max(1, _CACHED // max(1, self._sums.shape[1]))

    def _move_to(self, device: torch.device) -> None:
        self._sums, self._pending = self._sums.to(device), self._pending.to(device)
        if self._squares is not None:
            self._squares = self._squares.to(device)

    def _check(self) -> None:
        """Whatever is not finite makes the sum of its class, and so of all, not finite."""
        self._flush()
        if not bool(self._sums.sum().isfinite()):
            raise ValueError("a feature is NaN or infinite: the model has diverged")


def _additions(before: Tensor, counts: Tensor, by_class: bool) -> Tensor:
    """The most that a row of each class went through: of its batch alone and then of the sums, or of all in turn."""
    if by_class:
        return torch.maximum(before, counts - 1) + (counts > 0)
    return before + counts
