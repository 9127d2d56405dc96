"""The diffusion index eta (Chandrasegaran et al. 2022, section 5)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from shared.errors import UserError

NORMALIZATIONS = ("mean_pairwise", "target_mean", "none")
_ROWS = 256  # rows of the distance matrix that are held at a time


def diffusion_index(
    low: Tensor,
    high: Tensor,
    target: int,
    classes: Sequence[int],
    *,
    normalization: str = "mean_pairwise",
    normalize_over: Sequence[int] | None = None,
) -> float:
    """Mean relative change of the distance from `target` to each of `classes` when T rises; a ratio, not percent.

    `eta(T1, T2; pi, S) = 1/|S| * sum_{k in S} [d(c_pi(T2), c_k(T2)) - d(c_pi(T1), c_k(T1))] / d(c_pi(T1), c_k(T1))`.
    Systematic diffusion is eta < 0 on S1 (similar classes) together with eta > 0 on S2 (dissimilar ones).

    Args:
        low: [C, d] class centroids of the student distilled at T1.
        high: [C, d'] class centroids of the student distilled at T2 > T1; d' may differ from d.
        target: class index pi.
        classes: the set S, class indices without `target`.
        normalization: what distances are divided by, separately at T1 and T2 (the paper says "normalized" and no more):
            `none`; `mean_pairwise`, the mean distance over all pairs of classes that have a centroid; `target_mean`,
            the mean distance from `target` to the classes `normalize_over`. Mind that the latter makes the mean change
            over S1 and S2 nearly 0, so that opposite signs on the two say little.
        normalize_over: the classes of `target_mean`, S1 and S2 together; None: every other class that has a centroid.
            The other normalizations do not read it.

    Raises UserError for an empty set, an index out of range, `target` inside the set, an unknown normalization, a class
    without a centroid, or two classes whose centroids coincide at T1.
    """
    if low.shape[0] != high.shape[0]:
        raise UserError(f"the two students have {low.shape[0]} and {high.shape[0]} classes; they must have the same")
    _check_set("class set", low.shape[0], target, classes)
    if normalize_over is not None:
        _check_set("set to normalize over", low.shape[0], target, normalize_over)
    # Both sides are normalized over the same classes: those that both students have seen.
    seen = low.isfinite().all(dim=1) & high.isfinite().all(dim=1)
    needed = [target, *classes, *(normalize_over or () if normalization == "target_mean" else ())]
    if unseen := [k for k in dict.fromkeys(needed) if not seen[k]]:
        raise UserError(f"classes {unseen} have no examples in one of the students' data, so they have no centroid")
    low, high = (c.double().masked_fill(~seen.unsqueeze(1), torch.nan) for c in (low, high))
    before = centroid_distances(low, target, normalization, normalize_over)[list(classes)]
    after = centroid_distances(high, target, normalization, normalize_over)[list(classes)]
    if not bool((before > 0).all() and after.isfinite().all()):
        raise UserError(f"the centroid of class {target} coincides with another of {list(classes)}: eta is undefined")
    return float(((after - before) / before).mean())


def centroid_distances(
    centroids: Tensor,
    target: int,
    normalization: str = "mean_pairwise",
    normalize_over: Sequence[int] | None = None,
) -> Tensor:
    """Normalized Euclidean distance from class `target` to every class: [C], float64 (0 at `target` itself).

    `centroids` is [C, d]; rows of NaN (classes without examples) have distance NaN and do not enter the normalizer.
    `normalization` and `normalize_over` as in `diffusion_index`.
    """
    centroids = centroids.double()
    distances = torch.linalg.vector_norm(centroids - centroids[target], dim=1)
    seen = ~distances.isnan()
    if normalization == "none":
        return distances
    if normalization == "mean_pairwise":
        return distances / mean_pairwise_distance(centroids[seen])
    if normalization == "target_mean":
        if normalize_over is not None:
            return distances / distances[list(normalize_over)].mean()
        seen[target] = False
        return distances / distances[seen].mean()
    raise UserError(f"unknown normalization {normalization!r}; choose one of {', '.join(NORMALIZATIONS)}")


def mean_pairwise_distance(centroids: Tensor) -> float:
    """Mean Euclidean distance over all pairs of `centroids` [C, d]; NaN below two. Memory is O(C d), not O(C^2)."""
    if (classes := len(centroids)) < 2:
        return math.nan
    centred = centroids.double() - centroids.double().mean(dim=0)  # cdist subtracts squares: keep them small
    total = 0.0
    for start in range(0, classes, _ROWS):
        distances = torch.cdist(centred[start : start + _ROWS], centred[start:])
        total += float(distances.triu(diagonal=1).sum())
    return total / (classes * (classes - 1) / 2)


def on_one_scale(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """`low` [C, d] and `high` [C, d'], each divided by its mean pairwise distance over the classes that both have seen.

    `diffusion_index` with normalization `none` on these equals `mean_pairwise` on the originals: for many targets among
    thousands of classes, all the pairs are then measured once.
    """
    seen = low.isfinite().all(dim=1) & high.isfinite().all(dim=1)
    return low.double() / mean_pairwise_distance(low[seen]), high.double() / mean_pairwise_distance(high[seen])


def _check_set(kind: str, num_classes: int, target: int, classes: Sequence[int]) -> None:
    if not classes:
        raise UserError(f"the {kind} is empty; name at least one class")
    if outside := [k for k in (target, *classes) if not 0 <= k < num_classes]:
        raise UserError(f"class indices {outside} are not in 0 to {num_classes - 1}")
    if target in classes:
        raise UserError(f"the target class {target} is in its own {kind}; remove it there")
    if len(set(classes)) != len(classes):
        raise UserError(f"the {kind} {list(classes)} names a class twice")
