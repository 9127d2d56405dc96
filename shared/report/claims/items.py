"""The outcomes of test items behind the scores of models: checked, then resampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared.outcomes import read_outcomes, score_function
from shared.report.claims.comparison import Comparison
from shared.report.metrics import Key
from shared.results import Result
from shared.stats import Interval, bootstrap_interval, item_permutation_test

Array = npt.NDArray[np.float64]
_DRAWS = 2000
_TOLERANCE = 1e-6  # between a record's score and that of its outcomes, in the score's unit


class Items:
    """Outcomes of the records of a study, read when first asked for. `cautions` grow with what does not fit."""

    def __init__(self, records: Mapping[Path, Result]) -> None:
        self._records = {record.name: (path.parent, record) for path, record in records.items()}
        self._read: dict[tuple[str, str], Array | None] = {}
        self.cautions: list[str] = []

    def interval(self, comparison: Comparison, weights: Sequence[float], key: Key) -> Interval | None:
        """Of the comparison that is the sum of weight * score over the records of each seed; None without outcomes."""
        if (cells := self._cells(comparison, len(weights), key)) is None:
            return None
        return bootstrap_interval(cells, list(weights), _score(key, cells), draws=_DRAWS)

    def p_value(self, comparison: Comparison, key: Key) -> float | None:
        """Of the permutation test between the two systems of a comparison; None without outcomes."""
        if (cells := self._cells(comparison, 2, key)) is None:
            return None
        return item_permutation_test(cells[0], cells[1], _score(key, cells), draws=_DRAWS)

    def _cells(self, comparison: Comparison, terms: int, key: Key) -> list[Array] | None:
        """[S, N, k] of each term; None unless every record has outcomes of the same number of items."""
        names = [names for names, _ in comparison.values.values()]
        if not names or any(len(of_seed) != terms for of_seed in names):
            return None
        found = [[self._outcomes(name, key) for name in of_seed] for of_seed in names]
        whole = [[rows for rows in of_seed if rows is not None] for of_seed in found]
        if any(len(of_seed) < terms for of_seed in whole):
            return None
        sizes = {len(rows) for of_seed in whole for rows in of_seed}
        if len(sizes) > 1:
            several = " and ".join(f"{size:,}" for size in sorted(sizes))
            self._caution(f"{key.label}: outcomes of {several} items are not of one test set, so no items are paired.")
            return None
        return [np.stack([of_seed[term] for of_seed in whole]) for term in range(terms)]

    def _outcomes(self, name: str, key: Key) -> Array | None:
        if (name, key.text) not in self._read:
            self._read[name, key.text] = self._checked(name, key)
        return self._read[name, key.text]

    def _checked(self, name: str, key: Key) -> Array | None:
        folder, record = self._records[name]
        rows = read_outcomes(folder).get(key.text)
        if rows is None or not len(rows):
            return None
        metric = record.metrics[key.text]
        score = float(score_function(key.text, len(rows))(rows.sum(axis=0)))
        if abs(score - metric.value) <= _TOLERANCE:
            return rows
        self._caution(
            f"{name}: its outcomes give {key.label} {score:.6f}, its record says {metric.value:.6f}; they are not used."
        )
        return None

    def _caution(self, text: str) -> None:
        if text not in self.cautions:
            self.cautions.append(text)


def _score(key: Key, cells: Sequence[Array]) -> Callable[[Array], Array]:
    return score_function(key.text, cells[0].shape[1])
