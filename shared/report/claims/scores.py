"""C4 and C5: what the temperature and the teacher's alpha do to the student's score."""

from __future__ import annotations

from dataclasses import replace

from shared.report.cells import contrast
from shared.report.claims.comparison import Comparison, Verdict, judge
from shared.report.claims.evidence import Evidence
from shared.report.metrics import Key, unit_label
from shared.report.score_tables import headline_key
from shared.report.text import ALPHA, MINUS, number
from shared.stats import mean_interval

Cell = tuple[float, float]  # (alpha, T)


def larger_loss(evidence: Evidence) -> Verdict:
    """C4: [score(T) - score(T_low)] of alpha minus that of 0 is below 0, for every T above T_low."""
    key, temperatures, alpha = _key(evidence), evidence.temperatures, evidence.alpha
    statement = "The student loses more from a higher T when its teacher has label smoothing."
    if key is None or len(temperatures) < 2:
        return judge("C4", statement, [], ["students of two temperatures, with BLEU or top-1 accuracy on a test set"])
    comparisons, missing, low = [], [], temperatures[0]
    for high in temperatures[1:]:
        label = f"(T {high:g} {MINUS} T {low:g}) of {ALPHA} {alpha:g} minus that of {ALPHA} 0"
        terms: list[tuple[float, Cell]] = [
            *((1.0, (alpha, high)), (-1.0, (alpha, low))),
            *((-1.0, (0.0, high)), (1.0, (0.0, low))),
        ]
        if found := _compare(evidence, key, label, -1, terms):
            comparisons.append(found)
        else:
            missing.append(label)
    return judge("C4", statement, comparisons, missing, seeds=evidence.seeds, measure=_measure(key))


def best_student(evidence: Evidence) -> Verdict:
    """C5: score(alpha, T_low) - score(any other cell) is above 0."""
    key, temperatures = _key(evidence), evidence.temperatures
    shown = f"T = {temperatures[0]:g}" if temperatures else "the lowest T"
    statement = f"An LS teacher with {shown} gives the best student."
    if key is None or not temperatures:
        return judge("C5", statement, [], ["students with BLEU or top-1 accuracy on a test set"])
    best = (evidence.alpha, temperatures[0])
    comparisons, missing = [], []
    for cell in ((alpha, t) for alpha in (evidence.alpha, 0.0) for t in temperatures):
        if cell == best:
            continue
        label = f"{_name(best)} minus {_name(cell)}"
        if found := _compare(evidence, key, label, 1, [(1.0, best), (-1.0, cell)]):
            comparisons.append(replace(found, items_p=evidence.items.p_value(found, key)))
        else:
            missing.append(label)
    note = _best_note(evidence, key)
    return judge("C5", statement, comparisons, missing, seeds=evidence.seeds, measure=_measure(key), note=note)


def _compare(evidence: Evidence, key: Key, label: str, sign: int, terms: list[tuple[float, Cell]]) -> Comparison | None:
    values = contrast([(weight, evidence.models.observed(t, alpha, key)) for weight, (alpha, t) in terms])
    if not values:
        return None
    comparison = Comparison(label, sign, True, values, _unit(evidence, key), key.scale.digits)
    return replace(comparison, items=evidence.items.interval(comparison, [weight for weight, _ in terms], key))


def _key(evidence: Evidence) -> Key | None:
    """The headline score, where a higher one is better."""
    key = headline_key(evidence.models)
    return key if key and key.scale.rank == 0 else None


def _unit(evidence: Evidence, key: Key) -> str:
    metrics = evidence.models.metrics(key)
    return "points" if unit_label(metrics[0], key) == " (%)" else key.scale.label


def _best_note(evidence: Evidence, key: Key) -> str:
    """Which cell has the best mean, whatever the claim says."""
    alphas = (evidence.alpha, 0.0)
    cells = {(alpha, t): evidence.models.observed(t, alpha, key) for t in evidence.temperatures for alpha in alphas}
    means = {cell: mean_interval([value for _, value in of.values()]).mean for cell, of in cells.items() if of}
    if not means:
        return ""
    best, mean = max(means.items(), key=lambda entry: entry[1])
    return f"The best mean is that of {_name(best)}: {number(mean, key.scale.digits)}."


def _name(cell: Cell) -> str:
    return f"T {cell[1]:g} with {ALPHA} {cell[0]:g}"


def _measure(key: Key) -> str:
    return f"Score: {key.label}."
