"""What the records of one comparable group hold for the claims on one alpha > 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.report.claims.items import Items
from shared.report.design import Design
from shared.report.eta import EtaGroup, eta_groups
from shared.report.grouping import Group, Sorting
from shared.report.metrics import Key
from shared.report.scores import Scores


@dataclass(frozen=True)
class Evidence:
    """`alpha` is compared with 0. `temperatures` are those of the study, ascending, T_low first; `seeds` are those that
    it planned, none without a plan.
    """

    alpha: float
    temperatures: list[float]
    seeds: list[int]
    models: Scores
    clusters: Scores
    etas: list[EtaGroup]
    items: Items

    @classmethod
    def of(cls, group: Group, alpha: float, design: Design | None, items: Items) -> Evidence:
        """The temperatures of the records are added to those of the design."""
        models = Scores.of(_only(group, "model"))
        clusters = Scores.of(_only(group, "clusters"))
        planned, seeds = (design.temperatures, design.seeds) if design else ([], [])
        found = {t for t in (*models.temperatures, *clusters.temperatures, *planned) if t is not None}
        etas = eta_groups(Sorting([_only(group, "diffusion")]))
        return cls(alpha, sorted(found), seeds, models, clusters, etas, items)

    @property
    def low(self) -> float | None:
        """The lowest temperature of the study."""
        return self.temperatures[0] if self.temperatures else None

    @property
    def cluster_splits(self) -> list[str]:
        """Train, and validation by the name that the records give it."""
        found = {Key.parse(key).split for item in self.clusters.group.items for key in item.record.metrics}
        return ["train", "valid" if "valid" in found else "val"]


def _only(group: Group, kind: str) -> Group:
    return replace(group, items=[item for item in group.items if item.record.kind == kind])
