"""Whether several noisy teachers are worth what Kaplun et al. (NeurIPS 2022) report, in words and with the numbers."""

from __future__ import annotations

from dataclasses import dataclass

from shared.report.several import BEST, ENSEMBLE, EPL, LAW, RPL, SINGLE, Difference, Method, SeveralTeachers
from shared.report.text import CONFIDENCE, MINUS, NO_BREAK, PLUS_MINUS, SAME_OR_MORE, listing, number, signed
from shared.stats import MeanInterval, mean_interval

SHOWN, OPEN, AGAINST, UNTOLD = "shown", "not contradicted", "contradicted", "cannot tell"
PUBLISHED_ORDER = f"one teacher < ensemble {SAME_OR_MORE} EPL, RPL"
ABOVE, NOT_BELOW, EQUAL = f">{NO_BREAK}0", f"\N{GREATER-THAN OR EQUAL TO}{NO_BREAK}0", "as good"
# (claim, high, low): what the paper says of high - low. The first three are its order.
CLAIMS = (
    (ABOVE, ENSEMBLE, SINGLE),
    (NOT_BELOW, EPL, ENSEMBLE),
    (NOT_BELOW, RPL, ENSEMBLE),
    (EQUAL, RPL, EPL),
)
# The worst first: what the order is by its worst differences, and the head of further ones.
_VERDICTS = {
    AGAINST: ("is contradicted", ""),
    OPEN: ("is not contradicted", "Not contradicted"),
    UNTOLD: ("cannot be told", "Cannot be told"),
    SHOWN: ("is shown", "Shown"),
}


@dataclass(frozen=True)
class Gap:
    """The difference of two methods with k teachers, and what its interval says of the paper's claim."""

    high: Method
    low: Method
    claim: str
    difference: Difference

    @property
    def found(self) -> MeanInterval:
        return self.difference.found

    @property
    def label(self) -> str:
        """`EPL - test-time ensemble (vote)`."""
        details = "; ".join(dict.fromkeys(method.detail for method in (self.high, self.low) if method.detail))
        return f"{self.high.name} {MINUS} {self.low.name}" + (f" ({details})" if details else "")

    @property
    def verdict(self) -> str:
        """Shown where the whole interval is as published, contradicted where none of it is.

        That two methods are equally good is never shown: an interval with few replicates includes 0 too. Equal
        differences tell nothing: over a few hundred images those of two replicates are often the same.
        """
        if self.found.half_width is None:
            return UNTOLD
        low, high = self.found.mean - self.found.half_width, self.found.mean + self.found.half_width
        if self.claim == EQUAL:
            return OPEN if low <= 0 <= high else AGAINST
        if self.claim == ABOVE:
            return SHOWN if low > 0 else AGAINST if high <= 0 else OPEN
        return SHOWN if low >= 0 else AGAINST if high < 0 else OPEN

    @property
    def remark(self) -> str:
        """`> 0: shown, n = 3`, `one replicate: cannot tell`."""
        if self.verdict == UNTOLD:
            return f"{_replicates(self.found)}: {UNTOLD}"
        said = f"{self.claim}: {self.verdict}"
        if self.claim == EQUAL:
            said = f"interval {'includes' if self.verdict == OPEN else 'excludes'} 0"
        return f"{said}, n{NO_BREAK}={NO_BREAK}{self.found.n}"

    def told(self) -> str:
        """`EPL - test-time ensemble +1.20 (95 % t interval +0.80 to +1.60, n = 3)`."""
        return f"{self.label} {_told(self.found)}"


def gaps(study: SeveralTeachers, k: int) -> list[Gap]:
    """The differences that the paper speaks of, of k teachers; one for each combination that there is.

    Students by an ensemble's labels are compared with the ensemble that is combined as theirs is, where there is one.
    """
    found = []
    for claim, high, low in CLAIMS:
        for upper in _methods(study, high, k):
            lowers = _methods(study, low, k)
            for lower in [method for method in lowers if method.detail == upper.detail] or lowers:
                between = study.difference(upper, lower)
                found += [Gap(upper, lower, claim, between)] if between else []
    return found


def order(found: list[Gap]) -> str:
    """What these say of the published order: the worst of its differences; empty where none is among them."""
    verdicts = {gap.verdict for gap in found if gap.claim != EQUAL}
    return next((verdict for verdict in _VERDICTS if verdict in verdicts), "")


