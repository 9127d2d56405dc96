"""Paired differences, one for each seed: is their mean 0, and how large is it?"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.stats.student import t_tails

_EXACT = 16  # 2^16 flips at most are all looked at
_BLOCK = 2**20
_ROUNDING = 1e-9  # of the sum of the differences' sizes: differences of scores are not exact


def t_test(differences: Sequence[float]) -> float | None:
    """Two-sided p value of "the mean is 0": Student's paired t test with n - 1 degrees (Student 1908).

    It assumes independent differences, near normal. Where all are equal, 1 if they are 0, else None: scores of a few
    hundred items are often the same in two seeds, which is no certainty. Raises ValueError for fewer than 2 differences
    or one that is not finite.
    """
    values = _scaled(differences, at_least=2)
    if _equal(values):
        return None if values.any() else 1.0
    return t_tails(_standardized(values) * math.sqrt(len(values)), len(values) - 1)


def effect_size(differences: Sequence[float]) -> float | None:
    """Hedges' g of paired differences: `mean / s * J(n - 1)`, s their sample standard deviation (Hedges 1981).

    `J(m) = Gamma(m / 2) / (sqrt(m / 2) * Gamma((m - 1) / 2))` takes out the bias of mean / s. None where that is
    undefined: for equal differences, for one, and for two, whose mean / s has no expectation (J(1) = 0). Raises
    ValueError for no differences or one that is not finite.
    """
    values = _scaled(differences, at_least=1)
    degrees = len(values) - 1
    if degrees < 2 or _equal(values):
        return None
    log_unbiased = math.lgamma(degrees / 2) - math.log(degrees / 2) / 2 - math.lgamma((degrees - 1) / 2)
    return _standardized(values) * math.exp(log_unbiased)


def sign_flip_test(differences: Sequence[float], *, draws: int = 100_000, seed: int = 0) -> float:
    """Two-sided permutation test of paired differences (Fisher 1935, chapter 3).

    If the pairs' two sides are alike, every difference may as well have the other sign. The p value is the share of the
    flips whose |sum| is at least the observed one: of all 2^n for n <= 16 (so never below 2 / 2^n: .0625 for 5 seeds,
    .25 for 3), otherwise of `draws` random ones, as (count + 1) / (draws + 1). A sum counts as equal within rounding.
    Raises ValueError for no differences or one that is not finite, and for no draws.
    """
    values = _scaled(differences, at_least=1)
    threshold = abs(values.sum()) - _ROUNDING * np.abs(values).sum()
    if len(values) <= _EXACT:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= threshold))
    if draws < 1:
        raise ValueError(f"want draws >= 1, got {draws}")
    rng = np.random.default_rng(seed)
    count, rows = 0, max(1, _BLOCK // len(values))
    for start in range(0, draws, rows):
        signs = rng.integers(0, 2, (min(rows, draws - start), len(values)), dtype=np.int8) * 2.0 - 1.0
        count += int(np.sum(np.abs(signs @ values) >= threshold))
    return (count + 1) / (draws + 1)


def _scaled(differences: Sequence[float], at_least: int) -> NDArray[np.float64]:
    """The differences, in units of a power of 2 above all: no test depends on it, and no square overflows."""
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) < at_least or not np.isfinite(values).all():
        raise ValueError(f"want {at_least} or more differences, all finite, got {differences}")
    scaled: NDArray[np.float64] = np.ldexp(values, -np.frexp(np.abs(values).max())[1])
    return scaled


def _equal(values: NDArray[np.float64]) -> bool:
    """Within rounding."""
    return bool(np.ptp(values) <= _ROUNDING * np.abs(values).max())


def _standardized(values: NDArray[np.float64]) -> float:
    """The mean in sample standard deviations (Cohen's d of paired differences)."""
    return float(values.mean() / values.std(ddof=1))
