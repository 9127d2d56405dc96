"""A folder that is either whole or absent: built beside its final name, renamed at the end."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import UserError, no_room
from shared.locks import lock_folder

MARKER = ".nmt_plugin-builds-here"  # what tells our `.part` folder from a user's


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Give an empty folder in `final`.part; on success it takes the place of `final`, on failure it is removed.

    What an interrupted run left in `final`.part is cleared away. UserError if that folder is not one of ours, if the
    parent cannot be written or if another process is building the same folder.
    """
    final = Path(os.path.abspath(final))  # "corpus/.." and "." have a last name too
    part = final.with_name(final.name + ".part")
    new, old = part / "new", part / "old"
    handle = lock_folder(part, "building")
    try:
        _claim(part)
        try:
            _put_back(old, final)
            _clear(part)
            new.mkdir()
            yield new
            if os.path.lexists(final):
                final.rename(old)
            new.rename(final)
        except Exception as error:
            if told := no_room(final, error):
                raise told from None
            raise
        finally:
            _put_back(old, final)
            with suppress(OSError):  # what a dying child still writes to is cleared by the next run
                _clear(part)
                (part / MARKER).unlink()
                part.rmdir()
    finally:
        os.close(handle)


def _claim(part: Path) -> None:
    if not (part / MARKER).is_file():
        if any(part.iterdir()):
            raise UserError(f"{part} is in the way and was not left by a build; move it, or choose another --output")
        (part / MARKER).touch()


def _put_back(old: Path, final: Path) -> None:
    """A run that ended between its two renames left no `final`, but the old one whole."""
    if os.path.lexists(old) and not os.path.lexists(final):
        old.rename(final)


def _clear(part: Path) -> None:
    """Remove all but the marker, so that a kill leaves no folder that we do not know for ours."""
    for entry in part.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MARKER:
            entry.unlink()
