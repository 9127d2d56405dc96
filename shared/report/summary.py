"""The report in a few sentences, computed from the same cells as the tables."""

from __future__ import annotations

from shared.report.cells import Observations, difference
from shared.report.eta import EtaGroup
from shared.report.eta_tables import agreement_sentence
from shared.report.grouping import Sorting
from shared.report.metrics import Key, unit_label
from shared.report.score_tables import headline_key
from shared.report.scores import TEACHER, Row, Scores
from shared.report.text import CONFIDENCE, NO_BREAK, alpha_label, listing, number, signed, temperature_label
from shared.stats import MeanInterval, mean_interval

ONE_SEED = "n = 1 seed: there is no interval, so read each number as one observation."


def headlines(models: Sorting, etas: list[EtaGroup]) -> list[tuple[str, list[str]]]:
    """Lead and sentences for each group of models and each group of diffusion indices."""
    bullets: list[tuple[str, list[str]]] = []
    for group in models.groups:
        scores = Scores.of(group)
        if key := headline_key(scores):
            words = _Words(scores, key)
            if sentences := [*words.teachers(), *words.effects(), *words.best()]:
                bullets.append((scores.title, [*sentences, *words.seeds()]))
    for eta in etas:
        if said := agreement_sentence(eta):
            seeds = [ONE_SEED] if eta.most_seeds == 1 else []
            bullets.append((f"{eta.title}; normalization {eta.normalization}", [said, *seeds]))
    return bullets


class _Words:
    """Sentences on one metric of one group."""

    def __init__(self, scores: Scores, key: Key) -> None:
        self._scores, self._key = scores, key
        metrics = scores.metrics(key)
        self._percent = f"{NO_BREAK}%" if metrics and unit_label(metrics[0], key) == " (%)" else ""

    def teachers(self) -> list[str]:
        known = [(a, self._scores.observed(TEACHER, a, self._key)) for a in self._scores.alphas]
        shown = [f"{self._level(_mean(o))} with {alpha_label(a)}" for a, o in known if o]
        where = self._key.label.removeprefix(self._key.scale.label).removeprefix(", ")
        return [f"The teacher reaches {self._key.scale.label} {listing(shown)} ({where})."] if shown else []

    def effects(self) -> list[str]:
        """What raising T from its lowest value did, for each alpha, and how much more it did for the LS teacher."""
        temperatures = [t for t in self._scores.temperatures if t is not None]
        sentences = []
        for high in temperatures[1:]:
            changes = {a: self._changes(a, temperatures[0], high) for a in self._scores.alphas}
            moved = [self._effect(a, temperatures[0], high) for a, found in changes.items() if found]
            if moved:
                step = f"Raising T from {temperatures[0]:g} to {high:g} changed {self._key.scale.label}"
                sentences.append(f"{step} {listing(moved)}.")
            sentences += self._contrast(changes)
        return sentences

    def best(self) -> list[str]:
        """The best mean of a headline score (higher is better), where students differ in T or alpha."""
        cells = {
            (t, a): _mean(o)
            for t in self._scores.temperatures
            for a in self._scores.alphas
            if (o := self._scores.observed(t, a, self._key))
        }
        if len(cells) < 2 or self._key.scale.rank > 0:
            return []
        (t, alpha), value = max(cells.items(), key=lambda item: item[1])
        return [f"The best student here has {temperature_label(t)} and {alpha_label(alpha)}: {self._level(value)}."]

    def seeds(self) -> list[str]:
        return [ONE_SEED] if all(len(cell) == 1 for cell in self._scores.cells.values()) else []

    def _effect(self, alpha: float | None, low: Row, high: Row) -> str:
        who = f"the LS teacher ({alpha_label(alpha)})" if alpha else f"the teacher of {alpha_label(alpha)}"
        before, after = (self._scores.observed(row, alpha, self._key) for row in (low, high))
        change = difference(after, before)
        assert change is not None
        if change.half_width is not None:
            return f"by {self._change(change)} with {who}"
        pair = next(seeds for seeds in after if seeds in before)
        ends = f"from {self._level(before[pair][1])} to {self._level(after[pair][1])}"
        return f"{ends} ({self._change(change)}) with {who}"

    def _contrast(self, changes: dict[float | None, Observations]) -> list[str]:
        """Claim C4 of the paper: the change with label smoothing minus the change without."""
        sentences = []
        for alpha in (a for a in changes if a and changes.get(0.0)):
            gap = difference(changes[alpha], changes[0.0])
            if gap is not None:
                contrast = f"The change with {alpha_label(alpha)} minus that with {alpha_label(0.0)}"
                sentences.append(f"{contrast} is {self._change(gap)}.")
        return sentences

    def _changes(self, alpha: float | None, low: Row, high: Row) -> Observations:
        before, after = (self._scores.observed(row, alpha, self._key) for row in (low, high))
        return {seeds: (after[seeds][0], after[seeds][1] - before[seeds][1]) for seeds in after if seeds in before}

    def _level(self, value: float) -> str:
        return number(value, self._key.scale.digits) + self._percent

    def _change(self, change: MeanInterval) -> str:
        """`-1.11`, or with several seeds `-1.11 on average (95 % t interval -1.50 to -0.72, n = 3 paired seeds)`."""
        digits, points = self._key.scale.digits, " points" if self._percent else ""
        if change.half_width is None:
            return signed(change.mean, digits) + points
        ends = (change.mean - change.half_width, change.mean + change.half_width)
        interval = f"{CONFIDENCE} interval {signed(ends[0], digits)} to {signed(ends[1], digits)}"
        return f"{signed(change.mean, digits)}{points} on average ({interval}, n = {change.n} paired seeds)"


def _mean(observed: Observations) -> float:
    return mean_interval([value for _, value in observed.values()]).mean
