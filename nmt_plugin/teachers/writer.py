"""Writing a teacher cache so that a killed run goes on where it was, and a whole one gets its name at the end."""

import dataclasses
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt_plugin.teachers.store import (
    DONE,
    MISSING,
    SENTENCE,
    SENTENCES,
    TOKENS,
    TOO_LONG,
    Manifest,
    file_sizes,
    token_dtype,
)
from nmt_plugin.teachers.store import MANIFEST as MANIFEST_NAME
from shared.errors import UserError
from shared.files import write_text
from shared.locks import lock_folder

_REQUEST = "request.json"


class Writer:
    """One split's cache in the making, in `final`.part. Use as a context manager; `finish` gives it its name."""

    def __init__(self, final: Path, manifest: Manifest, lengths: Sequence[int], *, fresh: bool = False) -> None:
        """`lengths`: target tokens of each sentence, in the order of the data.

        An interrupted cache of the same request goes on, unless `fresh`; one of another request is replaced. Raises
        UserError where `final` is something else than a cache, another process writes it, or the disk has no room.
        """
        _refuse_other(final)
        self._final, self._manifest = final, manifest
        self._part = final.with_name(final.name + ".part")
        self._lock = lock_folder(self._part, "writing")
        self._record = token_dtype(manifest.k, manifest.classes, manifest.dtype)
        request = json.dumps(dataclasses.asdict(manifest), indent=1)
        going_on = not fresh and _text(self._part / _REQUEST) == request
        if not going_on:
            (self._part / _REQUEST).unlink(missing_ok=True)  # before the files that it speaks of
        _reserve(self._part / SENTENCES, len(lengths) * SENTENCE.itemsize, keep=going_on)
        _reserve(self._part / TOKENS, manifest.tokens * self._record.itemsize, keep=going_on)
        self._sentences = np.memmap(self._part / SENTENCES, SENTENCE, mode="r+", shape=(len(lengths),))
        self._tokens = np.memmap(self._part / TOKENS, self._record, mode="r+", shape=(manifest.tokens,))
        if going_on:
            self._forget_damaged()
        else:
            self._sentences[:] = 0
            self._sentences["length"] = lengths
            self._sentences["start"] = np.cumsum([0, *lengths[:-1]])
            self._sentences.flush()
            write_text(self._part / _REQUEST, request)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    @property
    def missing(self) -> npt.NDArray[np.int64]:
        """Ids of the sentences that are still to be written."""
        return np.flatnonzero(self._sentences["state"] == MISSING)

    def put(self, index: int, source: int, target: int, records: npt.NDArray[Any]) -> None:
        """Write one sentence: its checksums and its token records."""
        sentence = self._sentences[index]
        if len(records) != sentence["length"]:
            raise UserError(f"sentence {index} has {len(records)} target tokens in a batch, {sentence['length']} alone")
        start = int(sentence["start"])
        self._tokens[start : start + len(records)] = records
        sentence["source"], sentence["target"], sentence["records"] = source, target, zlib.crc32(records.tobytes())
        sentence["state"] = DONE

    def leave_out(self, index: int, source: int, target: int) -> None:
        """Mark one sentence, of these checksums, as too long for the teacher."""
        sentence = self._sentences[index]
        sentence["source"], sentence["target"], sentence["state"] = source, target, TOO_LONG

    def flush(self) -> None:
        """Bring what is written to the disk."""
        self._tokens.flush()
        self._sentences.flush()

    def finish(self) -> None:
        """Add the manifest and take the place of `final`."""
        self.flush()
        too_long = int((self._sentences["state"] == TOO_LONG).sum())
        manifest = dataclasses.replace(self._manifest, too_long=too_long, files=file_sizes(self._manifest))
        write_text(self._part / MANIFEST_NAME, json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")
        _refuse_other(self._final)
        if self._final.exists():
            shutil.rmtree(self._final)
        self._part.rename(self._final)
        # Last: a run that is killed before the rename still finds its request, and has nothing left to compute.
        (self._final / _REQUEST).unlink()

    def _forget_damaged(self) -> None:
        """Sentences whose records did not reach the disk before a crash are missing again."""
        for index in np.flatnonzero(self._sentences["state"] == DONE):
            sentence = self._sentences[index]
            records = self._tokens[sentence["start"] : sentence["start"] + sentence["length"]]
            if zlib.crc32(records.tobytes()) != sentence["records"]:
                sentence["state"] = MISSING


def _refuse_other(final: Path) -> None:
    """A finished cache may be replaced, nothing else. Raises UserError where `final` is not one."""
    if final.exists() and not (final / MANIFEST_NAME).is_file() and (not final.is_dir() or any(final.iterdir())):
        raise UserError(f"{final} holds something that is not a teacher cache; choose another --output")


def _reserve(path: Path, size: int, *, keep: bool) -> None:
    """Make `path` exactly `size` bytes that the disk really has: a full disk would else kill a memory-mapped write."""
    if not keep:
        path.unlink(missing_ok=True)
    with path.open("ab") as handle:
        try:
            os.posix_fallocate(handle.fileno(), 0, max(size, 1))
            os.truncate(handle.fileno(), size)
        except OSError as error:
            raise UserError(
                f"{path}: no room for {size / 1e9:.2f} GB ({error.strerror}); a smaller --topk needs less"
            ) from None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
