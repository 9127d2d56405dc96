"""Students that differ in what they learn from a teacher by, KD or DIST: rows are teachers, the weakest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.report.cells import Observations
from shared.report.grouping import (
    Group,
    Item,
    differing_fields,
    facts_of,
    gather,
    item_of,
    settings_of,
    split_by,
    split_by_data,
)
from shared.report.metrics import Key, metric_keys
from shared.report.scores import Scores
from shared.report.several import is_of_several
from shared.report.several_sorting import same_test
from shared.report.text import ALPHA, NO_BREAK, alpha_label, listing
from shared.results import Data, Metric, Model, Result
from shared.stats import mean_interval

NAMES = {"kd": "KD", "dist": "DIST"}


@dataclass(frozen=True)
class Column:
    """How students learned: the loss against the teacher, its temperature, and its further settings, in order."""

    loss: str
    temperature: float | None
    settings: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, student: Model) -> Column:
        """`settings` are weights, the student's own label smoothing, and what the loss has besides."""
        settings = {"weight": student.kd_weight, ALPHA: student.alpha, **student.distill}
        return cls(student.loss or "kd", student.temperature, tuple(sorted((k, _told(v)) for k, v in settings.items())))

    def place(self) -> tuple[bool, float, tuple[tuple[str, str], ...]]:
        """For sorting: KD first, then by T."""
        return (self.loss != "kd", self.temperature or 0.0, self.settings)

    def label(self, columns: Iterable[Column]) -> str:
        """`KD, T = 4`, and the settings in which others of this loss and T differ."""
        alike = [c for c in columns if (c.loss, c.temperature) == (self.loss, self.temperature)]
        at = [] if self.temperature is None else [f"T{NO_BREAK}={NO_BREAK}{self.temperature:g}"]
        own, differing = dict(self.settings), differing_fields([dict(c.settings) for c in alike])
        return ", ".join([NAMES[self.loss], *at, *(f"{name} {own.get(name, 'not recorded')}" for name in differing)])


@dataclass(frozen=True)
class LossStudy:
    """One table: students of one data set, architecture and recipe; `plain` is the same network without a teacher.

    `own` has the records of the teachers on this data, by SHA-256 of their weights.
    """

    group: Group
    plain: list[Result]
    own: dict[str, list[Result]]

    @property
    def title(self) -> str:
        """`imagenet: student resnet18 by loss`."""
        first = self.group.items[0]
        student = first.student.arch if first.student else ""
        variant = f" ({'; '.join(self.group.variant)})" if self.group.variant else ""
        return f"{first.record.data.name}: student {student}, by loss{variant}"

    @property
    def columns(self) -> list[Column]:
        return sorted({Column.of(i.student) for i in self.group.items if i.student}, key=Column.place)

    @property
    def records(self) -> list[Result]:
        owned = [record for teacher in self.teachers(None) for record in self.own.get(teacher.sha256, [])]
        return [*(item.record for item in self.group.items), *self.plain, *owned]

    def rows(self, key: Key) -> list[tuple[str, list[Model]]]:
        """Label and teachers (one a seed) of each kind of teacher, by their own score, the unknown ones last."""
        kinds = gather(self.teachers(None), _kind)
        scored = [(self.teacher_scores(kind, key), kind) for kind in kinds]
        means = [mean_interval([v for _, v in found.values()]).mean if found else None for found, _ in scored]
        sign = -1.0 if key.scale.lower_is_better else 1.0
        ordered = sorted(
            zip(means, kinds, strict=True), key=lambda p: (p[0] is None, sign * (p[0] or 0.0), p[1][0].arch)
        )
        return [(_teacher_label(kind[0], [other[0] for other in kinds]), kind) for _, kind in ordered]

    def teachers(self, column: Column | None) -> list[Model]:
        """The teachers of a column's students (None: of all), each once."""
        items = [i for i in self.group.items if i.student and column in (None, Column.of(i.student))]
        return list({item.teacher.sha256: item.teacher for item in items}.values())

    def teacher_scores(self, teachers: Sequence[Model], key: Key) -> Observations:
        of_teachers = [record for teacher in teachers for record in self.own.get(teacher.sha256, [])]
        return {(seed, None): score for seed, score in _by_seed(of_teachers, key).items()}

    def plain_scores(self, key: Key) -> Observations:
        return {(None, seed): score for seed, score in _by_seed(self.plain, key).items()}

    def observed(self, teachers: Sequence[Model], column: Column, key: Key) -> Observations:
        """Scores of the students of these teachers, by seeds of teacher and student; the latest record of each."""
        known = {teacher.sha256 for teacher in teachers}
        cell = [i for i in self.group.items if i.student and i.teacher.sha256 in known]
        found = {
            (i.teacher.seed, i.student.seed): (i.record.name, i.record.metrics[key.text].value)
            for i in sorted(cell, key=lambda i: _finished(i.record))
            if i.student and Column.of(i.student) == column and key.text in i.record.metrics
        }
        return dict(sorted(found.items(), key=lambda entry: tuple(seed or 0 for seed in entry[0])))

    @property
    def cautions(self) -> list[str]:
        """The group's own, and which records are of one cell and seed, of which one counts."""
        taught = [item for item in self.group.items if item.student]
        cells = gather(taught, lambda i: (_kind(i.teacher), Column.of(i.student or i.teacher)))
        owned = [[r for t in kind for r in self.own.get(t.sha256, [])] for kind in gather(self.teachers(None), _kind)]
        cells += [[_untaught(record) for record in records] for records in (*owned, self.plain)]
        repeated = [text for cell in cells for text in Scores.of(Group(cell)).cautions]
        return list(dict.fromkeys([*self.group.cautions, *repeated]))

    @property
    def keys(self) -> list[Key]:
        """The students' metrics, the headline first."""
        return metric_keys(item.record for item in self.group.items)

    def metrics(self, key: Key) -> list[Metric]:
        return [record.metrics[key.text] for record in self.records if key.text in record.metrics]


