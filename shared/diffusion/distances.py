"""Euclidean distances between class centroids: all pairs at the speed of a matrix product, to 12 digits or more."""

import math

import torch
from torch import Tensor

PART = 256  # rows of the distance matrix that are held at a time
_CLOSE = 1e-2  # of the squared norms: below it, squares that are subtracted lose two of their digits
_VALUES = 1 << 21  # of pairs that are subtracted at a time


def centroid_distances(centroids: Tensor, target: int) -> Tensor:
    """Euclidean distance from class `target` to every class: [C], float64 (0 at `target` itself).

    `centroids` is [C, d]; rows of NaN (classes without examples) have distance NaN.
    """
    centroids = centroids.double()
    return torch.linalg.vector_norm(centroids - centroids[target], dim=1)


def distances_between(rows: Tensor, centroids: Tensor) -> Tensor:
    """Distances of all of `rows` [r, d] to all of `centroids` [C, d], float64: [r, C]; NaN where either is NaN.

    `|a|^2 + |b|^2 - 2ab` is ten times as fast as subtracting the vectors, but loses digits where a and b lie nearer to
    each other than to 0. So give what is centred; pairs that are still close are subtracted after all. The relative
    error is then about 1e-13, and equal centroids are exactly 0 apart.
    """
    norms = rows.square().sum(dim=1, keepdim=True) + centroids.square().sum(dim=1)
    squared = torch.addmm(norms, rows, centroids.T, alpha=-2)
    close = (squared <= _CLOSE * norms).nonzero()
    for pairs in close.split(max(1, _VALUES // max(1, rows.shape[1]))):
        row, column = pairs.unbind(dim=1)
        squared[row, column] = (rows[row] - centroids[column]).square().sum(dim=1)
    return squared.sqrt()


def mean_pairwise_distance(centroids: Tensor) -> float:
    """Mean Euclidean distance over all pairs of `centroids` [C, d]; NaN below two. Memory is O(C d), not O(C^2)."""
    if (classes := len(centroids)) < 2:
        return math.nan
    centred = centroids.double() - centroids.double().mean(dim=0)
    total = 0.0
    for start in range(0, classes, PART):
        distances = distances_between(centred[start : start + PART], centred[start:])
        total += float(distances.triu(diagonal=1).sum())
    return total / (classes * (classes - 1) / 2)


def on_one_scale(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """`low` [C, d] and `high` [C, d'], each divided by its mean pairwise distance over the classes that both have seen.

    `diffusion_index` with normalization `none` on these equals `mean_pairwise` on the originals: for many targets among
    thousands of classes, all the pairs are then measured once.
    """
    seen = low.isfinite().all(dim=1) & high.isfinite().all(dim=1)
    return low.double() / mean_pairwise_distance(low[seen]), high.double() / mean_pairwise_distance(high[seen])
