"""C3: systematic diffusion, the signs of eta on similar and on dissimilar classes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product

from shared.report.cells import Values
from shared.report.claims.comparison import Comparison, Verdict, judge
from shared.report.claims.evidence import Evidence
from shared.report.eta import EXPECTED_SIGN, Column, EtaGroup, Line, Seeds
from shared.report.text import ALPHA, ARROW, ETA, listing

Step = tuple[float | None, float | None]  # (T1, T2)
ByTarget = dict[Seeds, dict[str, tuple[str, float]]]  # name of the record and percent, by seed and target
_PREFERRED = ("mean_pairwise", "none", "target_mean")
_STATEMENT = (
    f"With an LS teacher, a higher T draws a student's similar classes together ({ETA}(S1) < 0) and moves dissimilar "
    f"ones apart ({ETA}(S2) > 0)."
)


def systematic_diffusion(evidence: Evidence) -> Verdict:
    """C3: by seed, the mean of eta over the targets, for every (T1, T2) and split."""
    chosen, alpha = _chosen(evidence.etas), evidence.alpha
    groups = [group for group in chosen if alpha in group.alphas]
    splits = dict.fromkeys(split for group in groups for of, split in group.columns if of == alpha)
    comparisons = [c for group in groups for split in splits for c in _of_split(group, alpha, split)]
    comparisons.sort(key=lambda c: not c.required)
    found = {c.label for c in comparisons}
    wanted = [_label(name, group, split) for group in groups for split in splits for name in EXPECTED_SIGN]
    steps = [f"{ETA} for {_step(step)} with {ALPHA} {alpha:g}" for step in _absent(evidence, chosen)]
    lacking = [label for label in wanted if label not in found]
    missing = [*steps, *lacking] if chosen else ["records of kind diffusion"]
    absent = len(steps) * len(EXPECTED_SIGN) * max(1, len(splits)) + len(lacking)
    measure, note = _measure(chosen, evidence.etas), _sets_note(groups, alpha)
    return judge(
        "C3", _STATEMENT, comparisons, missing, absent=absent, seeds=evidence.seeds, measure=measure, note=note
    )


def _absent(evidence: Evidence, chosen: list[EtaGroup]) -> list[Step]:
    """Of the study's steps up from T_low, and of those of any alpha, the ones without indices of this alpha."""
    planned = [(evidence.low, high) for high in evidence.temperatures[1:]]
    measured = {group.temperatures for group in chosen if evidence.alpha in group.alphas}
    return [step for step in dict.fromkeys([*planned, *(g.temperatures for g in chosen)]) if step not in measured]


def _chosen(etas: list[EtaGroup]) -> list[EtaGroup]:
    """One group for each (T1, T2), all of one normalization and of the first choice of sets."""
    found = {eta.normalization for eta in etas}
    known = [*(n for n in _PREFERRED if n in found), *sorted(found - set(_PREFERRED))]
    chosen = [eta for eta in etas if known and eta.normalization == known[0] and eta.choice == 1]
    return sorted(chosen, key=lambda eta: tuple(t or 0.0 for t in eta.temperatures))


def _of_split(group: EtaGroup, alpha: float, split: str) -> list[Comparison]:
    comparisons = []
    for name, sign in EXPECTED_SIGN.items():
        label = _label(name, group, split)
        own, unsmoothed = (_by_target(group, of, split, name) for of in (alpha, 0.0))
        less_null = _by_target(group, alpha, split, name, less_null=True)
        beside = [
            (f"{label}, minus that of random sets", sign, _means(less_null, _common(less_null))),
            (f"{label}, students of {ALPHA} 0", 0, _means(unsmoothed, _common(unsmoothed))),
            (f"{label}, {ALPHA} {alpha:g} minus 0", sign, _gap(own, unsmoothed)),
        ]
        if values := _means(own, _common(own)):
            comparisons.append(Comparison(label, sign, True, values, "%"))
        comparisons += [Comparison(text, s, False, of, "%") for text, s, of in beside if of]
    return comparisons