def several_headline(study: SeveralTeachers) -> list[str]:
    """The levels, and what the paper says at the k that has most of it, the largest of these."""
    sentences = []
    by_k = {k: gaps(study, k) for k in study.sizes}
    if levels := _levels(study, max(study.sizes)):
        epoch = f", {study.epoch}" if study.epoch else ""
        sentences.append(f"Mean top-1 on the test set{epoch}: {listing(levels)}.")
    k, found = max(by_k.items(), key=lambda item: (len({gap.claim + gap.high.name for gap in item[1]}), item[0]))
    return [*sentences, *_order_told(k, found), *_equal_told(k, found), *_best_epoch(study), *_sampler(study)]


def _order_told(k: int, found: list[Gap]) -> list[str]:
    parts: list[str] = []
    for verdict, (said, head) in _VERDICTS.items():
        told = [gap.told() for gap in found if gap.verdict == verdict and gap.claim != EQUAL]
        first = f"At k{NO_BREAK}={NO_BREAK}{k} the published order ({PUBLISHED_ORDER}) {said}"
        parts += [f"{head if parts else first}: {'; '.join(told)}."] if told else []
    return [" ".join(parts)] if parts else []


def _equal_told(k: int, found: list[Gap]) -> list[str]:
    """With the half-width, below which no difference would be seen."""
    sentences = []
    for gap in (gap for gap in found if gap.claim == EQUAL):
        half, n = gap.found.half_width, f"n{NO_BREAK}={NO_BREAK}{gap.found.n}"
        spread = "" if half is None else f" {PLUS_MINUS} {number(half, 2)} ({CONFIDENCE}, {n})"
        said = {
            OPEN: "which includes 0, as published",
            AGAINST: "which excludes 0, unlike what is published",
            UNTOLD: f"and {_replicates(gap.found)} cannot tell whether the methods differ",
        }[gap.verdict]
        level = f"{gap.label} is {signed(gap.found.mean, 2)}{spread}"
        sentences.append(f"At k{NO_BREAK}={NO_BREAK}{k}, {level}, {said}.")
    return sentences


def _levels(study: SeveralTeachers, k: int) -> list[str]:
    shown = [method for method in study.methods if method.name == SINGLE or method.teachers == k]
    cells = [(method, [value for _, value in study.observed(method).values()]) for method in shown]
    return [f"{method.label} {number(mean_interval(values).mean, 2)}{NO_BREAK}%" for method, values in cells if values]


def _best_epoch(study: SeveralTeachers) -> list[str]:
    """What it does to stop before the noise is learned by heart."""
    best, last = study.observed(Method(SINGLE, 1), BEST), study.observed(Method(SINGLE, 1))
    gains = [value - last[key][1] for key, (_, value) in best.items() if key in last]
    if not gains or not study.noise:
        return []
    mean = mean_interval([value for _, value in best.values()]).mean
    return [
        f"At the epoch that the validation labels choose, noisy as they are, one teacher has {number(mean, 2)}"
        f"{NO_BREAK}%: {_told(Difference(tuple(gains), ()).found)} against its last epoch."
    ]


def _sampler(study: SeveralTeachers) -> list[str]:
    values = [value for _, value in study.observed(Method(SINGLE, 1), LAW).values()]
    if not values or not study.noise:
        return []
    return [
        f"Given the true class, the answers of one teacher are at total-variation distance "
        f"{number(mean_interval(values).mean, 3)} from the law of the noisy labels (0: it samples from them; "
        f"{study.noise:g}: it is always right)."
    ]


def _methods(study: SeveralTeachers, name: str, k: int) -> list[Method]:
    return [method for method in study.methods if method.name == name and (name == SINGLE or method.teachers == k)]


def _told(found: MeanInterval) -> str:
    """`+1.20 (95 % t interval +0.80 to +1.60, n = 3)`, or `+1.20 (one replicate)`."""
    if found.half_width is None:
        return f"{signed(found.mean, 2)} ({_replicates(found)})"
    ends = (signed(found.mean - found.half_width, 2), signed(found.mean + found.half_width, 2))
    interval = f"{CONFIDENCE} interval {ends[0]} to {ends[1]}, n{NO_BREAK}={NO_BREAK}{found.n}"
    return f"{signed(found.mean, 2)} ({interval})"


def _replicates(found: MeanInterval) -> str:
    """Those that give no interval: `one replicate`, `2 equal differences`."""
    return "one replicate" if found.n == 1 else f"{found.n}{NO_BREAK}equal differences"
