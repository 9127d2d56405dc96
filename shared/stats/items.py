"""Resampling of test items, and of seeds with them: the interval and the test of a score that is no mean over items.

Outcomes are [S, N, k]: for S seeds and N test items, k counts that a score is computed from once they are summed over
the items. BLEU has 10 (`shared.bleu`), top-1 accuracy has 1 (right or wrong). A score maps sums [..., k] to [...]; N
never changes, so accuracy in percent is `lambda sums: 100 * sums[..., 0] / N`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]
Score: TypeAlias = Callable[[Array], Array]

_BLOCK = 2**20  # resampled items held at once, 8 bytes each
_ROUNDING = 1e-12  # of the scores: differences this close are equal


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, in the unit of what it is about."""

    low: float
    high: float


def bootstrap_interval(
    cells: Sequence[ArrayLike],
    weights: Sequence[float],
    score: Score,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the contrast `mean over seeds of sum_c weights[c] * score(sum over items of cells[c])`.

    Each of `cells` is [S, N, k], the same items and seeds in the same order. Seeds and items are resampled with
    replacement, crossed: one draw takes the same items for every seed and cell, and the same seeds for every cell (the
    pigeonhole bootstrap, Owen 2007). With S = 1 items alone are resampled. Its variance has the items' part right, the
    seeds' part times (S - 1) / S, so that it is too narrow for few seeds that differ much (use `mean_interval` of the
    contrast there), and their interaction's part up to three times. Raises ValueError for cells of different or empty
    shape, weights of another number, a level outside (0, 1), no draws, or scores that are not finite.
    """
    outcomes = _by_item(cells)
    items, _, seeds, _ = outcomes.shape
    if len(weights) != len(cells) or not 0.0 < level < 1.0 or draws < 1:
        raise ValueError(f"want {len(cells)} weights, 0 < level < 1, draws >= 1; got {weights}, {level}, {draws}")
    rng = np.random.default_rng(seed)
    seed_counts = rng.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=draws)
    sums = (np.tensordot(_item_counts(rng, items, rows), outcomes, 1) for rows in _blocks(draws, items))
    scores = np.concatenate([_scores(block, score) for block in sums])
    contrasts = np.einsum("dcs,c,ds->d", scores, np.asarray(weights, dtype=np.float64), seed_counts / seeds)
    low, high = np.quantile(contrasts, [(1.0 - level) / 2, (1.0 + level) / 2])
    return Interval(float(low), float(high))


def item_permutation_test(
    first: ArrayLike, second: ArrayLike, score: Score, *, draws: int = 2000, seed: int = 0
) -> float:
    """Two-sided p of "the two systems are alike": approximate randomization (Noreen 1989; Riezler and Maxwell 2005).

    `first` and `second` are [S, N, k]. A draw lets the two outcomes of an item change places or not, for all its seeds
    at once; the statistic is |mean over seeds of score(first) - score(second)|, and p is (count + 1) / (draws + 1) for
    the count of draws that reach the observed one. The items are the sample: it speaks of these trained systems on
    other items, not of other seeds. Raises ValueError as `bootstrap_interval` does.
    """
    outcomes = _by_item([first, second])
    if draws < 1:
        raise ValueError(f"want draws >= 1, got {draws}")
    totals, exchanged = outcomes.sum(axis=0), outcomes[:, 0] - outcomes[:, 1]
    observed = _scores(totals[None], score)
    threshold = _separation(observed)[0] - _ROUNDING * np.abs(observed).mean()
    rng = np.random.default_rng(seed)
    count = 0
    for rows in _blocks(draws, len(outcomes)):
        swaps = rng.integers(0, 2, (rows, len(outcomes)), dtype=np.int8).astype(np.float64)
        moved = np.tensordot(swaps, exchanged, 1)
        scores = _scores(np.stack([totals[0] - moved, totals[1] + moved], axis=1), score)
        count += int(np.sum(_separation(scores) >= threshold))
    return (count + 1) / (draws + 1)


def _separation(scores: Array) -> Array:
    """[draws, 2, S] -> [draws]: |mean over seeds of the first minus the second|."""
    differences: Array = (scores[:, 0] - scores[:, 1]).mean(axis=-1)
    return np.abs(differences)


def _by_item(cells: Sequence[ArrayLike]) -> Array:
    """C cells of [S, N, k] as one [N, C, S, k], so that a matrix product over items gives the sums of all."""
    arrays = [np.asarray(cell) for cell in cells]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or any(len(shape) != 3 or 0 in shape for shape in shapes):
        raise ValueError(f"want cells of one shape [seeds, items, counts], got {[array.shape for array in arrays]}")
    return np.stack([np.moveaxis(array, 1, 0) for array in arrays], axis=1, dtype=np.float64)


def _scores(sums: Array, score: Score) -> Array:
    """[draws, C, S, k] -> [draws, C, S]."""
    scores = np.asarray(score(sums))
    if scores.shape != sums.shape[:-1] or not np.isfinite(scores).all():
        raise ValueError(f"want a finite score for each of {sums.shape[:-1]} sums, got shape {scores.shape} or NaN")
    return scores


def _item_counts(rng: np.random.Generator, items: int, rows: int) -> Array:
    """[rows, items]: how often each item is in a sample of as many, drawn with replacement."""
    drawn = rng.integers(0, items, (rows, items)) + items * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * items).reshape(rows, items).astype(np.float64)


def _blocks(draws: int, items: int) -> Iterator[int]:
    """Numbers of draws, adding up to `draws`, whose items fit in memory together."""
    rows = max(1, _BLOCK // items)
    for start in range(0, draws, rows):
        yield min(rows, draws - start)
