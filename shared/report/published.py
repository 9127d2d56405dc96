"""What papers report, to hold beside a study's own numbers: Chandrasegaran et al. (ICML 2022), and of several noisy
teachers, Kaplun et al. (NeurIPS 2022).

Top-1 / top-5 are those of the authors' repository; BLEU is that of the paper's appendix. Rows are the student's T,
columns the student and its teacher's alpha.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shared.report.document import Cell, Table
from shared.report.text import ALPHA, ETA, number

_RESNETS, _MOBILENET = ("ResNet-18", "ResNet-50"), ("MobileNetV2",)

_IMAGENET = {
    "T = 1": ("71.488 / 90.272", "71.666 / 90.364", "76.328 / 92.996", "76.896 / 93.236"),
    "T = 2": ("71.360 / 90.362", "68.860 / 89.352", "76.180 / 93.072", "76.110 / 93.138"),
    "T = 3": ("69.674 / 89.698", "67.752 / 88.932", "75.488 / 92.670", "75.790 / 93.006"),
    "T = 64": ("66.194 / 88.706", "64.362 / 87.698", "74.278 / 92.410", "74.566 / 92.596"),
}
_CUB = {
    "T = 1": ("80.169 / 95.392", "80.946 / 95.312", "82.902 / 96.358", "83.742 / 96.778"),
    "T = 2": ("80.808 / 95.593", "80.428 / 95.518", "82.534 / 96.427", "83.379 / 96.537"),
    "T = 3": ("80.785 / 95.674", "78.196 / 95.213", "82.091 / 96.243", "82.142 / 96.427"),
    "T = 64": ("73.611 / 94.529", "67.161 / 93.062", "79.784 / 95.927", "77.206 / 95.812"),
}
_CUB_TO_MOBILENET = {
    "T = 1": ("81.144 / 95.677", "81.731 / 95.754"),
    "T = 2": ("81.895 / 95.858", "80.609 / 95.470"),
    "T = 3": ("81.257 / 95.677", "78.961 / 95.306"),
    "T = 64": ("75.441 / 94.702", "70.435 / 93.494"),
}
_IWSLT = {
    "teacher": ("26.461", "26.750", "16.718", "16.976"),
    "T = 1": ("24.914", "25.085", "16.140", "16.197"),
    "T = 2": ("23.103", "23.421", "14.977", "15.100"),
    "T = 3": ("21.999", "22.076", "13.826", "14.106"),
    "T = 64": ("6.564", "6.461", "3.605", "3.590"),
}
_ETA = {  # S1 and S2 on train, then on val
    "Chesapeake Bay retriever": (-0.392, 0.162, -1.082, 0.269),
    "curly-coated retriever": (-0.578, 0.179, -2.024, 0.383),
    "flat-coated retriever": (-1.729, 0.380, -3.320, 0.655),
    "golden retriever": (-0.880, 0.228, -2.594, 0.555),
    "Labrador retriever": (-2.758, 0.501, -4.618, 0.840),
    "thunder snake": (-2.316, 0.376, -3.584, 0.511),
    "ringneck snake": (-0.463, 0.058, -0.757, 0.094),
    "hognose snake": (-1.528, 0.258, -4.067, 0.631),
    "water snake": (-2.028, 0.326, -3.053, 0.478),
    "king snake": (-2.474, 0.521, -4.577, 0.840),
}
SEVERAL_TEACHERS = (
    "Kaplun et al. 2022 report for CIFAR-10 with 20 % label noise: one teacher 81.3 %, test-time ensemble 87.8 %, "
    "students by EPL and RPL on CIFAR-5m about 90 %."
)
IWSLT_PAIRS = {"en-de": "En-De", "en-ru": "En-Ru"}
PAPER_ALPHAS = (0.0, 0.1)
IWSLT_ROWS: tuple[float | str, ...] = ("teacher", 1.0, 2.0, 3.0, 64.0)


def iwslt_score(row: float | str, pair: str, alpha: float) -> str:
    """The paper's BLEU, as it prints it. `row` is "teacher" or the student's T, `pair` e.g. "en-de"."""
    column = list(IWSLT_PAIRS).index(pair) * len(PAPER_ALPHAS) + PAPER_ALPHAS.index(alpha)
    return _IWSLT[row if isinstance(row, str) else f"T = {row:g}"][column]


def published_scores(task: str) -> list[tuple[str, dict[tuple[float, float], float]]]:
    """BLEU or top-1 of each student of the paper, by its name and (teacher's alpha, T), for the tables of a task."""
    if task == "translation":
        return _columns("IWSLT14 {}", IWSLT_PAIRS.values(), _IWSLT)
    return [
        *_columns("ImageNet-1K, {}", _RESNETS, _IMAGENET),
        *_columns("CUB-200-2011, {}", _RESNETS, _CUB),
        *_columns("CUB-200-2011, {}", _MOBILENET, _CUB_TO_MOBILENET),
    ]


def _columns(
    name: str, students: Iterable[str], rows: Mapping[str, Sequence[str]]
) -> list[tuple[str, dict[tuple[float, float], float]]]:
    """Each student has a column for each of the paper's alphas; the first number of a cell is its score."""
    places = [(student, alpha) for student in students for alpha in PAPER_ALPHAS]
    found: dict[str, dict[tuple[float, float], float]] = {}
    for row, texts in rows.items():
        for (student, alpha), text in zip(places, texts, strict=True):
            if row.startswith("T = "):
                by_cell = found.setdefault(name.format(student), {})
                by_cell[alpha, float(row.removeprefix("T = "))] = float(text.split(" / ")[0])
    return list(found.items())


def published_tables(tasks: set[str]) -> list[Table]:
    """The paper's tables for the tasks of a study."""
    tables = []
    if "translation" in tasks:
        tables.append(_table("IWSLT, Transformer to Transformer: BLEU", IWSLT_PAIRS.values(), _IWSLT, ""))
    if "image-classification" in tasks:
        imagenet = (
            f"Teacher ResNet-50: {ALPHA} 0: 76.132 / 92.862; {ALPHA} 0.1: 76.200 / 93.082. From the authors' "
            "repository; their slides print an earlier run, up to 1.2 points apart "
            f"(ResNet-18, T = 3, {ALPHA} 0.1: 66.570)."
        )
        cub = f"Teacher ResNet-50: {ALPHA} 0: 81.584 / 95.927; {ALPHA} 0.1: 82.068 / 96.168."
        tables += [
            _table("ImageNet-1K: top-1 / top-5 (%)", _RESNETS, _IMAGENET, imagenet),
            _table("CUB-200-2011: top-1 / top-5 (%)", _RESNETS, _CUB, cub),
            _table("CUB-200-2011: top-1 / top-5 (%)", _MOBILENET, _CUB_TO_MOBILENET, cub),
            _eta_table(),
        ]
    return tables


def _table(caption: str, names: Iterable[str], rows: Mapping[str, Sequence[str]], note: str) -> Table:
    columns = [f"{name}, {ALPHA} {alpha:g}" for name in names for alpha in PAPER_ALPHAS]
    return Table(
        caption, ["", *columns], [[Cell(t), *(Cell(score) for score in scores)] for t, scores in rows.items()], note
    )


def _eta_table() -> Table:
    rows = [[Cell(target), *(Cell(number(value, 3)) for value in values)] for target, values in _ETA.items()]
    return Table(
        f"ImageNet-1K, ResNet-18: {ETA} from T = 1 to 3 with the teacher of {ALPHA} = 0.1 (%)",
        ["Target class", *(f"{name}, {split}" for split in ("train", "val") for name in ("S1", "S2"))],
        rows,
        "From the slides, S1 and S2 by WordNet; how distances were normalized is not said.",
    )
