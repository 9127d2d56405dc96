"""The scores of one group of comparable models, by row (teacher, then temperature) and column (teacher's alpha)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.report.cells import Observations
from shared.report.grouping import Group, Item
from shared.report.metrics import Key
from shared.report.text import listing, temperature_label
from shared.results import Metric, Result

Row = float | str | None  # a student's temperature (None where it has none), or TEACHER
TEACHER = "teacher"


@dataclass(frozen=True)
class Scores:
    """`cells` maps (row, alpha) and (teacher seed, student seed) to the items of one model, the latest last."""

    group: Group
    cells: dict[tuple[Row, float | None], dict[tuple[int | None, int | None], list[Item]]]
    cautions: list[str]

    @classmethod
    def of(cls, group: Group) -> Scores:
        """Place the items. One model may have several records (another split scored later); no seed counts twice."""
        scores = cls(group, {}, [])
        for item in sorted(group.items, key=lambda i: (i.record.provenance.finished, i.record.name)):
            row: Row = TEACHER if item.student is None else item.student.temperature
            seeds = (item.teacher.seed, item.student.seed if item.student else None)
            items = scores.cells.setdefault((row, item.teacher.alpha), {}).setdefault(seeds, [])
            scores.cautions.extend(_repeated(e.record, item.record) for e in items if _clash(e, item))
            items.append(item)
        return scores

    @property
    def alphas(self) -> list[float | None]:
        return sorted({alpha for _, alpha in self.cells}, key=lambda a: (a is None, a or 0.0))

    @property
    def temperatures(self) -> list[float | None]:
        found = {item.student.temperature for item in self.group.items if item.student}
        return sorted(found, key=lambda t: (t is not None, t or 0.0))

    @property
    def rows(self) -> list[Row]:
        teacher: list[Row] = [TEACHER] if any(row == TEACHER for row, _ in self.cells) else []
        return [*teacher, *self.temperatures]

    def observed(self, row: Row, alpha: float | None, key: Key) -> Observations:
        """Values of one metric, by seeds, in order of seed."""
        cell = self.cells.get((row, alpha), {})
        found = sorted(cell.items(), key=lambda entry: tuple(seed or 0 for seed in entry[0]))
        latest = {s: i.record for s, items in found for i in items if key.text in i.record.metrics}
        return {seeds: (record.name, record.metrics[key.text].value) for seeds, record in latest.items()}

    def metrics(self, key: Key) -> list[Metric]:
        """The metric of every item shown."""
        items = [item for cell in self.cells.values() for items in cell.values() for item in items]
        return [i.record.metrics[key.text] for i in items if key.text in i.record.metrics]

    @property
    def title(self) -> str:
        """Data, teacher and student architecture, and what tells this group from its siblings."""
        first = self.group.items[0]
        students = sorted({i.student.arch for i in self.group.items if i.student})
        names = f"{first.record.data.name}: teacher {first.teacher.arch}"
        names += f", student {listing(students)}" if students else ""
        return names + (f" ({'; '.join(self.group.variant)})" if self.group.variant else "")


def _clash(earlier: Item, later: Item) -> bool:
    one, other = earlier.record, later.record
    return one.models[0].sha256 != other.models[0].sha256 or bool(one.metrics.keys() & other.metrics.keys())


def _repeated(earlier: Result, later: Result) -> str:
    return f"{earlier.name} and {later.name} are of one cell and seed; where both have a score, the later one is shown."


def row_label(row: Row) -> str:
    """`teacher`, or the student's temperature."""
    return row if isinstance(row, str) else "student, " + temperature_label(row)
