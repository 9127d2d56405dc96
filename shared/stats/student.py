"""Student's t: the interval of a mean over seeds, the quantile and the tail."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_GRID = 200_001


@dataclass(frozen=True)
class MeanInterval:
    """Mean of `n` values with the half-width of its confidence interval, None where one value gives none."""

    mean: float
    half_width: float | None
    n: int


def mean_interval(values: Sequence[float], level: float = 0.95) -> MeanInterval:
    """Student's t interval of the mean: `mean +- t(n - 1) * s / sqrt(n)`, s the sample standard deviation (n - 1).

    It assumes independent values, near normal. Values up to half the largest float do not overflow on the way; a
    half-width above the largest float is inf. Raises ValueError for no values or a level outside (0, 1).
    """
    n = len(values)
    if n == 0:
        raise ValueError("the mean of no values is undefined")
    mean = float(statistics.mean(values))  # exact; the sum alone may be above the largest float
    if n == 1:
        return MeanInterval(mean, None, 1)
    root = math.sqrt(n * (n - 1))
    standard_error = math.hypot(*((value - mean) / root for value in values))
    return MeanInterval(mean, t_quantile(0.5 + level / 2, n - 1) * standard_error, n)


@lru_cache
def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t, for a probability in [0.5, 1).

    With t = sqrt(degrees) * tan(theta) the density becomes cos(theta)^(degrees - 1) on (-pi/2, pi/2): bounded and
    smooth, so that one cumulative trapezoid sum inverts it to about 8 digits.
    """
    if not 0.5 <= probability < 1.0 or degrees < 1:
        raise ValueError(f"want a probability in [0.5, 1) and degrees >= 1, got {probability} and {degrees}")
    theta = np.linspace(0.0, np.pi / 2, _GRID)
    density = np.cos(theta) ** (degrees - 1)
    cumulative = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    angle = np.interp(2.0 * probability - 1.0, cumulative / cumulative[-1], theta)
    return float(math.sqrt(degrees) * math.tan(angle))


def t_tails(t: float, degrees: int) -> float:
    """P(|X| >= |t|) for Student's t with `degrees` >= 1: the two-sided p value. Raises ValueError for fewer degrees.

    With t = sqrt(degrees) / tan(phi) it is the integral of sin(phi)^(degrees - 1) from 0 to phi(t), over that from 0 to
    pi/2, which has a closed form. Nothing is subtracted from 1, so small values keep their digits (8 or more).
    """
    if degrees < 1:
        raise ValueError(f"want degrees >= 1, got {degrees}")
    phi = math.atan2(math.sqrt(degrees), abs(t))
    # log sin is concave with curvature below -1: what is left out here is less than exp(-40) of what is not.
    low = max(0.0, phi - 9.0 / math.sqrt(degrees))
    nodes, weights = np.polynomial.legendre.leggauss(100)
    points = low + (phi - low) * (1.0 + nodes) / 2
    tail = (phi - low) / 2 * float(weights @ np.sin(points) ** (degrees - 1))
    log_whole = math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2) + math.log(math.pi) / 2 - math.log(2.0)
    return min(1.0, tail * math.exp(-log_whole))
