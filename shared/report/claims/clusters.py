"""C1 and C2: what label smoothing does to the clusters of penultimate features."""

from __future__ import annotations

import math

from shared.report.cells import Observations, Values, contrast
from shared.report.claims.comparison import LEVEL, Comparison, Verdict, judge
from shared.report.claims.evidence import Evidence
from shared.report.metrics import Key
from shared.report.scores import TEACHER, Row
from shared.report.text import ALPHA, listing, temperature_label

_NO_RECORDS = "records of kind clusters"
_WORDS = {
    "spread": "spread",
    "stability": "stability",
    "within": "distance to the own centroid, unscaled,",
    "similar": "distance between similar classes",
    "separation": "separation of similar classes",
    "similar*between": "distance between similar classes, unscaled,",
}
_SPREAD = (
    "Spread: the root-mean-square distance of a feature to its class's centroid, over the mean distance between "
    "centroids; label "
    "smoothing also shrinks all features, so what is not scaled says little of clusters."
)
_SIMILAR = (
    "Distance between similar classes: between the centroids of a target and its S1, over the mean distance between "
    "all centroids: apart, or together, as compared with all classes."
)


def tighter_clusters(evidence: Evidence) -> Verdict:
    """C1: the spread of the teacher's clusters falls with alpha, on train and on validation."""
    metrics = {"spread": (-1, True), "stability": (+1, False), "within": (-1, False)}
    comparisons, missing = _compare(evidence, [TEACHER], metrics)
    statement = "Label smoothing tightens the teacher's clusters."
    note = _beside_note(comparisons)
    return judge("C1", statement, comparisons, missing, seeds=evidence.seeds, measure=_SPREAD, note=note)


def larger_distances(evidence: Evidence) -> Verdict:
    """C2: the distance between similar classes rises with alpha, in the teacher and its student at T_low."""
    low = evidence.low
    rows: list[Row] = [TEACHER, low] if low is not None else [TEACHER]
    metrics = {"similar": (+1, True), "separation": (+1, False), "similar*between": (+1, False)}
    comparisons, missing = _compare(evidence, rows, metrics)
    student = "its student" if low is None else f"its student at {temperature_label(low)}"
    statement = f"Label smoothing moves similar classes apart, compared with all, in the teacher and in {student}."
    if low is None:
        missing = [*missing, "a student with a temperature"]
    note = " ".join(filter(None, [_sets_note(evidence, comparisons), _beside_note(comparisons)]))
    return judge("C2", statement, comparisons, missing, seeds=evidence.seeds, measure=_SIMILAR, note=note)


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
                values = _change(evidence, row, [f"{split}/{part}" for part in name.split("*")])
                unit = "feature units" if name in ("within", "similar*between") else "ratio"
                if values:
                    comparisons.append(Comparison(label, sign, required, values, unit, 4))
                elif required:
                    missing.append(label)
    return comparisons, missing


def _change(evidence: Evidence, row: Row, metrics: list[str]) -> Values:
    """Of the metrics' product."""
    high, low = (_product(evidence, row, alpha, metrics) for alpha in (evidence.alpha, 0.0))
    return contrast([(1.0, high), (-1.0, low)])


def _product(evidence: Evidence, row: Row, alpha: float, metrics: list[str]) -> Observations:
    factors = [evidence.clusters.observed(row, alpha, Key.parse(metric)) for metric in metrics]
    common = [seeds for seeds in factors[0] if all(seeds in factor for factor in factors)]
    return {seeds: (factors[0][seeds][0], math.prod(factor[seeds][1] for factor in factors)) for seeds in common}


def _beside_note(comparisons: list[Comparison]) -> str:
    """What is not required and yet differs from 0 by its own p: a verdict on one measure must not hide the others."""
    told = []
    for side, words in ((1, "as predicted"), (-1, "the other way")):
        splits: dict[str, list[str]] = {}
        for comparison in (c for c in comparisons if _stands_out(c) and c.direction == side):
            what, _, split = comparison.label.rpartition(f", {ALPHA}")[0].rpartition(", ")
            splits.setdefault(what, []).append(split)
        if splits:
            told.append(f"{words}: {'; '.join(f'{what} ({listing(of)})' for what, of in splits.items())}")
    return f"Beside it, not required (p < {LEVEL:g}, not corrected), {', but '.join(told)}." if told else ""


def _stands_out(comparison: Comparison) -> bool:
    return not comparison.required and comparison.p is not None and comparison.p < LEVEL


def _row(row: Row) -> str:
    return "teacher" if row == TEACHER else f"student at {temperature_label(row if not isinstance(row, str) else None)}"


def _sets_note(evidence: Evidence, comparisons: list[Comparison]) -> str:
    """Records say their sets of classes in notes, `TARGET (chosen by): S1 ...; S2 ...`; a pair must share them."""
    sets = {i.record.name: {n for n in i.record.notes if ": S1 " in n} for i in evidence.clusters.group.items}
    pairs = [names for c in comparisons for names, _ in c.values.values()]
    if any(sets[name] != sets[names[0]] for names in pairs for name in names):
        return "Some records that are compared here measured other sets of similar classes (their notes name them)."
    return ""
