"""One comparison of a claim, with its tests, and the rule that makes a verdict of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from shared.report.cells import Values
from shared.report.text import count
from shared.stats import Interval, MeanInterval, effect_size, holm, mean_interval, sign_flip_test, t_test

LEVEL = 0.05  # of Holm's adjusted p
CONFIRMED, REFUTED, UNDECIDED = "confirmed", "refuted", "undecided"


@dataclass(frozen=True)
class Comparison:
    """A quantity that a claim says is below or above 0, one value for each pair of seeds.

    `predicted_sign` is -1 or +1; 0 where the claim predicts none and the value stands beside the others. `values` maps
    seeds to the names of the records and the value, in `unit`. `items` is a bootstrap interval over test items (and
    seeds), `items_p` a permutation test over items, where the records have outcomes. `adjusted_p` is Holm's, over the
    required comparisons of the claim.
    """

    label: str
    predicted_sign: int
    required: bool
    values: Values
    unit: str
    digits: int = 2
    items: Interval | None = None
    items_p: float | None = None
    adjusted_p: float | None = None

    @cached_property
    def differences(self) -> list[float]:
        return [value for _, value in self.values.values()]

    @property
    def seeds(self) -> set[int | None]:
        """Of the students, or of the teachers where those are compared."""
        return {teacher if student is None else student for teacher, student in self.values}

    @cached_property
    def mean(self) -> MeanInterval:
        """With its 95 % t interval. Raises ValueError where there are no values."""
        return mean_interval(self.differences)

    @cached_property
    def p(self) -> float | None:
        """Of the two-sided t test that the mean is 0; None for one seed."""
        return t_test(self.differences) if len(self.values) > 1 else None

    @cached_property
    def sign_flip_p(self) -> float | None:
        return sign_flip_test(self.differences) if len(self.values) > 1 else None

    @cached_property
    def effect_size(self) -> float | None:
        """Hedges' g of the paired differences."""
        return effect_size(self.differences)

    @property
    def direction(self) -> int:
        """+1: the mean has the predicted sign; -1: the opposite one; 0: it is 0, or none is predicted."""
        side = self.mean.mean * self.predicted_sign
        return (side > 0) - (side < 0)

    @property
    def beyond_chance(self) -> bool:
        return self.adjusted_p is not None and self.adjusted_p < LEVEL


@dataclass(frozen=True)
class Verdict:
    """What the records say of one claim. `missing` names what it requires and the records do not hold, `measure` says
    what was compared, `note` what else its reader should know.
    """

    claim: str
    statement: str
    status: str
    comparisons: Sequence[Comparison]
    missing: Sequence[str] = ()
    measure: str = ""
    note: str = ""

    @property
    def required(self) -> list[Comparison]:
        return [comparison for comparison in self.comparisons if comparison.required]


def judge(
    claim: str,
    statement: str,
    comparisons: Sequence[Comparison],
    missing: Sequence[str] = (),
    *,
    absent: int | None = None,
    seeds: Sequence[int] = (),
    measure: str = "",
    note: str = "",
) -> Verdict:
    """Adjust the p values of the required comparisons, then apply the rule.

    `missing` stands for `absent` required comparisons, or for one each: they and those without a test count in Holm's
    correction with p = 1, so that nothing is beyond chance only because something else was not run.
    Refuted: at least one required comparison has the opposite sign beyond chance. Confirmed: all have the predicted one
    beyond chance, and neither a comparison nor one of the planned `seeds` is missing. Undecided otherwise, as with
    fewer than 2 seeds.
    """
    family = [c for c in comparisons if c.required]
    p_values = [1.0 if c.p is None else c.p for c in family] + [1.0] * (len(missing) if absent is None else absent)
    adjusted = dict(zip(map(id, family), holm(p_values), strict=False))
    judged = [c if c.p is None else replace(c, adjusted_p=adjusted.get(id(c))) for c in comparisons]
    required = [c for c in judged if c.required]
    missing = [*missing, *_short_of_seeds(required, set(seeds))]
    status = UNDECIDED
    if any(c.beyond_chance and c.direction < 0 for c in required):
        status = REFUTED
    elif required and not missing and all(c.beyond_chance and c.direction > 0 for c in required):
        status = CONFIRMED
    return Verdict(claim, statement, status, judged, missing, measure, note)


def _short_of_seeds(comparisons: Sequence[Comparison], planned: set[int]) -> list[str]:
    """`eta(S1), T 1 -> 3, train: 2 of 5 seeds` for each comparison without all of the planned seeds."""
    return [
        f"{c.label}: {len(planned & c.seeds)} of {count(len(planned), 'seed')}"
        for c in comparisons
        if not planned <= c.seeds
    ]