def _by_target(group: EtaGroup, alpha: float, split: str, name: str, *, less_null: bool = False) -> ByTarget:
    """By seed and target; with `less_null` each minus the mean of its random sets."""
    found: ByTarget = defaultdict(dict)
    for line, cell in _lines(group, (alpha, split), name):
        nulls = group.nulls.get((line, (alpha, split)), {})
        for seeds, (record, value) in cell.items():
            if not less_null:
                found[seeds][line.target] = (record, value)
            elif seeds in nulls:
                found[seeds][line.target] = (record, value - 100.0 * nulls[seeds].mean)
    return found


def _means(found: ByTarget, targets: Sequence[str]) -> Values:
    """Over `targets`, which every seed has."""
    ordered = sorted(found.items(), key=lambda entry: tuple(seed or 0 for seed in entry[0]))
    return {seeds: _mean([of_seed[target] for target in targets]) for seeds, of_seed in ordered if targets}


def _gap(high: ByTarget, low: ByTarget) -> Values:
    """By the seeds that both have, over the targets that every seed of both has."""
    targets = _common_to_both(high, low)
    above, below = _means(high, targets), _means(low, targets)
    return {
        seeds: (tuple(dict.fromkeys(above[seeds][0] + below[seeds][0])), above[seeds][1] - below[seeds][1])
        for seeds in above
        if seeds in below
    }


def _mean(targets: Sequence[tuple[str, float]]) -> tuple[tuple[str, ...], float]:
    names = tuple(dict.fromkeys(name for name, _ in targets))
    return names, math.fsum(value for _, value in targets) / len(targets)


def _lines(group: EtaGroup, column: Column, name: str) -> list[tuple[Line, dict[Seeds, tuple[str, float]]]]:
    return [(line, cell) for (line, at), cell in group.cells.items() if at == column and line.set_name == name]


def _common(found: Mapping[Seeds, Mapping[str, object]]) -> list[str]:
    """Targets that every seed has."""
    return sorted(set.intersection(*map(set, found.values()))) if found else []


def _common_to_both(high: Mapping[Seeds, Mapping[str, object]], low: Mapping[Seeds, Mapping[str, object]]) -> list[str]:
    return [target for target in _common(high) if target in _common(low)]


def _sets_note(groups: list[EtaGroup], alpha: float) -> str:
    """Names the targets that are averaged over seeds, or compared between alphas, although not all of those measured
    the same classes.
    """
    mixed: set[str] = set()
    apart: set[str] = set()
    for group, name in product(groups, EXPECTED_SIGN):
        for split in dict.fromkeys(split for _, split in group.columns):
            own, unsmoothed = (_sets(group, (of, split), name) for of in (alpha, 0.0))
            for sets in (own, unsmoothed):
                mixed |= {target for target in _common(sets) if len({of[target] for of in sets.values()}) > 1}
            for target, seeds in product(_common_to_both(own, unsmoothed), own.keys() & unsmoothed.keys()):
                apart |= {target} if own[seeds][target] != unsmoothed[seeds][target] else set()
    told = [f"Not every seed measured the same sets of classes for {listing(sorted(mixed))}."] if mixed else []
    if apart := apart - mixed:
        told.append(f"Students of {ALPHA} {alpha:g} and of 0 measured different sets for {listing(sorted(apart))}.")
    return " ".join(told)


def _sets(group: EtaGroup, column: Column, name: str) -> dict[Seeds, dict[str, frozenset[str]]]:
    sets: dict[Seeds, dict[str, frozenset[str]]] = defaultdict(dict)
    for line, cell in _lines(group, column, name):
        for seeds in cell:
            sets[seeds][line.target] = frozenset(line.members)
    return sets


def _label(name: str, group: EtaGroup, split: str) -> str:
    return f"{ETA}({name}), {_step(group.temperatures)}, {split}"


def _step(temperatures: Step) -> str:
    low, high = ("none" if t is None else f"{t:g}" for t in temperatures)
    return f"T {low} {ARROW} {high}"


def _measure(groups: list[EtaGroup], etas: list[EtaGroup]) -> str:
    if not groups:
        return ""
    said = f"Normalization {groups[0].normalization}; each value is the mean over the targets that every seed has."
    if any(eta.choice > 1 for eta in etas):
        said += " Of several choices of sets, the first is judged; the section on the diffusion index shows them all."
    return said
