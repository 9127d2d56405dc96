"""C1 and C2: what label smoothing does to the clusters of penultimate features."""

from __future__ import annotations

from shared.report.cells import Values, contrast
from shared.report.claims.comparison import Comparison, Verdict, judge
from shared.report.claims.evidence import Evidence
from shared.report.metrics import Key
from shared.report.scores import TEACHER, Row
from shared.report.text import ALPHA, temperature_label

_NO_RECORDS = "records of kind clusters"
_WORDS = {
    "spread": "spread",
    "stability": "stability",
    "similar": "distance between similar classes",
    "separation": "separation of similar classes",
}


def tighter_clusters(evidence: Evidence) -> Verdict:
    """C1: the spread of the teacher's clusters falls with alpha, on train and on validation."""
    comparisons, missing = _compare(evidence, [TEACHER], {"spread": (-1, True), "stability": (+1, False)})
    return judge("C1", "Label smoothing tightens the teacher's clusters.", comparisons, missing, seeds=evidence.seeds)


def larger_distances(evidence: Evidence) -> Verdict:
    """C2: the distance between similar classes rises with alpha, in the teacher and its student at T_low."""
    low = evidence.low
    rows: list[Row] = [TEACHER, low] if low is not None else [TEACHER]
    comparisons, missing = _compare(evidence, rows, {"similar": (+1, True), "separation": (+1, False)})
    student = "its student" if low is None else f"its student at {temperature_label(low)}"
    statement = f"Label smoothing moves similar classes apart, in the teacher and in {student}."
    if low is None:
        missing = [*missing, "a student with a temperature"]
    note = _sets_note(evidence, comparisons)
    return judge("C2", statement, comparisons, missing, seeds=evidence.seeds, note=note)


def _compare(
    evidence: Evidence, rows: list[Row], metrics: dict[str, tuple[int, bool]]
) -> tuple[list[Comparison], list[str]]:
    """`metrics` maps a metric to its predicted sign and whether the claim requires it."""
    if not evidence.clusters.group.items:
        return [], [_NO_RECORDS]
    comparisons: list[Comparison] = []
    missing: list[str] = []
    for name, (sign, required) in metrics.items():
        for row in rows:
            for split in evidence.cluster_splits:
                label = f"{_WORDS[name]} of the {_row(row)}, {split}, {ALPHA} {evidence.alpha:g} minus 0"
                values = _change(evidence, row, f"{split}/{name}")
                if values:
                    comparisons.append(Comparison(label, sign, required, values, "ratio", 4))
                elif required:
                    missing.append(label)
    return comparisons, missing


def _change(evidence: Evidence, row: Row, metric: str) -> Values:
    high, low = (evidence.clusters.observed(row, alpha, Key.parse(metric)) for alpha in (evidence.alpha, 0.0))
    return contrast([(1.0, high), (-1.0, low)])


def _row(row: Row) -> str:
    return "teacher" if row == TEACHER else f"student at {temperature_label(row if not isinstance(row, str) else None)}"


def _sets_note(evidence: Evidence, comparisons: list[Comparison]) -> str:
    """Records say their sets of classes in notes, `TARGET (chosen by): S1 ...; S2 ...`; a pair must share them."""
    sets = {i.record.name: {n for n in i.record.notes if ": S1 " in n} for i in evidence.clusters.group.items}
    pairs = [names for c in comparisons for names, _ in c.values.values()]
    if any(sets[name] != sets[names[0]] for names in pairs for name in names):
        return "Some records that are compared here measured other sets of similar classes (their notes name them)."
    return ""
