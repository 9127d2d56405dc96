"""C3: systematic diffusion, the signs of eta on similar and on dissimilar classes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from shared.report.cells import Values
from shared.report.claims.comparison import Comparison, Verdict, judge
from shared.report.claims.evidence import Evidence
from shared.report.eta import EXPECTED_SIGN, EtaGroup, Seeds
from shared.report.text import ALPHA, ARROW, ETA

_PREFERRED = ("mean_pairwise", "none", "target_mean")
_STATEMENT = (
    f"With an LS teacher, a higher T draws a student's similar classes together ({ETA}(S1) < 0) and moves dissimilar "
    f"ones apart ({ETA}(S2) > 0)."
)


def systematic_diffusion(evidence: Evidence) -> Verdict:
    """C3: by seed, the mean of eta over the targets, for every (T1, T2) and split."""
    comparisons: list[Comparison] = []
    missing: list[str] = []
    groups = _chosen(evidence.etas)
    for group in groups:
        splits = list(dict.fromkeys(split for alpha, split in group.columns if alpha == evidence.alpha))
        if not splits:
            missing.append(f"{ETA} for {_step(group)} with {ALPHA} {evidence.alpha:g}")
        for split in splits:
            found = _of_split(group, evidence.alpha, split)
            comparisons += found
            wanted = {f"{ETA}({name}), {_step(group)}, {split}" for name in EXPECTED_SIGN}
            missing += sorted(wanted - {c.label for c in found})
    if not groups:
        missing = ["records of kind diffusion"]
    comparisons.sort(key=lambda c: not c.required)
    return judge("C3", _STATEMENT, comparisons, missing, measure=_measure(groups, evidence.etas))


def _chosen(etas: list[EtaGroup]) -> list[EtaGroup]:
    """One group for each (T1, T2), all of one normalization and of the first choice of sets."""
    found = {eta.normalization for eta in etas}
    known = [*(n for n in _PREFERRED if n in found), *sorted(found - set(_PREFERRED))]
    chosen = [eta for eta in etas if known and eta.normalization == known[0] and eta.choice == 1]
    return sorted(chosen, key=lambda eta: tuple(t or 0.0 for t in eta.temperatures))


def _of_split(group: EtaGroup, alpha: float, split: str) -> list[Comparison]:
    comparisons = []
    for name, sign in EXPECTED_SIGN.items():
        label = f"{ETA}({name}), {_step(group)}, {split}"
        own = _by_seed(group, alpha, split, name)
        beside = [
            (f"{label}, minus that of random sets", sign, _by_seed(group, alpha, split, name, less_null=True)),
            (f"{label}, students of {ALPHA} 0", 0, _by_seed(group, 0.0, split, name)),
        ]
        if own:
            comparisons.append(Comparison(label, sign, True, own, "%"))
        comparisons += [Comparison(text, s, False, of, "%") for text, s, of in beside if of]
    return comparisons


def _by_seed(group: EtaGroup, alpha: float, split: str, name: str, *, less_null: bool = False) -> Values:
    """The mean over those targets that every seed has; with `less_null` each minus the mean of its random sets."""
    found: dict[Seeds, dict[str, tuple[str, float]]] = defaultdict(dict)
    for (line, column), cell in group.cells.items():
        if column != (alpha, split) or line.set_name != name:
            continue
        nulls = group.nulls.get((line, column), {})
        for seeds, (record, value) in cell.items():
            if not less_null:
                found[seeds][line.target] = (record, value)
            elif seeds in nulls:
                found[seeds][line.target] = (record, value - 100.0 * nulls[seeds].mean)
    targets = sorted(set.intersection(*map(set, found.values()))) if found else []
    ordered = sorted(found.items(), key=lambda entry: tuple(seed or 0 for seed in entry[0]))
    return {seeds: _mean([of_seed[target] for target in targets]) for seeds, of_seed in ordered if targets}


def _mean(targets: Sequence[tuple[str, float]]) -> tuple[tuple[str, ...], float]:
    names = tuple(dict.fromkeys(name for name, _ in targets))
    return names, math.fsum(value for _, value in targets) / len(targets)


def _step(group: EtaGroup) -> str:
    low, high = ("none" if t is None else f"{t:g}" for t in group.temperatures)
    return f"T {low} {ARROW} {high}"


def _measure(groups: list[EtaGroup], etas: list[EtaGroup]) -> str:
    if not groups:
        return ""
    said = f"Normalization {groups[0].normalization}; each value is the mean over the targets that every seed has."
    if any(eta.choice > 1 for eta in etas):
        said += " Of several choices of sets, the first is judged; the section on the diffusion index shows them all."
    return said
