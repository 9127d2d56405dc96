"""The diffusion index eta (Chandrasegaran et al. 2022, section 5)."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from shared.diffusion.distances import PART, distances_between, on_one_scale
from shared.errors import UserError

NORMALIZATIONS = ("mean_pairwise", "target_mean", "none")


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
    over = None if normalize_over is None else [normalize_over]
    indices = diffusion_indices(low, high, [target], [classes], normalization=normalization, normalize_over=over)
    return float(indices[0])


def diffusion_indices(
    low: Tensor,
    high: Tensor,
    targets: Sequence[int],
    class_sets: Sequence[Sequence[int]],
    *,
    normalization: str = "mean_pairwise",
    normalize_over: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """`diffusion_index` of many pairs of a target and a set at once: [n], float64.

    Pair i is `targets[i]` and `class_sets[i]`, with `normalize_over[i]` where that is given; the rest, and what is
    raised, as in `diffusion_index`. Distances are measured once for the pairs of one target that follow each other, so
    S1 and S2 of every one of 1,000 classes take half a second. Memory is O(C d), however many pairs there are.
    """
    over = normalize_over if normalization == "target_mean" else None
    _check(low, high, targets, class_sets, over, normalization)
    low, high = _seen_by_both(low, high, {*targets}.union(*class_sets, *(over or ())))
    if normalization == "mean_pairwise":
        low, high = on_one_scale(low, high)
    low, high = (c - c.nanmean(dim=0) for c in (low, high))
    parts = [slice(start, start + PART) for start in range(0, len(targets), PART)]
    found = [
        _indices(low, high, targets[some], class_sets[some], normalization, None if over is None else over[some])
        for some in parts
    ]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64)


def _indices(
    low: Tensor,
    high: Tensor,
    targets: Sequence[int],
    class_sets: Sequence[Sequence[int]],
    normalization: str,
    over: Sequence[Sequence[int]] | None,
) -> Tensor:
    rows, row = torch.tensor(targets, device=low.device).unique(return_inverse=True)
    owner, member = _flat(class_sets, low.device)
    before, after = (distances_between(c[rows], c)[row] for c in (low, high))  # [len(targets), C]
    first, last = before[owner, member], after[owner, member]
    if normalization == "target_mean":
        first, last = first / _target_means(before, over)[owner], last / _target_means(after, over)[owner]
    undefined = ~((first > 0) & last.isfinite())
    if bool(undefined.any()):
        pair = int(owner[undefined][0])
        raise UserError(
            f"the centroid of class {targets[pair]} coincides with another of {list(class_sets[pair])}: "
            "eta is undefined"
        )
    return _means((last - first) / first, owner)


def _flat(sets: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Members of all sets in a row, each with the place of its set: (owner [P], member [P])."""
    sizes = torch.tensor([len(one) for one in sets])
    member = torch.from_numpy(np.fromiter(chain.from_iterable(sets), np.int64))  # torch.tensor is slow for a million
    return torch.arange(len(sets)).repeat_interleave(sizes).to(device), member.to(device)


def _means(values: Tensor, owner: Tensor) -> Tensor:
    """Mean of the values [P] of each owner."""
    counts = torch.bincount(owner)
    return torch.zeros(len(counts), dtype=values.dtype, device=values.device).index_add_(0, owner, values) / counts


def _target_means(distances: Tensor, over: Sequence[Sequence[int]] | None) -> Tensor:
    """Mean of each row of [n, C] over the classes of `over[i]`; None: over all that have a centroid but the target."""
    if over is None:
        return distances.nansum(dim=1) / (~distances.isnan()).sum(dim=1).sub(1)  # the target is 0 from itself
    owner, member = _flat(over, distances.device)
    return _means(distances[owner, member], owner)


def _seen_by_both(low: Tensor, high: Tensor, needed: set[int]) -> tuple[Tensor, Tensor]:
    """Both in float64 and NaN where one has not seen the class, so that both are normalized over the same classes."""
    unseen = ~(low.isfinite().all(dim=1) & high.isfinite().all(dim=1))
    if missing := sorted(needed.intersection(unseen.nonzero().flatten().tolist())):
        raise UserError(f"classes {missing} have no examples in one of the students' data, so they have no centroid")
    rows = unseen.unsqueeze(1)
    return low.double().masked_fill(rows, torch.nan), high.double().masked_fill(rows, torch.nan)


def _check(
    low: Tensor,
    high: Tensor,
    targets: Sequence[int],
    class_sets: Sequence[Sequence[int]],
    over: Sequence[Sequence[int]] | None,
    normalization: str,
) -> None:
    if normalization not in NORMALIZATIONS:
        raise UserError(f"unknown normalization {normalization!r}; choose one of {', '.join(NORMALIZATIONS)}")
    if low.shape[0] != high.shape[0]:
        raise UserError(f"the two students have {low.shape[0]} and {high.shape[0]} classes; they must have the same")
    for kind, sets in (("class set", class_sets), ("set to normalize over", over)):
        for target, classes in zip(targets, sets, strict=True) if sets is not None else ():
            _check_set(kind, low.shape[0], target, classes)


def _check_set(kind: str, num_classes: int, target: int, classes: Sequence[int]) -> None:
    members = set(classes)
    if not members:
        raise UserError(f"the {kind} is empty; name at least one class")
    if min(target, *members) < 0 or max(target, *members) >= num_classes:
        outside = [k for k in (target, *classes) if not 0 <= k < num_classes]
        raise UserError(f"class indices {outside} are not in 0 to {num_classes - 1}")
    if target in members:
        raise UserError(f"the target class {target} is in its own {kind}; remove it there")
    if len(members) != len(classes):
        raise UserError(f"the {kind} {list(classes)} names a class twice")
