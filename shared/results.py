"""`result.json`: the one record in which every run ends, and from which every table and figure is made.

A record is one of five kinds:

- `model`: one trained network with its test metrics (a teacher, or a student with its teachers' cards);
- `ensemble`: several trained networks with the test metrics of their combined prediction;
- `diffusion`: the diffusion indices eta between two students that differ in temperature;
- `clusters`: how tight the clusters of one network's penultimate features are, and how far apart (`metrics`);
- `projection`: 2-D penultimate projections of three classes, as numbers, so that a figure can be redrawn.
"""

import dataclasses
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.decoding import decode, read_json
from shared.errors import UserError
from shared.files import write_text
from shared.provenance import Provenance, RunClock

__all__ = [
    "Data",
    "Eta",
    "Metric",
    "Model",
    "Null",
    "Panel",
    "Provenance",
    "Result",
    "RunClock",
    "finite",
    "read_result",
    "read_results",
    "read_results_by_path",
    "result_paths",
    "write_result",
]

SCHEMA = 1
FILE_NAME = "result.json"
KINDS = ("model", "ensemble", "diffusion", "clusters", "projection")
TASKS = ("translation", "image-classification")


@dataclass(frozen=True)
class Metric:
    """One score: `value` in `unit`, over `count` items (images, sentences or tokens).

    `signature` is the scorer's own description, e.g. sacreBLEU's.
    """

    value: float
    unit: str
    count: int
    signature: str | None = None


@dataclass(frozen=True)
class Data:
    """What a run read. `sizes` maps a split to its number of items, `sha256` a file or split to its digest.

    `label_noise` is the share of the training labels that were made wrong on purpose, in [0, 1); None where none were.
    """

    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    label_noise: float | None = None


@dataclass(frozen=True)
class Model:
    """One trained network.

    `alpha` is the label smoothing of its own hard-label loss (None where no hard-label term is used), `temperature`
    and `kd_weight` are its distillation settings (None for a teacher), `recipe` holds the hyper-parameters that must
    agree between models that are compared: optimizer, schedule, epochs, batch, augmentation. `loss` is what it learned
    from its teachers by: "kd", "dist", or pseudo-labels, "epl" or "rpl" (None: a teacher, or an older record of "kd"),
    and `distill` that loss's further settings.
    """

    role: str  # "teacher" or "student"
    arch: str
    parameters: int
    sha256: str
    seed: int | None  # None: a foreign checkpoint, which does not say
    alpha: float | None = None
    temperature: float | None = None
    kd_weight: float | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    loss: str | None = None
    distill: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Null:
    """What eta is for random sets: `draws` sets of as many classes as the set had, of all classes but the target.

    `mean`, and the 2.5 and 97.5 percentiles `low` and `high`, are ratios, as eta is. `p_value` is the share of random
    sets whose eta is at least as far in the direction that systematic diffusion predicts (low for S1, high for S2).
    `exact`: every such set was taken once; otherwise they were drawn, and the measured set counts as one more.
    """

    draws: int
    mean: float
    low: float
    high: float
    p_value: float
    exact: bool


@dataclass(frozen=True)
class Eta:
    """One diffusion index (a ratio, not percent) of `target` against the classes `members`.

    `set_name` is "S1" (semantically similar) or "S2" (dissimilar); `chosen_by` says how the set was chosen
    ("explicit" or "nearest centroids"); `normalization` names the distance's normalization. `null` is the same index
    of random sets, where it was measured.
    """

    split: str
    target: str
    set_name: str
    members: list[str]
    value: float
    normalization: str
    chosen_by: str
    null: Null | None = None


@dataclass(frozen=True)
class Panel:
    """One panel of a projection figure: 2-D points of three classes for one student and split.

    `points` maps a class name to its [[x, y], ...]; `centroids` maps it to one [x, y]. `basis` is the sha256 of the
    model whose axes it is drawn on, where the panels of a figure share them; None: the student's own. An unknown
    `teacher_alpha` is None.
    """

    split: str
    teacher_alpha: float | None
    temperature: float | None
    points: dict[str, list[list[float]]]
    centroids: dict[str, list[float]]
    basis: str | None = None

    def __post_init__(self) -> None:
        pairs = [*self.centroids.values(), *(xy for rows in self.points.values() for xy in rows)]
        if wrong := next((xy for xy in pairs if len(xy) != 2), None):
            raise UserError(f"a projection point has {len(wrong)} coordinates; it must have 2")


