"""What a study set out to run, and which of its cells have no record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from shared.errors import UserError
from shared.report.grouping import Item, comparable_groups, gather
from shared.report.scores import TEACHER, Row
from shared.report.text import ALPHA, ARROW, listing
from shared.results import Result

Place = Row | tuple[float | None, float | None]  # a model's, or the (T1, T2) of a diffusion index
_OF_KIND = {"model": "", "clusters": "clusters of ", "diffusion": "diffusion index of "}


@dataclass(frozen=True)
class Design:
    """The teachers' alphas, the students' temperatures and the seeds of a study: every combination is a cell.

    `data` names the data sets that it is of, where it says so: one of them may have no record at all.
    """

    alphas: list[float]
    temperatures: list[float]
    seeds: list[int]
    data: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, listed in vars(self).items():
            if twice := [value for place, value in enumerate(listed) if value in listed[:place]]:
                raise UserError(f"{name} lists {twice[0]} twice")

    def places(self, kind: str) -> list[Place]:
        """Of the records of a kind: the teacher and each T, or for `diffusion` each step up from the lowest T."""
        if kind != "diffusion":
            return [TEACHER, *self.temperatures]
        ascending = sorted(self.temperatures)
        return [(ascending[0], high) for high in ascending[1:]]


def missing_cells(design: Design, records: Sequence[Result]) -> list[str]:
    """A caution for each data set without a record, and each pair of architectures whose cells do not all have theirs.

    Of the kinds `model`, `clusters` and `diffusion`, those of which there is any record. Recipes are not told apart: a
    cell counts as there whatever table it stands in.
    """
    items = [item for group in comparable_groups(of_kd(records), *_OF_KIND).groups for item in group.items]
    there = {record.data.name for record in records}
    cautions = [
        f"{name}: missing of the study's design: all that was to be run on it."
        for name in design.data
        if name not in there
    ]
    for siblings in gather(items, lambda i: (i.record.data.name, i.teacher.arch)):
        students = dict.fromkeys(item.student.arch for item in siblings if item.student)
        for arch in students or [None]:
            its = [item for item in siblings if item.student is None or item.student.arch == arch]
            lacking = [text for kind in _OF_KIND for text in _lacking(design, kind, its)]
            if lacking:
                first = siblings[0]
                who = f"teacher {first.teacher.arch}" + (f", student {arch}" if arch else "")
                cautions.append(
                    f"{first.record.data.name}, {who}: missing of the study's design: {'; '.join(lacking)}."
                )
    return cautions


def of_kd(records: Sequence[Result]) -> list[Result]:
    """Without those of students by other losses."""
    return [record for record in records if record.models[0].loss in (None, "kd")]


def _lacking(design: Design, kind: str, items: Sequence[Item]) -> Iterator[str]:
    """`clusters of student, alpha 0.1, T 3 and 64, seeds 4 and 5`; nothing where no item is of the kind."""
    found = {_cell(item) for item in items if item.record.kind == kind}
    if not found:
        return
    cells = [
        (alpha, place, seeds)
        for alpha, place in product(design.alphas, design.places(kind))
        if (seeds := tuple(str(seed) for seed in design.seeds if (alpha, place, seed) not in found))
    ]
    for alike in gather(cells, lambda cell: (cell[0], cell[1] == TEACHER, cell[2])):
        alpha, first, seeds = alike[0]
        who = TEACHER if first == TEACHER else "student"
        at = "" if first == TEACHER else f", T {listing([_temperatures(place) for _, place, _ in alike])}"
        yield f"{_OF_KIND[kind]}{who}, {ALPHA} {alpha:g}{at}, seed{'s' if len(seeds) > 1 else ''} {listing(seeds)}"


def _cell(item: Item) -> tuple[float | None, Place, int | None]:
    """Alpha of the teacher, place, seed of the model."""
    if item.student is None:
        return item.teacher.alpha, TEACHER, item.teacher.seed
    first, *second = [model.temperature for model in item.record.models]
    place: Place = (first, second[0]) if item.record.kind == "diffusion" else first
    return item.teacher.alpha, place, item.student.seed


def _temperatures(place: Place) -> str:
    return f" {ARROW} ".join(f"{t:g}" for t in (place if isinstance(place, tuple) else [place]))
