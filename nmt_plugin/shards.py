"""A long job's finished parts: a folder of whole shard files that a killed job finds again."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nmt_plugin.differences import differences
from shared.decoding import read_json
from shared.errors import UserError
from shared.files import write_text
from shared.locks import lock_folder

SETTINGS = "settings.json"
_SHARD = r"shard-\d{5,}-of-\d{5,}\.tsv"
_HALF = rf"\.(?:{re.escape(SETTINGS)}|{_SHARD})\.\d+\.part"  # what `shared.files` had not renamed when it was killed


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

    Raises UserError where they were made with other settings (`fresh` forgets them), where the folder holds anything
    else, where another process works in it, or where it cannot be written.
    """
    handle = lock_folder(folder, "working in")
    try:
        _claim(folder, settings, fresh)
        yield Shards(folder, count)
        _clear(folder)
        with suppress(OSError):  # it stays where a user has put something into it meanwhile
            folder.rmdir()
    finally:
        os.close(handle)


def _claim(folder: Path, settings: Mapping[str, Any], fresh: bool) -> None:
    path = folder / SETTINGS
    known = rf"{_HALF}|{re.escape(SETTINGS)}|{_SHARD}" if path.is_file() else _HALF
    for entry in sorted(folder.iterdir()):
        if not entry.is_file() or not re.fullmatch(known, entry.name):
            raise UserError(f"{folder} holds something else, {entry.name}; choose another --output")
    if fresh:
        _clear(folder)
    elif path.is_file():
        _check_same(folder, settings, _read(path))
    write_text(path, json.dumps(dict(settings), indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged; --fresh starts again")
    return found


def _check_same(folder: Path, settings: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    if differing := differences(settings, found):
        raise UserError(f"{folder} holds unfinished work with {differing}; ask for the same, or --fresh starts again")


def _clear(folder: Path) -> None:
    """Remove what is ours, the settings last: they tell a later run that the shards are ours."""
    names = [entry.name for entry in folder.iterdir() if re.fullmatch(f"{_HALF}|{_SHARD}", entry.name)]
    for name in (*names, SETTINGS):
        (folder / name).unlink(missing_ok=True)
