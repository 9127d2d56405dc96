"""The diffusion indices of one group of comparable student pairs, in percent."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from shared.report.cells import Observations
from shared.report.grouping import Group, Item, Sorting
from shared.report.text import ARROW, NO_BREAK
from shared.results import Eta, Null

EXPECTED_SIGN = {"S1": -1, "S2": 1}  # systematic diffusion: similar classes draw near, dissimilar ones move away
MEANING = {"S1": "similar", "S2": "dissimilar"}
Column = tuple[float | None, str]  # (teacher's alpha, split)


@dataclass(frozen=True, order=True)
class Line:
    """One row of the table: a target against one set of classes."""

    target: str
    set_name: str
    members: tuple[str, ...]
    chosen_by: str


Seeds = tuple[int | None, int | None]  # (the teacher's, the student's)
Cells = dict[tuple[Line, Column], dict[Seeds, tuple[str, float]]]
Nulls = dict[tuple[Line, Column], dict[Seeds, Null]]


@dataclass(frozen=True)
class EtaGroup:
    """Indices of one data set, student and (T1, T2) under one normalization. Values are percent.

    `nulls` are the same indices of random sets, as ratios, where a record has them.
    """

    group: Group
    temperatures: tuple[float | None, float | None]
    normalization: str
    cells: Cells
    choice: int = 1  # above 1: the same targets and seeds over other sets or classes
    nulls: Nulls = field(default_factory=dict)

    @property
    def lines(self) -> list[Line]:
        """In the order of the records, the two sets of a target together."""
        targets = list(dict.fromkeys(line.target for line, _ in self.cells))
        return sorted({line for line, _ in self.cells}, key=lambda line: (targets.index(line.target), line))

    @property
    def columns(self) -> list[Column]:
        order = {"train": 0, "val": 1, "valid": 1, "test": 2}
        found = {column for _, column in self.cells}
        return sorted(found, key=lambda c: (c[0] is None, c[0] or 0.0, order.get(c[1], 3), c[1]))

    @property
    def alphas(self) -> list[float | None]:
        return list(dict.fromkeys(alpha for alpha, _ in self.columns))

    def observed(self, line: Line, column: Column) -> Observations:
        return dict(sorted(self.cells.get((line, column), {}).items(), key=lambda entry: entry[0][0] or 0))

    def beyond(self, column: Column, set_name: str) -> tuple[int, int]:
        """(target, seed) pairs whose index lies beyond that of random sets, on the side that systematic diffusion
        predicts, and all pairs that have random sets.
        """
        sign = EXPECTED_SIGN[set_name]
        found = [
            value * sign > 100.0 * (null.high if sign > 0 else -null.low)
            for (line, where), nulls in self.nulls.items()
            if where == column and line.set_name == set_name
            for seeds, null in nulls.items()
            for _, value in [self.cells[line, where][seeds]]
        ]
        return sum(found), len(found)

    def agreement(self, column: Column) -> tuple[int, int]:
        """(target, seed) pairs with both signs as systematic diffusion predicts, and all pairs that have both sets."""
        signs: dict[tuple[str, object], dict[str, bool]] = defaultdict(dict)
        for (line, where), seeds in self.cells.items():
            if where == column and line.set_name in EXPECTED_SIGN:
                for seed, (_, value) in seeds.items():
                    agrees = signs[line.target, seed]
                    right = value * EXPECTED_SIGN[line.set_name] > 0
                    agrees[line.set_name] = right and agrees.get(line.set_name, True)
        whole = [sets for sets in signs.values() if len(sets) == len(EXPECTED_SIGN)]
        return sum(all(sets.values()) for sets in whole), len(whole)

    @property
    def most_seeds(self) -> int:
        """Of a target's S1 or S2 in a column: seeds that measured other classes stand in lines of their own."""
        return max(Counter(found[:-1] for found in _measured(self.cells)).values())

    @property
    def title(self) -> str:
        first = self.group.items[0]
        student = first.student.arch if first.student else ""
        variant = f" ({'; '.join(self.group.variant)})" if self.group.variant else ""
        low, high = (("none" if t is None else f"{t:g}") for t in self.temperatures)
        step = f"T{NO_BREAK}{low}{NO_BREAK}{ARROW}{NO_BREAK}{high}"
        again = f", choice {self.choice} of sets or classes" if self.choice > 1 else ""
        return f"{first.record.data.name}: teacher {first.teacher.arch}, student {student}, {step}{variant}{again}"


def eta_groups(sorting: Sorting) -> list[EtaGroup]:
    """The groups of `comparable_groups(records, "diffusion")`, further by temperatures and normalization.

    A record that measures the same targets of the same seeds once more, over other sets or classes, starts a group of
    its own: two choices are no two seeds, so they must not be averaged.
    """
    groups: list[EtaGroup] = []
    for group in sorting.groups:
        parts: dict[tuple[object, ...], list[EtaGroup]] = {}
        for item in group.items:
            low, high = item.record.models
            for normalization in dict.fromkeys(eta.normalization for eta in item.record.eta):
                cells = _cells(item, normalization)
                siblings = parts.setdefault((low.temperature, high.temperature, normalization), [])
                if (home := _home(siblings, cells)) is None:
                    temperatures, choice = (low.temperature, high.temperature), len(siblings) + 1
                    siblings.append(home := EtaGroup(group, temperatures, normalization, {}, choice))
                for place, seeds in cells.items():
                    home.cells.setdefault(place, {}).update(seeds)
                for place, nulls in _nulls(item, normalization).items():
                    home.nulls.setdefault(place, {}).update(nulls)
        groups += [part for siblings in parts.values() for part in siblings]
    return groups


def _cells(item: Item, normalization: str) -> Cells:
    """One record's indices under one normalization."""
    seeds = (item.teacher.seed, item.record.models[0].seed)
    return {
        _place(item, eta): {seeds: (item.record.name, 100.0 * eta.value)}
        for eta in item.record.eta
        if eta.normalization == normalization
    }


def _nulls(item: Item, normalization: str) -> Nulls:
    """What one record says of random sets, under one normalization."""
    seeds = (item.teacher.seed, item.record.models[0].seed)
    return {
        _place(item, eta): {seeds: eta.null}
        for eta in item.record.eta
        if eta.normalization == normalization and eta.null is not None
    }


def _place(item: Item, eta: Eta) -> tuple[Line, Column]:
    line = Line(eta.target, eta.set_name, tuple(eta.members), eta.chosen_by)
    return line, (item.teacher.alpha, eta.split)


def _home(siblings: list[EtaGroup], cells: Cells) -> EtaGroup | None:
    """The group with the most lines of `cells` among those that do not hold their targets and seeds yet."""
    measured = _measured(cells)
    free = [part for part in siblings if not measured & _measured(part.cells)]
    lines = {line for line, _ in cells}
    return max(free, key=lambda part: len(lines & {line for line, _ in part.cells}), default=None)


def _measured(cells: Cells) -> set[tuple[object, ...]]:
    return {(line.target, line.set_name, column, seeds) for (line, column), of in cells.items() for seeds in of}
