"""What the records of one comparable group hold for the claims on one alpha > 0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from shared.report.claims.items import Items
from shared.report.design import Design
from shared.report.eta import Cells, EtaGroup, eta_groups
from shared.report.grouping import Group, Sorting
from shared.report.metrics import Key
from shared.report.scores import Scores


@dataclass(frozen=True)
class Evidence:
    """`alpha` is compared with 0. `temperatures` are those of the study, ascending, T_low first; `seeds` are those that
    it planned, none without a plan. `etas` are of all alphas; those of `alpha` and of 0 are of the group alone.
    """

    alpha: float
    temperatures: list[float]
    seeds: list[int]
    models: Scores
    clusters: Scores
    etas: list[EtaGroup]
    items: Items

    @classmethod
    def of(cls, group: Group, study: Group, alpha: float, design: Design | None, items: Items) -> Evidence:
        """`study` has the records of all alphas: their temperatures are added to those of the design, and which choice
        of sets is the first is decided among them.
        """
        models = Scores.of(_only(group, "model"))
        clusters = Scores.of(_only(group, "clusters"))
        planned, seeds = (design.temperatures, design.seeds) if design else ([], [])
        ran = (Scores.of(_only(study, kind)).temperatures for kind in ("model", "clusters"))
        found = {t for t in chain(*ran, planned) if t is not None}
        own = {item.record.name for item in group.items}
        etas = [_of_pair(eta, alpha, own) for eta in eta_groups(Sorting([_only(study, "diffusion")]))]
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


def _of_pair(eta: EtaGroup, alpha: float, own: set[str]) -> EtaGroup:
    """Of `alpha` and 0 the indices of the records called `own`, and those of the other alphas."""
    cells: Cells = {}
    for (line, column), found in eta.cells.items():
        kept = {seeds: cell for seeds, cell in found.items() if column[0] not in (0.0, alpha) or cell[0] in own}
        if kept:
            cells[line, column] = kept
    nulls = {place: {s: null for s, null in of.items() if s in cells.get(place, {})} for place, of in eta.nulls.items()}
    return replace(eta, cells=cells, nulls=nulls)


def _only(group: Group, kind: str) -> Group:
    return replace(group, items=[item for item in group.items if item.record.kind == kind])
