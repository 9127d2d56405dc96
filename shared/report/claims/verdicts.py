"""Records to verdicts: one set for each comparable group and each alpha above 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.report.claims.clusters import larger_distances, tighter_clusters
from shared.report.claims.comparison import Verdict
from shared.report.claims.diffusion import systematic_diffusion
from shared.report.claims.evidence import Evidence
from shared.report.claims.items import Items
from shared.report.claims.scores import best_student, larger_loss
from shared.report.design import Design, of_kd
from shared.report.grouping import Group, comparable_groups
from shared.report.scores import Scores
from shared.results import Result

_KINDS = ("model", "clusters", "diffusion")
_CLAIMS = (tighter_clusters, larger_distances, systematic_diffusion, larger_loss, best_student)


@dataclass(frozen=True)
class ClaimSet:
    """The verdicts on C1 to C5 of one group (`title`: its data, architectures and recipe), for one alpha against 0."""

    title: str
    task: str
    alpha: float
    verdicts: Sequence[Verdict]
    cautions: Sequence[str] = ()


def claim_sets(records: Mapping[Path, Result], among: Sequence[Result], design: Design | None = None) -> list[ClaimSet]:
    """`records` by path, for the outcomes beside them; `among` are those to judge by, of whatever kind.

    An alpha is judged as if there were no teachers but its own and those of alpha 0: another that is not done yet takes
    no seed from it. The temperatures and the choice of sets are those of all alphas.

    A claim that lacks a temperature or a seed of the `design` is not confirmed. A group without an alpha of 0 and one
    above it, or with nothing to compare, has no verdicts.
    """
    kd = of_kd(among)
    tables = comparable_groups(kd, *_KINDS).groups
    found: list[tuple[int, ClaimSet]] = []
    for alpha in _smoothed(tables):
        for group in comparable_groups(kd, *_KINDS, alphas={0.0, alpha}).groups:
            if {0.0, alpha} <= {item.teacher.alpha for item in group.items}:
                own = _places(group, tables)
                study = replace(group, items=[item for place in own for item in tables[place].items])
                found.append((own[0], _of_group(group, study, alpha, records, design)))
    found.sort(key=lambda entry: entry[0])
    return [one for _, one in found if any(verdict.comparisons for verdict in one.verdicts)]


def _of_group(
    group: Group, study: Group, alpha: float, records: Mapping[Path, Result], design: Design | None
) -> ClaimSet:
    items = Items(records)
    evidence = Evidence.of(group, study, alpha, design, items)
    verdicts = [claim(evidence) for claim in _CLAIMS]
    return ClaimSet(Scores.of(group).title, group.items[0].record.task, alpha, verdicts, items.cautions)


def _places(group: Group, tables: Sequence[Group]) -> list[int]:
    """Of the tables of all alphas that hold its students: several where the alphas differ in seeds."""
    names = {item.record.name for item in group.items if item.student} or {item.record.name for item in group.items}
    return [place for place, table in enumerate(tables) if any(item.record.name in names for item in table.items)]


def _smoothed(groups: Sequence[Group]) -> list[float]:
    return sorted({item.teacher.alpha for group in groups for item in group.items if item.teacher.alpha})
