"""A cell of a score table: observations over seeds, their mean and interval, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from shared.report.document import Cell
from shared.report.text import NO_BREAK, PLUS_MINUS, number, signed
from shared.stats import MeanInterval, mean_interval

# replicate -> (name of the record, value). What is compared pairs by replicate: (teacher seed, student seed; None for a
# teacher), or where students have several teachers (which teachers, student seed).
Observations = Mapping[Any, tuple[str, float]]
Values = Mapping[Any, tuple[tuple[str, ...], float]]  # the same of a number that comes from several records


def score_cell(observed: Observations, digits: int, *, expected: int = 1) -> Cell:
    """`15.63`, or `15.63 +- 0.42` over several seeds; linked to every record it comes from.

    A cell of fewer than `expected` seeds says so.
    """
    if not observed:
        return Cell("\N{EN DASH}", title="not run")
    values = [value for _, value in observed.values()]
    shown = mean_interval(values)
    text = number(shown.mean, digits) + interval_text(shown, digits)
    if shown.n < expected:
        text += f" (n{NO_BREAK}={NO_BREAK}{shown.n})"
    return Cell(text, tuple(name for name, _ in observed.values()), title=_full(values))


def difference(high: Observations, low: Observations) -> MeanInterval | None:
    """Mean of `high - low` over the seed pairs that both have; None where they share none."""
    common = [key for key in high if key in low]
    return mean_interval([high[key][1] - low[key][1] for key in common]) if common else None


def difference_cell(high: Observations, low: Observations, digits: int) -> Cell:
    """`difference` with its sign, e.g. `-1.11` or `-1.11 +- 0.30`; linked to the records of both sides."""
    shown = difference(high, low)
    if shown is None:
        return Cell("\N{EN DASH}", title="no seeds in common")
    paired = [side[key][0] for side in (high, low) for key in high if key in low]
    text = signed(shown.mean, digits) + interval_text(shown, digits)
    return Cell(text, tuple(dict.fromkeys(paired)), title=f"{shown.mean!r}, n = {shown.n}")


def contrast(terms: Sequence[tuple[float, Observations]]) -> Values:
    """`sum of weight * value` for every replicate that all terms have, with the records in the order of the terms."""
    common = [key for key in terms[0][1] if all(key in observed for _, observed in terms)]
    return {
        key: (
            tuple(dict.fromkeys(observed[key][0] for _, observed in terms)),
            math.fsum(weight * observed[key][1] for weight, observed in terms),
        )
        for key in common
    }


def contrast_cell(values: Values, digits: int) -> Cell:
    """The mean of `contrast` with its sign; linked to the records of all its terms."""
    if not values:
        return Cell("\N{EN DASH}", title="no seeds in common")
    numbers = [value for _, value in values.values()]
    shown = mean_interval(numbers)
    names = dict.fromkeys(name for names, _ in values.values() for name in names)
    return Cell(signed(shown.mean, digits) + interval_text(shown, digits), tuple(names), title=_full(numbers))


def interval_text(shown: MeanInterval, digits: int) -> str:
    if shown.half_width is None:
        return ""
    return f"{NO_BREAK}{PLUS_MINUS}{NO_BREAK}{number(shown.half_width, digits)}"


def seed_counts(cells: Sequence[Observations]) -> tuple[int, int]:
    """Fewest and most observations in the cells that have any."""
    sizes = [len(observed) for observed in cells if observed]
    return (min(sizes), max(sizes)) if sizes else (0, 0)


def _full(values: Sequence[float]) -> str:
    return ", ".join(repr(v) for v in values) if all(math.isfinite(v) for v in values) else ""
