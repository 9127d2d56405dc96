"""What a study set out to run, and which of its cells have no record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from shared.report.grouping import Item, comparable_groups, gather
from shared.report.scores import TEACHER, Row
from shared.report.text import ALPHA, listing
from shared.results import Result


@dataclass(frozen=True)
class Design:
    """The teachers' alphas, the students' temperatures and the seeds of a study: every combination is a cell."""

    alphas: list[float]
    temperatures: list[float]
    seeds: list[int]


def missing_cells(design: Design, records: Sequence[Result]) -> list[str]:
    """A caution for each data set and pair of architectures whose cells do not all have a record of kind `model`.

    Recipes are not told apart: a cell counts as there whatever table it stands in.
    """
    items = [item for group in comparable_groups(records, "model").groups for item in group.items]
    cautions = []
    for siblings in gather(items, lambda i: (i.record.data.name, i.teacher.arch)):
        students = dict.fromkeys(item.student.arch for item in siblings if item.student)
        for arch in students or [None]:
            lacking = list(_lacking(design, siblings, arch))
            if lacking:
                first = siblings[0]
                who = f"teacher {first.teacher.arch}" + (f", student {arch}" if arch else "")
                cautions.append(
                    f"{first.record.data.name}, {who}: missing of the study's design: {'; '.join(lacking)}."
                )
    return cautions


def _lacking(design: Design, items: Sequence[Item], arch: str | None) -> Iterator[str]:
    """`student, alpha 0.1, T 3, seeds 4 and 5`."""
    found = {_cell(item) for item in items if item.student is None or item.student.arch == arch}
    rows: list[Row] = [TEACHER, *design.temperatures]
    for alpha, row in product(design.alphas, rows):
        if seeds := [str(seed) for seed in design.seeds if (alpha, row, seed) not in found]:
            who = f"{TEACHER}, {ALPHA} {alpha:g}" if isinstance(row, str) else f"student, {ALPHA} {alpha:g}, T {row:g}"
            yield f"{who}, seed{'s' if len(seeds) > 1 else ''} {listing(seeds)}"


def _cell(item: Item) -> tuple[float | None, Row, int | None]:
    """Alpha of the teacher, row of the table, seed of the model."""
    if item.student is None:
        return item.teacher.alpha, TEACHER, item.teacher.seed
    return item.teacher.alpha, item.student.temperature, item.student.seed
