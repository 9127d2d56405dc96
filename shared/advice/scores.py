"""Students' headline scores by their teachers' alpha and T: those of studies, and those that the paper published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.report.cells import Observations
from shared.report.published import published_scores
from shared.report.score_tables import headline_key
from shared.report.scores import Scores

PAPER = "Chandrasegaran et al. (ICML 2022)"
_ONE_SEED = (None, None)
_UNITS = {"translation": ("BLEU", 2), "image-classification": ("top-1 accuracy", 2)}


@dataclass(frozen=True)
class ScoreTable:
    """One study: `cells` maps the teachers' alpha, then T, to the students' scores by seeds. A higher one is better.

    `data` is its data set, `measure` says what is scored and to how many digits it is shown.
    """

    title: str
    data: str
    measure: tuple[str, int]
    cells: Mapping[float, Mapping[float, Observations]]


def tables_of_studies(studies: Sequence[Scores]) -> list[ScoreTable]:
    """Those with BLEU or top-1 accuracy; alphas and temperatures that are not recorded are left out."""
    tables = []
    for study in studies:
        key = headline_key(study)
        if key is None or key.scale.rank:
            continue
        alphas = [alpha for alpha in study.alphas if alpha is not None]
        temperatures = [t for t in study.temperatures if t is not None]
        cells = {a: {t: seen for t in temperatures if (seen := study.observed(t, a, key))} for a in alphas}
        cells = {alpha: row for alpha, row in cells.items() if row}
        if cells:
            tables.append(
                ScoreTable(study.title, study.group.items[0].record.data.name, (key.label, key.scale.digits), cells)
            )
    return tables


def published_tables(task: str) -> list[ScoreTable]:
    """The paper's own, each a single seed."""
    tables = []
    for name, scores in published_scores(task):
        cells: dict[float, dict[float, Observations]] = {}
        for (alpha, temperature), score in scores.items():
            cells.setdefault(alpha, {})[temperature] = {_ONE_SEED: (PAPER, score)}
        tables.append(ScoreTable(f"{PAPER}, {name}", name, _UNITS[task], cells))
    return tables
