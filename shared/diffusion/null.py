"""Is a set of classes special? eta of random sets of as many classes, beside which that of S1 or S2 can be held."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from shared.diffusion.distances import PART, distances_between
from shared.results import Null

PREDICTED = {"S1": -1, "S2": 1}  # the sign of eta under systematic diffusion
_TIE = 1e-9  # of a mean of ratios: sums in another order differ by 1e-13 of it


def nulls_of(
    low: Tensor,
    high: Tensor,
    targets: Sequence[int],
    class_sets: Sequence[Sequence[int]],
    values: Sequence[float],
    set_names: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Iterator[Null | None]:
    """What eta is for random sets of as many classes, for each of n measured indices.

    Index i is `values[i]`, a ratio as `diffusion_indices` gives it, of `targets[i]` and `class_sets[i]`;
    `set_names[i]`, "S1" or "S2", says in which direction systematic diffusion predicts it. `low` [C, d] and
    `high` [C, d'] are the centroids at T1 and T2, NaN for a class without examples. Random sets are of all the classes
    that have both centroids, the target left out: every set of that size where there are no more than `draws` of them,
    else `draws` of them by `seed`. Targets share the draws, so that S1 and S2 of 1,000 classes take seconds.

    With r_k = d(c_pi(T2), c_k(T2)) / d(c_pi(T1), c_k(T1)), not normalized, eta(S) is s * mean_{k in S} r_k - 1 under
    every normalization, where s is what distances are divided by at T1 over that at T2. The measured set tells s, so
    random sets are on its own scale (`target_mean`: that of the measured S1 and S2), and p values are the same for
    every normalization. None where all classes of the set have come to lie on the target at T2, which leaves s open.
    """
    low, high = (centroids.double() - centroids.double().nanmean(dim=0) for centroids in (low, high))
    for start in range(0, len(targets), PART):
        rows = torch.tensor(targets[start : start + PART], device=low.device)
        before, after = (distances_between(centroids[rows], centroids) for centroids in (low, high))
        for place, ratios in enumerate((after / before).cpu().numpy(), start):
            yield _null(ratios, class_sets[place], values[place], PREDICTED[set_names[place]], draws, seed)


def _null(ratios: np.ndarray, classes: Sequence[int], value: float, sign: int, draws: int, seed: int) -> Null | None:
    measured = float(ratios[list(classes)].mean())
    if measured == 0:
        return None
    others = ratios[np.isfinite(ratios)]  # the target's own is 0 / 0
    means = _means(others, len(classes), draws, seed)
    exact = math.comb(len(others), len(classes)) <= draws
    as_far = int((sign * (means - measured) >= -_TIE * measured).sum())
    p_value = as_far / len(means) if exact else (as_far + 1) / (len(means) + 1)
    etas = means * ((1 + value) / measured) - 1
    low, high = np.quantile(etas, (0.025, 0.975)).tolist()
    return Null(len(means), float(etas.mean()), low, high, p_value, exact)


def _means(values: np.ndarray, size: int, draws: int, seed: int) -> np.ndarray:
    """Mean of `size` of the values: of every such set, or of `draws` of them, each as likely as any other."""
    few = min(size, len(values) - size)  # those in the set, or those outside: one tells the other
    every = math.comb(len(values), few) <= draws
    rows = _every(len(values), few) if every else _orders(len(values), draws, seed)[:, :few]
    sums = values[rows].sum(axis=1)
    return (sums if few == size else values.sum() - sums) / size


@lru_cache(maxsize=2)  # S1 and S2 of one target after another
def _every(classes: int, size: int) -> np.ndarray:
    """Every set of `size` of `classes`, one a row."""
    rows = list(combinations(range(classes), size))
    return np.array(rows, np.int64).reshape(len(rows), size)


@lru_cache(maxsize=1)
def _orders(classes: int, draws: int, seed: int) -> np.ndarray:
    """`draws` random orders of `classes`, one a row: the first of each are a random set of any size."""
    return np.random.default_rng(seed).random((draws, classes)).argsort(axis=1)
