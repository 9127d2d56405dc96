"""A folder that is either whole or absent: built beside its final name, renamed at the end."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import UserError


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Give the empty folder `final`.part; on success it takes the place of `final`, on failure it is removed.

    What an interrupted run left in it is cleared away. UserError if the parent cannot be written or if another
    process is building the same folder.
    """
    final = Path(os.path.abspath(final))  # "corpus/.." and "." have a last name too
    part = final.with_name(final.name + ".part")
    handle = _open_locked(part)
    try:
        _clear(part)
        yield part
        if final.exists():
            old = final.with_name(final.name + ".old")
            shutil.rmtree(old, ignore_errors=True)
            final.rename(old)
            part.rename(final)
            shutil.rmtree(old)
        else:
            part.rename(final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(handle)


def _open_locked(part: Path) -> int:
    try:
        part.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror}; choose an --output you may write") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(handle), part.stat())  # else: renamed by its builder in between
    except OSError:
        ours = False
    if not ours:
        os.close(handle)
        raise UserError(f"another process is building {part}; wait for it to end")
    return handle


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
