"""Records of studies, as far as they are evidence for a task: teachers' clusters, students' scores."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from shared.errors import UserError
from shared.report.grouping import comparable_groups
from shared.report.losses import LossStudy, loss_studies
from shared.report.scores import Scores
from shared.report.several import is_of_several
from shared.results import FILE_NAME, Model, Result, read_results_by_path, result_paths

DEFAULT = "results"
SAME = 0.005  # alphas closer than this are one: fairseq's eps of 0.1 is an alpha of 0.1 * V / (V - 1)
_NMT = "criterion."  # an NMT record keeps the settings of its loss in its recipe, under this prefix
Study = TypeVar("Study", Scores, LossStudy)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The records of one task below `folder`, and `paths`, the file of each by its name."""

    folder: str
    task: str
    records: Sequence[Result]
    paths: Mapping[str, str]

    @property
    def clusters(self) -> list[Result]:
        """Of teachers whose alpha is known."""
        teachers = [r for r in self.records if r.kind == "clusters" and r.models[0].role == "teacher"]
        return [record for record in teachers if record.models[0].alpha is not None]

    def score_studies(self, teacher: Model, data: str) -> list[Scores]:
        """KD students by T and the teacher's alpha, in comparable groups: those nearest to `teacher` (`_nearest`)."""
        kd = [r for r in self.records if r.models[0].loss in (None, "kd") and not is_of_several(r)]
        found = [Scores.of(group) for group in comparable_groups(kd, "model").groups]
        return _nearest([one for one in found if any(one.temperatures)], teacher, data)

    def loss_studies(self, teacher: Model, data: str) -> list[LossStudy]:
        """KD and DIST students side by side, of the studies nearest to `teacher`."""
        return _nearest(loss_studies(self.records), teacher, data)


def read_evidence(folder: str | Path | None, task: str) -> Evidence | None:
    """The records of `task` below `folder`; None: below results/, where there is one.

    None where there is no such folder by default. Raises UserError for a given folder that is none or has no records.
    """
    if folder is None:
        if not result_paths(DEFAULT):
            return None
        folder = DEFAULT
    by_path = {path: r for path, r in read_results_by_path(folder).items() if r.task == task}
    records = list(by_path.values())
    return Evidence(str(folder), task, records, {record.name: str(path) for path, record in by_path.items()})


def same_alpha(one: float | None, other: float | None) -> bool:
    """Whether both are known and alike."""
    return one is not None and other is not None and abs(one - other) < SAME


def check_evidence(folder: str | None) -> None:
    """Raise UserError, before a model is run, where a given folder is none."""
    if folder is not None and not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder of evidence; name one that holds {FILE_NAME} files, or leave it out")


def _nearest(studies: Sequence[Study], teacher: Model, data: str) -> list[Study]:
    """Studies of this very teacher; else of its data set; else all."""
    own = [one for one in studies if any(i.teacher.sha256 == teacher.sha256 for i in one.group.items)]
    alike = [one for one in studies if any(i.record.data.name == data for i in one.group.items)]
    return own or alike or list(studies)
