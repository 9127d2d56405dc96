"""The teacher cache on disk: one folder per split, with `manifest.json`, `sentences.bin` and `tokens.bin`.

`tokens.bin` holds one record per target token, sentence after sentence in the order of the data; `sentences.bin` one
record per sentence: where its tokens start, checksums of its source, its target and its records. Both are mapped.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.decoding import decode, read_json
from shared.errors import UserError
from shared.results import Model

FORMAT = 1
MANIFEST, SENTENCES, TOKENS = "manifest.json", "sentences.bin", "tokens.bin"
LARGEST = 1 << 24  # classes; a hundred times the largest vocabulary
STORED = {"fp16": np.float16, "fp32": np.float32}
SENTENCE = np.dtype(
    [("start", "<i8"), ("length", "<i4"), ("state", "<i4"), ("source", "<u4"), ("target", "<u4"), ("records", "<u4")]
)
MISSING, DONE, TOO_LONG = 0, 1, 2  # states of a sentence


@dataclass(frozen=True)
class Manifest:
    """What a cache holds and what it was made from.

    `k` of `classes` log-probabilities are kept per token as `dtype`. `dictionaries` are the digests of "source" and
    "target"; `data` the SHA-256 of the split's binarized files by name; `files` the sizes of the cache's own, in bytes;
    `teacher_dtype` is what the teacher computed in.
    """

    split: str
    k: int
    classes: int
    dtype: str
    sentences: int
    tokens: int
    too_long: int
    teacher: Model
    dictionaries: dict[str, str]
    data: dict[str, str]
    teacher_dtype: str = "fp32"
    files: dict[str, int] = field(default_factory=dict)
    format: int = FORMAT


def token_dtype(k: int, classes: int, dtype: str) -> np.dtype[Any]:
    """Record of one target token.

    `logits`: log-probabilities, descending, of the classes `ids`; with k = classes in class order, without `ids` and
    `tail`. `tail`: log-sum-exp, count, mean, variance of the others. `gold`: the target's log-probability, the entropy.
    """
    fields: list[tuple[Any, ...]] = [("logits", STORED[dtype], (k,))]
    if k < classes:
        fields += [("ids", np.uint16 if classes <= 1 << 16 else np.int32, (k,)), ("tail", np.float32, (4,))]
    return np.dtype([*fields, ("gold", np.float32, (2,))])


def file_sizes(manifest: Manifest) -> dict[str, int]:
    """Bytes of `sentences.bin` and `tokens.bin`."""
    record = token_dtype(manifest.k, manifest.classes, manifest.dtype)
    return {SENTENCES: manifest.sentences * SENTENCE.itemsize, TOKENS: manifest.tokens * record.itemsize}


class Store:
    """A finished cache of one split, open for reading."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the folder is not a whole cache."""
        self.folder = folder
        self.manifest = read_manifest(folder)
        for name, size in self.manifest.files.items():
            found = (folder / name).stat().st_size if (folder / name).is_file() else 0
            if found != size:
                raise UserError(
                    f"{folder / name} has {found:,} bytes, not {size:,}: the cache is damaged; make it again"
                )
        m = self.manifest
        self._sentences = np.memmap(folder / SENTENCES, SENTENCE, mode="r", shape=(m.sentences,))
        self._tokens = np.memmap(folder / TOKENS, token_dtype(m.k, m.classes, m.dtype), mode="r", shape=(m.tokens,))

    @property
    def too_long(self) -> npt.NDArray[np.int64]:
        """Ids of the sentences that were too long for the teacher, ascending."""
        return np.flatnonzero(self._sentences["state"] == TOO_LONG)

    def holds(self, ids: npt.NDArray[np.int64], source: Sequence[int], target: Sequence[int]) -> bool:
        """Whether the sentences of these ids are those of these source and target checksums."""
        if ids.size and (ids.min() < 0 or ids.max() >= self.manifest.sentences):
            return False
        found = self._sentences[ids]
        return bool(np.all((found["source"] == np.asarray(source)) & (found["target"] == np.asarray(target))))

    def records(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The token records of these sentences, one after another. Raises UserError for a sentence that has none."""
        parts = []
        for index, sentence in zip(ids.tolist(), self._sentences[ids], strict=True):
            if sentence["state"] != DONE:
                raise UserError(
                    f"{self.folder}: sentence {index} was too long for the teacher; leave it out of training"
                )
            part = self._tokens[sentence["start"] : sentence["start"] + sentence["length"]]
            if zlib.crc32(part.tobytes()) != sentence["records"]:
                raise UserError(f"{self.folder / TOKENS}: sentence {index} is damaged; make the cache again")
            if "ids" in (part.dtype.names or ()) and not _are_classes(part["ids"], self.manifest.classes):
                raise UserError(f"{self.folder / TOKENS}: sentence {index} has a class that does not exist")
            parts.append(part)
        return np.concatenate(parts)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of one split's cache. Raises UserError where there is none, or one of another format."""
    path = folder / MANIFEST
    try:
        manifest: Manifest = decode(Manifest, read_json(path), "manifest")
    except FileNotFoundError:
        raise UserError(f"{folder}: no teacher cache; make one with python -m nmt_plugin.cache") from None
    except (OSError, ValueError) as error:  # UserError is a ValueError
        raise UserError(f"{path}: not the manifest of a teacher cache ({error}); make the cache again") from None
    if manifest.format != FORMAT:
        raise UserError(f"{path}: cache format {manifest.format}; this version reads {FORMAT}; make the cache again")
    if not _agrees(manifest):
        raise UserError(f"{path}: not the manifest of a teacher cache (its figures disagree); make the cache again")
    return manifest


def _are_classes(ids: npt.NDArray[Any], classes: int) -> bool:
    return ids.size == 0 or (int(ids.min()) >= 0 and int(ids.max()) < classes)


def _agrees(manifest: Manifest) -> bool:
    """Whether its figures are possible, and of one cache."""
    return (
        manifest.dtype in STORED
        and 1 <= manifest.k <= manifest.classes <= LARGEST
        and min(manifest.sentences, manifest.tokens) > 0
        and {"source", "target"} <= manifest.dictionaries.keys()
        and manifest.files == file_sizes(manifest)
    )


def cached_splits(folder: Path) -> list[Path]:
    """The folders of the splits that a cache folder holds. Raises UserError where there is none."""
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}") if path.parent.suffix != ".part")
    if not found:
        raise UserError(f"{folder}: holds no teacher cache; make one with python -m nmt_plugin.cache --output {folder}")
    return found
