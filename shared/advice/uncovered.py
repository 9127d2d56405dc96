"""What the evidence does not tell, said plainly."""

from collections.abc import Iterable, Sequence

from shared.advice.evidence import DEFAULT, Evidence, same_alpha
from shared.advice.likeness import StudiedTeachers
from shared.advice.loss import LossComparison
from shared.advice.scores import ScoreTable
from shared.advice.temperature import TemperatureChoice
from shared.report.text import listing


def uncovered(
    data: str,
    evidence: Evidence | None,
    studies: Sequence[ScoreTable],
    teachers: Sequence[StudiedTeachers],
    alphas: Sequence[float],
    choices: Sequence[TemperatureChoice],
    losses: Sequence[LossComparison],
) -> list[str]:
    """A sentence for each thing that is missing for a teacher of `data` and one of `alphas`."""
    said = _students(data, evidence, studies)
    if evidence and not teachers:
        said.append("no study here has clusters of teachers to compare this one's confidence with")
    elif teachers and all(one.data != data for one in teachers):
        said.append(f"the teachers it is compared with are of {listing(_sorted(t.data for t in teachers))}, not {data}")
    for alpha in alphas:
        if not any(same_alpha(alpha, choice.alpha) for choice in choices):
            said.append(f"no study has students of teachers of alpha {alpha:g}")
    if any(one.score.n == 1 for choice in choices for one in choice.students):
        said.append("where a score is of one seed, nothing tells a difference from chance")
    if not losses:
        said.append("no study here compares DIST with KD for such teachers, so the loss is kd for want of evidence")
    return said


def _students(data: str, evidence: Evidence | None, studies: Sequence[ScoreTable]) -> list[str]:
    paper = "the numbers are the paper's published ones, of one seed and other models"
    if evidence is None:
        return [f"no evidence was given and there is no record below {DEFAULT}/: {paper}"]
    if not studies:
        return [f"{evidence.folder} has no scores of KD students for {evidence.task}: {paper}"]
    seen = {study.data for study in studies}
    return [] if data in seen else [f"the students are of {listing(_sorted(seen))}, not of {data}"]


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(set(names))
