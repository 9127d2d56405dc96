"""Which temperature a study's students speak for, given their teachers' alpha."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from shared.report.cells import Observations, contrast
from shared.stats import MeanInterval, holm, mean_interval, t_test

LEVEL = 0.05  # of Holm's adjusted p


@dataclass(frozen=True)
class Students:
    """The students of one T: their mean score, and `gain`, its difference to the lowest T's, paired by seed.

    `seeds` are (teacher's, student's), `records` the files. `gain` is None for the lowest T, and where no seed is
    common; `p` is the paired t test's, `adjusted_p` Holm's over the temperatures; None without two seeds.
    """

    temperature: float
    score: MeanInterval
    seeds: list[tuple[int | None, ...]]
    records: list[str]
    gain: MeanInterval | None = None
    p: float | None = None
    adjusted_p: float | None = None

    @property
    def better(self) -> bool:
        """Better than the lowest T beyond chance. An adjusted p below 0.05 has the 95 % t interval exclude 0."""
        return self.gain is not None and self.gain.mean > 0 and self.adjusted_p is not None and self.adjusted_p < LEVEL


@dataclass(frozen=True)
class TemperatureChoice:
    """What `study` says for teachers of `alpha`; `measure` names the score, `students` are in order of T.

    `recommended` is the lowest T, unless others are better beyond chance: then the one of these with the largest gain.
    `best` is the T with the largest mean gain, whatever chance has to do with it (the lowest, where none is above 0).
    """

    study: str
    alpha: float
    measure: str
    digits: int
    students: list[Students]
    recommended: float
    best: float


def choose_temperature(
    study: str,
    alpha: float,
    measure: tuple[str, int],
    observed: Mapping[float, Observations],
    path_of: Callable[[str], str],
) -> TemperatureChoice:
    """`observed` maps each T to the scores of its students, by seeds, with the names of their records.

    A higher score is better. Raises ValueError where there is no student.
    """
    temperatures = sorted(temperature for temperature, cell in observed.items() if cell)
    if not temperatures:
        raise ValueError(f"{study} has no student of alpha {alpha:g}")
    low, *higher = temperatures
    students = [_students(low, observed[low], path_of)]
    students += [_compared(_students(t, observed[t], path_of), observed[t], observed[low]) for t in higher]
    students = _adjusted(students)
    gains = {one.temperature: one.gain.mean for one in students if one.gain}
    better = [one.temperature for one in students if one.better]
    recommended = max(better, key=lambda t: gains[t], default=low)
    best = max(gains, key=lambda t: gains[t], default=low)
    best = best if gains.get(best, 0.0) > 0 else low
    return TemperatureChoice(study, alpha, *measure, students, recommended, best)


def _students(temperature: float, cell: Observations, path_of: Callable[[str], str]) -> Students:
    score = mean_interval([value for _, value in cell.values()])
    return Students(temperature, score, list(cell), [path_of(name) for name, _ in cell.values()])


def _compared(students: Students, high: Observations, low: Observations) -> Students:
    differences = [value for _, value in contrast([(1.0, high), (-1.0, low)]).values()]
    if not differences:
        return students
    p = t_test(differences) if len(differences) > 1 else None
    return replace(students, gain=mean_interval(differences), p=p)


def _adjusted(students: list[Students]) -> list[Students]:
    adjusted = iter(holm([one.p for one in students if one.p is not None]))
    return [one if one.p is None else replace(one, adjusted_p=next(adjusted)) for one in students]
