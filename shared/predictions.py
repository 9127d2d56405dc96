"""`predictions.npz`: what a classifier said of every image, so that two classifiers can be compared image by image.

A NumPy archive of arrays, none of them pickled, with one entry for each of n images, in the order of the data:

| array | dtype | what |
|---|---|---|
| `ids` | text | the image: its path below the split's folder, or its row in a data set that is held in memory |
| `labels` | int64 | the right class |
| `predicted` | int64 | the most likely class |
| `top5` | bool | whether the right class is among the five most likely |
| `log_prob` | float64 | log-probability of the right class, nats |
| `confidence` | float64 | probability of the most likely class |

and `schema`, the number of this layout. Two files are of the same images where `ids` and `labels` are equal.
"""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.archives import read_arrays
from shared.errors import UserError
from shared.files import atomic_path

SCHEMA = 1
FILE_NAME = "predictions.npz"
_KINDS = {"ids": "U", "labels": "i", "predicted": "i", "top5": "b", "log_prob": "f", "confidence": "f"}


@dataclass(frozen=True)
class Predictions:
    """The arrays of the file; all have one length. Raises ValueError where they do not."""

    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    top5: npt.NDArray[np.bool_]
    log_prob: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        lengths = {name: np.shape(array) for name, array in vars(self).items()}
        if len(set(lengths.values())) > 1 or len(np.shape(self.ids)) != 1:
            raise ValueError(f"predictions need one entry per image in every array, got {lengths}")

    def __len__(self) -> int:
        return len(self.labels)


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write the archive, compressed, atomically."""
    with atomic_path(path) as beside, beside.open("wb") as handle:
        np.savez_compressed(handle, schema=np.int64(SCHEMA), **dataclasses.asdict(predictions))


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read the archive, without pickle. Raises UserError that names the file for anything that is not one."""
    try:
        arrays = read_arrays(Path(path), "predictions")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; vision.evaluate writes one into its output") from None
    if (schema := arrays.pop("schema", None)) is None or np.shape(schema) or schema != SCHEMA:
        raise UserError(f"{path}: schema {schema} of predictions is not supported; this version reads {SCHEMA}")
    wrong = [name for name in _KINDS.keys() | arrays.keys() if _kind(arrays, name) != _KINDS.get(name)]
    if wrong:
        raise UserError(f"{path}: predictions have {', '.join(_KINDS)}; missing, unknown or ill-typed: {sorted(wrong)}")
    try:
        return Predictions(**arrays)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _kind(arrays: dict[str, Any], name: str) -> str | None:
    return arrays[name].dtype.kind if isinstance(arrays.get(name), np.ndarray) else None
