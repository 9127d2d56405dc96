"""The diffusion indices of one group of comparable student pairs, in percent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.report.cells import Observations
from shared.report.grouping import Group, Item, Sorting
from shared.report.text import ARROW, NO_BREAK
from shared.results import Eta, Null, Result

EXPECTED_SIGN = {"S1": -1, "S2": 1}  # systematic diffusion: similar classes draw near, dissimilar ones move away
MEANING = {"S1": "similar", "S2": "dissimilar"}
Temperatures = tuple[float | None, float | None]  # (T1, T2)
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
Measured = tuple[str, str, Column, Seeds]  # (target, set, column, seeds)


@dataclass(frozen=True)
class EtaGroup:
    """Indices of one data set, student and (T1, T2) under one normalization. Values are percent.

    `nulls` are the same indices of random sets, as ratios, where a record has them. `cautions` name the reruns.
    """

    group: Group
    temperatures: Temperatures
    normalization: str
    cells: Cells
    choice: int = 1  # above 1: the same targets and seeds over other sets or classes
    nulls: Nulls = field(default_factory=dict)
    cautions: Sequence[str] = ()

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
        found = {(line.target, line.set_name, of, seeds) for (line, of), cell in self.cells.items() for seeds in cell}
        return max(Counter(measured[:-1] for measured in found).values())

    @property
    def title(self) -> str:
        first = self.group.items[0]
        student = first.student.arch if first.student else ""
        variant = f" ({'; '.join(self.group.variant)})" if self.group.variant else ""
        low, high = (("none" if t is None else f"{t:g}") for t in self.temperatures)
        step = f"T{NO_BREAK}{low}{NO_BREAK}{ARROW}{NO_BREAK}{high}"
        again = f", choice {self.choice} of sets or classes" if self.choice > 1 else ""
        return f"{first.record.data.name}: teacher {first.teacher.arch}, student {student}, {step}{variant}{again}"


@dataclass(frozen=True)
class _Index:
    """One index of a record, and where it stands."""

    record: Result
    eta: Eta
    column: Column
    seeds: Seeds

    @property
    def line(self) -> Line:
        return Line(self.eta.target, self.eta.set_name, tuple(self.eta.members), self.eta.chosen_by)

    @property
    def measured(self) -> Measured:
        return (self.eta.target, self.eta.set_name, self.column, self.seeds)

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(self.eta.members)


def eta_groups(sorting: Sorting) -> list[EtaGroup]:
    """The groups of `comparable_groups(records, "diffusion")`, further by temperatures and normalization.

    A record that measures the same targets of the same seeds once more, over other sets or classes, starts a group of
    its own: two choices are no two seeds, so they must not be averaged. Over the same classes it is a rerun.
    """
    groups: list[EtaGroup] = []
    for group in sorting.groups:
        parts: dict[tuple[Temperatures, str], list[list[_Index]]] = {}
        for item in group.items:
            low, high = item.record.models
            for normalization in dict.fromkeys(eta.normalization for eta in item.record.eta):
                choices = parts.setdefault(((low.temperature, high.temperature), normalization), [])
                found = _indices(item, normalization)
                if (home := _home(choices, found)) is None:
                    choices.append(home := [])
                home += found
        groups += [
            _with_latest(EtaGroup(group, *part, {}, choice), indices)
            for part, choices in parts.items()
            for choice, indices in enumerate(choices, start=1)
        ]
    return groups


def _with_latest(group: EtaGroup, indices: Sequence[_Index]) -> EtaGroup:
    """Place the indices. Of a target's classes and seeds the record that finished last counts, as for scores."""
    ordered = sorted(indices, key=lambda i: (i.record.provenance.finished, i.record.name))
    latest = {(index.measured, index.classes): index.record for index in ordered}
    reruns = [(i.record, latest[i.measured, i.classes]) for i in ordered]
    for index in indices:
        if latest[index.measured, index.classes] is index.record:
            place = (index.line, index.column)
            group.cells.setdefault(place, {})[index.seeds] = (index.record.name, 100.0 * index.eta.value)
            if index.eta.null is not None:
                group.nulls.setdefault(place, {})[index.seeds] = index.eta.null
    cautions = dict.fromkeys(_repeated(earlier, later) for earlier, later in reruns if earlier is not later)
    return replace(group, cautions=list(cautions))


def _repeated(earlier: Result, later: Result) -> str:
    return (
        f"{earlier.name} and {later.name} measured the same classes and are of one cell and seed; where both have an "
        "index, the later one is shown."
    )


def _indices(item: Item, normalization: str) -> list[_Index]:
    """One record's indices under one normalization."""
    seeds = (item.teacher.seed, item.record.models[0].seed)
    return [
        _Index(item.record, eta, (item.teacher.alpha, eta.split), seeds)
        for eta in item.record.eta
        if eta.normalization == normalization
    ]


def _home(choices: Sequence[list[_Index]], found: Sequence[_Index]) -> list[_Index] | None:
    """The choice with the most lines of `found` among those that hold no other classes for their targets and seeds."""
    classes, lines = _classes(found), {index.line for index in found}
    free = [held for held in choices if all(classes.get(m, c) == c for m, c in _classes(held).items())]
    return max(free, key=lambda held: len(lines & {index.line for index in held}), default=None)


def _classes(indices: Sequence[_Index]) -> dict[Measured, set[frozenset[str]]]:
    """The sets of classes over which each target was measured."""
    found: dict[Measured, set[frozenset[str]]] = defaultdict(set)
    for index in indices:
        found[index.measured].add(index.classes)
    return found
