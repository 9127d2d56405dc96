"""`outcomes.npz`: what became of every item of a test set, beside the `result.json` whose scores it adds up to.

Paired tests resample the items. The file is a NumPy archive, none of it pickled, with an array [N, k] of integers for a
metric of the record, under the metric's key:

| metric | k | what |
|---|---|---|
| `.../top1` | 1 | 1 where the most likely class of an image is the right one, else 0 |
| `.../bleu` | 10 | sacreBLEU's statistics of a sentence, as `shared.bleu.corpus_bleu` takes them |

Rows are in the order of the data, so that row i of two models is the same image or sentence.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.archives import read_arrays
from shared.bleu import corpus_bleu
from shared.errors import UserError
from shared.files import atomic_path

FILE_NAME = "outcomes.npz"
_WIDTHS = {"top1": 1, "bleu": 10}

Outcomes = npt.NDArray[np.integer[Any]]


def write_outcomes(folder: str | os.PathLike[str], outcomes: Mapping[str, Outcomes]) -> Path:
    """Write `folder/outcomes.npz` atomically, in the smallest integers that hold it; its path.

    `outcomes` maps a metric's key to [N, k] integers. Raises ValueError for another shape or kind of number.
    """
    for key, rows in outcomes.items():
        if wrong := _wrong(key, rows):
            raise ValueError(wrong)
    path = Path(folder) / FILE_NAME
    small: dict[str, Any] = {
        key: rows.astype(np.min_scalar_type(int(rows.max(initial=0)))) for key, rows in outcomes.items()
    }
    with atomic_path(path) as beside, beside.open("wb") as handle:
        np.savez_compressed(handle, **small)
    return path


def read_outcomes(folder: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.float64]]:
    """The arrays of `folder/outcomes.npz`, [N, k] float64 by metric key; none where there is no such file.

    Raises UserError that names the file where it is not such an archive.
    """
    path = Path(folder) / FILE_NAME
    try:
        found = read_arrays(path, "outcomes")
    except FileNotFoundError:
        return {}
    for key, rows in found.items():
        if wrong := _wrong(key, rows):
            raise UserError(f"{path}: {wrong}")
    return {key: rows.astype(np.float64) for key, rows in found.items()}


def score_function(key: str, items: int) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    """From outcomes summed over `items` items, [..., k], to the metric of that key, [...]: percent for top1, BLEU."""
    if _name(key) == "bleu":
        return corpus_bleu
    return lambda sums: 100.0 * sums[..., 0] / items


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _wrong(key: str, rows: Any) -> str | None:
    """What is wrong with the outcomes of a metric; None: nothing."""
    if (width := _WIDTHS.get(_name(key))) is None:
        return f"{key} has no outcomes; only {', '.join(_WIDTHS)} have"
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "iu" or rows.ndim != 2 or rows.shape[1] != width:
        return f"want {key} as integers [N, {width}], got {getattr(rows, 'dtype', type(rows))} {np.shape(rows)}"
    return f"{key} has a negative number" if (rows < 0).any() else None
