"""The advice for one teacher: what it is like, which temperature and loss the evidence speaks for, what that lacks."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.advice.evidence import Evidence, same_alpha
from shared.advice.likeness import ConfidenceOf, Likeness, StudiedTeachers, likeness, studied_teachers
from shared.advice.loss import LossComparison, best_dist, compare_losses
from shared.advice.measurement import Measurement, Tightness
from shared.advice.scores import ScoreTable, published_tables, tables_of_studies
from shared.advice.smoothness import Smoothness
from shared.advice.temperature import TemperatureChoice, choose_temperature
from shared.advice.uncovered import uncovered
from shared.files import write_text
from shared.results import Model

FILE_NAME = "advice.json"


@dataclass(frozen=True)
class Teacher:
    """What the advice is asked for: a checkpoint by the name it was given, its card, its data set and its outputs."""

    spec: str
    task: str
    data: str
    card: Model
    class_names: Sequence[str] = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Measures:
    """Of one split."""

    smoothness: Smoothness
    tightness: Tightness | None


@dataclass(frozen=True)
class Advice:
    """`temperature` is that of `loss`, "kd" or "dist"; None: the evidence speaks for none, or for several.

    `evidence` is the folder of the studies; None: there was none, or none of the task, and `choices` are of the paper's
    published numbers. `uncovered` says what the evidence does not tell.
    """

    teacher: str
    task: str
    data: str
    card: Model
    measures: dict[str, Measures]
    teachers: list[StudiedTeachers]
    likeness: Likeness
    evidence: str | None
    choices: list[TemperatureChoice]
    losses: list[LossComparison]
    loss: str
    temperature: float | None
    uncovered: list[str]


def advise(teacher: Teacher, measured: Mapping[str, Measurement], evidence: Evidence | None) -> Advice:
    """Of measurements on "train" and a held-out split. Raises UserError where the teacher has diverged."""
    measures = {split: Measures(one.smoothness, one.tightness) for split, one in measured.items()}
    card, data = teacher.card, teacher.data
    of_studies = tables_of_studies(evidence.score_studies(card, data)) if evidence else []
    tables = of_studies or published_tables(teacher.task)
    teachers = studied_teachers(evidence, data, _confidence_of(teacher, measured["train"])) if evidence else []
    known = sorted({alpha for table in tables for alpha in table.cells})
    found = likeness(card.alpha, measures["train"].smoothness.implied_alpha, teachers, known)
    path_of = (lambda name: evidence.paths.get(name, name)) if evidence else str
    choices = _choices(tables, found.alphas, path_of)
    losses = compare_losses(evidence.loss_studies(card, data), found.alphas, path_of) if evidence else []
    folder = evidence.folder if evidence and of_studies else None
    told = (choices, losses, *_recommended(choices, losses))
    missing = uncovered(data, evidence, of_studies, teachers, found.alphas, choices, losses)
    return Advice(teacher.spec, teacher.task, data, card, measures, teachers, found, folder, *told, missing)


def write_advice(folder: str | Path, advice: Advice) -> Path:
    """Write `folder/advice.json`, atomically, and return its path."""
    path = Path(folder) / FILE_NAME
    write_text(path, json.dumps(dataclasses.asdict(advice), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def _choices(
    tables: Sequence[ScoreTable], alphas: Sequence[float], path_of: Callable[[str], str]
) -> list[TemperatureChoice]:
    return [
        choose_temperature(table.title, alpha, table.measure, row, path_of)
        for table in tables
        for alpha, row in table.cells.items()
        if any(same_alpha(alpha, wanted) for wanted in alphas)
    ]


def _recommended(choices: Sequence[TemperatureChoice], losses: Sequence[LossComparison]) -> tuple[str, float | None]:
    """Loss and temperature; None for the latter where the choices do not agree on one."""
    if dist := best_dist(losses):
        return "dist", dist.temperature
    temperatures = {choice.recommended for choice in choices}
    return "kd", temperatures.pop() if len(temperatures) == 1 else None


def _confidence_of(teacher: Teacher, train: Measurement) -> ConfidenceOf:
    outputs = {name: place for place, name in enumerate(teacher.class_names)}

    def confidence_of(names: Sequence[str] | None) -> float | None:
        if names is None:  # every class, two of one name as well
            return train.confidence_of(range(len(teacher.class_names)))
        return train.confidence_of([outputs[name] for name in names if name in outputs])

    return confidence_of