@dataclass(frozen=True)
class Result:
    """One `result.json`. `name` is unique within a folder of results; `models` and `teacher` hold what it is about:
    one model for kinds `model` and `clusters`, the members for `ensemble`, the students (low T first) for `diffusion`,
    one per panel for `projection`. `teacher` is the teacher's Model card where there is one (for `projection`, panels
    may differ: None), the first of `teachers` where there are several; `teachers` is empty for one. `combination` is
    how an ensemble's members were combined: "probabilities", "logits" or "vote".
    """

    kind: str
    task: str
    name: str
    data: Data
    models: list[Model]
    provenance: Provenance
    teacher: Model | None = None
    teachers: list[Model] = field(default_factory=list)
    combination: str | None = None
    metrics: dict[str, Metric] = field(default_factory=dict)
    eta: list[Eta] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise UserError(f"{self.name}: result schema {self.schema} is not supported; this version reads {SCHEMA}")
        if self.kind not in KINDS:
            raise UserError(f"{self.name}: kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.task not in TASKS:
            raise UserError(f"{self.name}: task {self.task!r} is not one of {', '.join(TASKS)}")
        wanted = {"model": 1, "clusters": 1, "diffusion": 2}.get(self.kind, len(self.models))
        if len(self.models) != wanted:
            raise UserError(f"{self.name}: kind {self.kind} is about {wanted} models, got {len(self.models)}")
        self._check_several()

    def _check_several(self) -> None:
        if self.kind == "ensemble" and len(self.models) < 2:
            raise UserError(f"{self.name}: kind ensemble is about 2 models or more, got {len(self.models)}")
        if (self.kind == "ensemble") != (self.combination is not None):
            raise UserError(f"{self.name}: kind ensemble, and no other, says how its members were combined")
        if self.teachers and (len(self.teachers) == 1 or self.teachers[0] != self.teacher):
            raise UserError(f"{self.name}: teachers must be all of several, `teacher` the first of them")


def write_result(folder: str | os.PathLike[str], result: Result) -> Path:
    """Write `folder/result.json` atomically and return its path. Raises ValueError on a NaN or an infinity."""
    path = Path(folder) / FILE_NAME
    write_text(path, json.dumps(dataclasses.asdict(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def read_result(path: str | os.PathLike[str]) -> Result:
    """Read one record. Raises UserError that names the file and the field for anything that is not one."""
    try:
        result: Result = decode(Result, read_json(path), "result")
        return result
    except FileNotFoundError:
        raise UserError(f"{path}: no such result") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UserError as error:
        raise UserError(f"{path}: not a result.json of schema {SCHEMA} ({error})") from None


def read_results(folder: str | os.PathLike[str]) -> list[Result]:
    """Every record below `folder`, ordered by name; links are followed, and what is reached twice counts once.

    Raises UserError where there is none or two share a name.
    """
    return list(read_results_by_path(folder).values())


def read_results_by_path(folder: str | os.PathLike[str]) -> dict[Path, Result]:
    """As `read_results`, with the path of each record."""
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: not a folder; name one that holds {FILE_NAME} files")
    paths = sorted(result_paths(folder))
    if not paths:
        raise UserError(f"{folder}: holds no {FILE_NAME}; run scripts/demo.sh, or name the folder of a study")
    results = {path: read_result(path) for path in paths}
    by_name: dict[str, Path] = {}
    for path, result in results.items():
        if result.name in by_name:
            raise UserError(f"{path} and {by_name[result.name]} are both named {result.name!r}; remove one")
        by_name[result.name] = path
    return dict(sorted(results.items(), key=lambda item: item[1].name))


def result_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """The file of every record below `folder`, links followed; each file once, by its path without links if it has one.

    Empty where there is no such folder.
    """
    places, found = [os.fspath(folder)], []
    seen = set()
    for start in places:  # which grows: links to folders are followed after all that needs none
        for place, folders, files in os.walk(start):
            real = os.path.realpath(place)
            if real in seen:
                folders.clear()  # a link in a circle, or a second way to the same records
                continue
            seen.add(real)
            folders.sort()
            places += [link for name in folders if os.path.islink(link := os.path.join(place, name))]
            if FILE_NAME in files:
                found.append(Path(place, FILE_NAME))
    once: dict[str, Path] = {}
    for path in sorted(found, key=os.path.islink):
        once.setdefault(os.path.realpath(path), path)
    return list(once.values())


def finite(value: float, name: str) -> float:
    """`value`, or UserError where the metric of that name is NaN or infinite (a diverged model has no result)."""
    if not math.isfinite(value):
        raise UserError(f"{name} is {value}: the model's outputs are not finite numbers; its training diverged")
    return value
