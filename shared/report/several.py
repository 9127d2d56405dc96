"""Several teachers: one of them alone, their test-time ensemble, and the students of their labels, by replicate.

A replicate is a set of teachers, and for a student its own seed. What shares the set, and the seed where both have one,
is paired; a teacher alone stands for its set by the mean over the set's teachers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.report.cells import Observations
from shared.report.text import NO_BREAK
from shared.results import Data, Model, Result
from shared.stats import MeanInterval, mean_interval, t_test

Replicate = tuple[frozenset[str], int | None]  # SHA-256 of each teacher's weights, the student's seed
SINGLE, ENSEMBLE, EPL, RPL = "single teacher", "test-time ensemble", "EPL", "RPL"
SOFT, DIST = "soft ensemble", "DIST from the soft ensemble"
_ORDER = (SINGLE, ENSEMBLE, SOFT, DIST, EPL, RPL)
# Where a score stands: in a training's record, or in one that measured its last weights (or an ensemble of such) later.
TOP1 = ("last/test/top1", "test/top1")
BEST = ("best/test/top1",)
LAW = ("last/test/tv_to_noise_law", "test/tv_to_noise_law")


@dataclass(frozen=True)
class Method:
    """One row: how many teachers are used, and how. `detail` is the ensemble's combination, or the student's T."""

    name: str
    teachers: int
    detail: str = ""

    @property
    def label(self) -> str:
        """`EPL, k = 5`."""
        many = "" if self.name == SINGLE else f", k{NO_BREAK}={NO_BREAK}{self.teachers}"
        return f"{self.name}{many}" + (f" ({self.detail})" if self.detail else "")

    @property
    def place(self) -> tuple[int, int, str]:
        """For sorting: by k, then as the paper goes on."""
        return (self.teachers, _ORDER.index(self.name), self.detail)


@dataclass(frozen=True)
class Difference:
    """Paired differences, one for each replicate, and the names of the records that they come from."""

    values: tuple[float, ...]
    records: tuple[str, ...]

    @property
    def found(self) -> MeanInterval:
        """Their mean, with no interval where there is one or where all are equal: a width of 0 is no certainty."""
        found = mean_interval(self.values)
        return replace(found, half_width=None) if _equal(self.values) else found


@dataclass
class SeveralTeachers:
    """One table: teachers of one recipe, data and label noise, and students of one architecture and recipe."""

    title: str
    data: Data
    singles: dict[str, list[Result]]  # by SHA-256 of the weights
    cells: dict[Method, dict[Replicate, list[Result]]]
    cautions: list[str] = field(default_factory=list)

    @property
    def noise(self) -> float | None:
        """The share of wrong training labels of the teachers."""
        return self.data.label_noise

    @property
    def is_cifar10(self) -> bool:
        """Whether this is the paper's data."""
        return self.data.name == "cifar10"

    @property
    def methods(self) -> list[Method]:
        single = [Method(SINGLE, 1)] if self.singles else []
        return single + sorted(self.cells, key=lambda method: method.place)

    @property
    def epoch(self) -> str:
        """`last epoch`, or nothing where no record says which epoch its weights are of."""
        return "last epoch" if any(TOP1[0] in record.metrics for record in self.records) else ""

    @property
    def sizes(self) -> list[int]:
        """The numbers of teachers k."""
        return sorted({method.teachers for method in self.cells})

    @property
    def records(self) -> list[Result]:
        cells = [records for cell in self.cells.values() for records in cell.values()]
        return [record for records in (*self.singles.values(), *cells) for record in records]

    def observed(self, method: Method, keys: Sequence[str] = TOP1) -> Observations:
        """Test scores of one method by replicate, in order of seed; `keys` are the names that the score goes by."""
        if method.name == SINGLE:
            return _values({(frozenset([sha]), None): records for sha, records in self.singles.items()}, keys)
        return _values(self.cells.get(method, {}), keys)

    def difference(self, high: Method, low: Method) -> Difference | None:
        """`high - low` of paired replicates; None where none pair."""
        others = self.observed(low)
        gaps, above, below = [], [], []
        for (teachers, seed), (name, value) in self.observed(high).items():
            if low.name == SINGLE:
                beside = [other for (alone, _), other in others.items() if alone <= teachers]
                wanted = len(teachers)
            else:
                beside = [others[key] for key in ((teachers, seed), (teachers, None)) if key in others][:1]
                wanted = 1
            if len(beside) == wanted:
                gaps.append(_less(value, sum(score for _, score in beside) / wanted))
                above.append(name)
                below += [other for other, _ in beside]
        return Difference(tuple(gaps), tuple(dict.fromkeys([*above, *below]))) if gaps else None


def _less(value: float, other: float) -> float:
    """`value - other`, 0 where they are equal within rounding: the mean of equal scores need not be that score."""
    return 0.0 if math.isclose(value, other) else value - other


def _equal(values: Sequence[float]) -> bool:
    """Whether two or more are equal within rounding, as `t_test` decides it; of zeros alone it has a p value."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return False
    return not any(values) or t_test(values) is None


def is_of_several(record: Result) -> bool:
    """Whether a record, of whatever kind, is of an ensemble or of a student of several teachers or pseudo-labels."""
    student = record.models[0].role != "teacher" and record.teacher is not None
    return record.kind == "ensemble" or (student and (bool(record.teachers) or record.models[0].loss in ("epl", "rpl")))


def teachers_of(record: Result) -> list[Model]:
    """The members of an ensemble, or all teachers of a student."""
    if record.kind == "ensemble":
        return record.models
    return record.teachers or ([record.teacher] if record.teacher else [])


def _values(cell: Mapping[Replicate, Sequence[Result]], keys: Sequence[str]) -> Observations:
    """The score of each replicate, of the latest record that has it."""
    found = {}
    for replicate, records in sorted(cell.items(), key=lambda item: (_seeds(item[1][0]), sorted(item[0][0]))):
        for record in records:
            if key := next((key for key in keys if key in record.metrics), None):
                found[replicate] = (record.name, record.metrics[key].value)
    return found


def _seeds(record: Result) -> list[int]:
    """For sorting: the seed of the model, then those of its teachers."""
    return [model.seed or 0 for model in (*record.models, *teachers_of(record))]
