"""Whether a study's DIST students are better than the KD students of the same teachers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shared.advice.evidence import same_alpha
from shared.report.cells import Observations, contrast
from shared.report.losses import Column, LossStudy
from shared.report.metrics import Key
from shared.results import Model
from shared.stats import MeanInterval, holm, mean_interval, t_test

LEVEL = 0.05


@dataclass(frozen=True)
class LossComparison:
    """DIST less KD for one kind of teachers: `kd` and `dist` name the settings; `temperature` is DIST's tau.

    `gain` is the difference of their scores, paired by seed, `adjusted_p` Holm's over the comparisons of the advice
    (None for one seed), `records` are the files.
    """

    study: str
    teachers: str
    alpha: float
    kd: str
    dist: str
    temperature: float | None
    gain: MeanInterval
    digits: int
    records: list[str]
    p: float | None = None
    adjusted_p: float | None = None

    @property
    def better(self) -> bool:
        """DIST is better beyond chance."""
        return self.gain.mean > 0 and self.adjusted_p is not None and self.adjusted_p < LEVEL


def compare_losses(
    studies: Sequence[LossStudy], alphas: Sequence[float], path_of: Callable[[str], str]
) -> list[LossComparison]:
    """Every DIST setting against the best KD setting (by mean score), for each kind of teachers of one of `alphas`."""
    found = [
        one
        for study in studies
        if (key := _headline(study))
        for label, teachers in study.rows(key)
        if any(same_alpha(teachers[0].alpha, alpha) for alpha in alphas)
        for one in _of_teachers(study, key, label, teachers, path_of)
    ]
    adjusted = iter(holm([one.p for one in found if one.p is not None]))
    return [one if one.p is None else replace(one, adjusted_p=next(adjusted)) for one in found]


def best_dist(comparisons: Sequence[LossComparison]) -> LossComparison | None:
    """The DIST setting with the largest gain, where for every kind of teachers some setting is better beyond chance."""
    kinds = {(one.study, one.teachers) for one in comparisons}
    better = [one for one in comparisons if one.better]
    if not kinds or {(one.study, one.teachers) for one in better} != kinds:
        return None
    return max(better, key=lambda one: one.gain.mean)


def _headline(study: LossStudy) -> Key | None:
    return next((key for key in study.keys if key.scale.rank == 0), None)


def _of_teachers(
    study: LossStudy, key: Key, label: str, teachers: Sequence[Model], path_of: Callable[[str], str]
) -> list[LossComparison]:
    cells = {column: study.observed(teachers, column, key) for column in study.columns}
    cells = {column: cell for column, cell in cells.items() if cell}
    kd = max((c for c in cells if c.loss == "kd"), key=lambda c: _mean(cells[c]), default=None)
    if kd is None:
        return []
    made = []
    for dist in (column for column in cells if column.loss == "dist"):
        if values := contrast([(1.0, cells[dist]), (-1.0, cells[kd])]):
            differences = [value for _, value in values.values()]
            made.append(
                LossComparison(
                    study.title,
                    label,
                    teachers[0].alpha or 0.0,
                    _label(kd, study),
                    _label(dist, study),
                    dist.temperature,
                    mean_interval(differences),
                    key.scale.digits,
                    [path_of(name) for names, _ in values.values() for name in names],
                    t_test(differences) if len(differences) > 1 else None,
                )
            )
    return made


def _mean(cell: Observations) -> float:
    return mean_interval([value for _, value in cell.values()]).mean


def _label(column: Column, study: LossStudy) -> str:
    return column.label(study.columns)
