"""A long job's finished parts: a folder of whole shard files that a killed job finds again."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.errors import UserError
from shared.files import write_text

SETTINGS = "settings.json"


class Shards:
    """Numbered shards of text lines, made for one set of settings. Each is whole or absent."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self.count = folder, count

    def missing(self) -> list[int]:
        """Numbers of the shards that have still to be made."""
        return [number for number in range(self.count) if not self._path(number).is_file()]

    def write(self, number: int, lines: Sequence[str]) -> None:
        """Keep a finished shard; a line holds no line feed."""
        write_text(self._path(number), "".join(f"{line}\n" for line in lines))

    def read(self, number: int) -> list[str]:
        return self._path(number).read_text(encoding="utf-8").split("\n")[:-1]

    def _path(self, number: int) -> Path:
        return self._folder / f"shard-{number + 1:05}-of-{self.count:05}.tsv"


@contextmanager
def kept_shards(folder: Path, settings: Mapping[str, Any], count: int, *, fresh: bool) -> Iterator[Shards]:
    """The shards that earlier runs with these settings left in `folder`, or none; removed when the block succeeds.

    Raises UserError where they were made with other settings (`fresh` forgets them), where another process works in
    the folder, or where it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose an --output you may write") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another process is working in {folder}; wait for it to end") from None
        _claim(folder, settings, fresh)
        yield Shards(folder, count)
        shutil.rmtree(folder)
    finally:
        os.close(handle)


def _claim(folder: Path, settings: Mapping[str, Any], fresh: bool) -> None:
    path = folder / SETTINGS
    if fresh:
        for entry in folder.iterdir():
            entry.unlink()
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name in {**settings, **found} if settings.get(name) != found.get(name)]
        if differing:
            told = ", ".join(
                f"{name} {_short(found.get(name))} (asked: {_short(settings.get(name))})" for name in differing
            )
            raise UserError(f"{folder} holds unfinished work with {told}; ask for the same, or --fresh starts again")
    elif any(folder.iterdir()):
        raise UserError(f"{folder} holds something else; choose another --output")
    write_text(path, json.dumps(dict(settings), indent=1) + "\n")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12] + "..."