def loss_studies(records: Sequence[Result]) -> list[LossStudy]:
    """A study for each data set, student architecture and recipe that has a DIST student; KD students beside them."""
    models = [record for record in records if record.kind == "model"]
    own = {sha: [r for r in models if r.models[0].sha256 == sha] for sha in {r.models[0].sha256 for r in models}}
    teachers = {sha: its[0].models[0] for sha, its in own.items() if its[0].models[0].role == "teacher"}
    items = [i for r in models if not is_of_several(r) and (i := item_of(r, teachers)) and i.student]
    dist = [item for item in items if item.student and item.student.loss == "dist"]
    studies = []
    for siblings in gather(dist, lambda i: (i.record.task, i.record.data.name, i.student.arch if i.student else "")):
        for alike in split_by_data(Group(siblings)):
            for group in split_by(alike, "student", lambda i: _recipe(i.student)):
                studies.append(_with_companions(group, items, models, own))
    return studies


def _with_companions(
    group: Group, items: Sequence[Item], models: Sequence[Result], own: Mapping[str, list[Result]]
) -> LossStudy:
    """The group's own DIST students with what stands beside them: KD students, and the network without a teacher."""
    first = group.items[0]
    assert first.student is not None
    recipe, data, task = _recipe(first.student), first.record.data, first.record.task
    kinds = {_kind(item.teacher) for item in group.items}
    kd = [
        item
        for item in items
        if item.student
        and (item.student.loss or "kd") == "kd"
        and _kind(item.teacher) in kinds
        and item.student.arch == first.student.arch
        and _recipe(item.student) == recipe
        and item.record.task == task
        and _same_data(item.record.data, data)
    ]
    smoothing = {item.student.alpha for item in group.items if item.student} - {None}
    plain = [
        record
        for record in models
        if record.models[0].role == "teacher"
        and record.models[0].arch == first.student.arch
        and _recipe(record.models[0]) == recipe
        and (not smoothing or record.models[0].alpha in smoothing)
        and record.task == task
        and _same_data(record.data, data)
    ]
    here = {sha: [r for r in its if r.data.name == data.name and same_test(r.data, data)] for sha, its in own.items()}
    return LossStudy(Group([*group.items, *kd], group.variant, group.cautions), plain, here)


def _by_seed(records: Iterable[Result], key: Key) -> dict[int | None, tuple[str, float]]:
    """Name and score of the latest record of each seed that has this metric."""
    scored = [record for record in sorted(records, key=_finished) if key.text in record.metrics]
    return {record.models[0].seed: (record.name, record.metrics[key.text].value) for record in scored}


def _untaught(record: Result) -> Item:
    """A network in a column that tells its seeds apart, not its alphas."""
    return Item(record, replace(record.models[0], alpha=None), None)


def _finished(record: Result) -> tuple[str, str]:
    return record.provenance.finished, record.name


def _recipe(model: Model | None) -> dict[str, str]:
    """What must agree between students: their recipe, but not the weights of their loss, which go with the loss."""
    settings = settings_of(model) if model else {}
    return {name: value for name, value in settings.items() if name.startswith("recipe.")}


def _same_data(one: Data, other: Data) -> bool:
    facts, others = facts_of(one), facts_of(other)
    return one.name == other.name and all(others.get(name, fact) == fact for name, fact in facts.items())


def _told(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else f"{value}"


def _kind(teacher: Model) -> tuple[str, float | None, tuple[tuple[str, str], ...]]:
    return (teacher.arch, teacher.alpha, tuple(sorted(settings_of(teacher).items())))


def _teacher_label(teacher: Model, others: Sequence[Model]) -> str:
    """Its architecture, and what tells it from other teachers of that architecture."""
    alike = [other for other in others if other.arch == teacher.arch]
    parts = [alpha_label(teacher.alpha)] if len({other.alpha for other in alike}) > 1 else []
    settings = settings_of(teacher)
    differing = differing_fields([settings_of(other) for other in alike])
    parts += [f"{name.removeprefix('recipe.')} {settings.get(name, 'not recorded')}" for name in differing[:2]]
    return teacher.arch + (f" ({listing(parts)})" if parts else "")
