"""Records to verdicts: one set for each comparable group and each alpha above 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    A claim that lacks a temperature or a seed of the `design` is not confirmed. A group without an alpha of 0 and one
    above it, or with nothing to compare, has no verdicts.
    """
    groups = comparable_groups(of_kd(among), "model", "clusters", "diffusion").groups
    found = [_of_group(group, alpha, records, design) for group in groups for alpha in _smoothed(group)]
    return [one for one in found if any(verdict.comparisons for verdict in one.verdicts)]


def _of_group(group: Group, alpha: float, records: Mapping[Path, Result], design: Design | None) -> ClaimSet:
    items = Items(records)
    evidence = Evidence.of(group, alpha, design, items)
    verdicts = [claim(evidence) for claim in _CLAIMS]
    return ClaimSet(Scores.of(group).title, group.items[0].record.task, alpha, verdicts, items.cautions)


def _smoothed(group: Group) -> list[float]:
    alphas = {item.teacher.alpha for item in group.items}
    return sorted(alpha for alpha in alphas if alpha) if 0.0 in alphas else []
