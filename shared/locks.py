"""One process at a time in a folder: a lock that a killed process cannot leave behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import UserError
from shared.files import remove_parts


def lock_folder(folder: Path, doing: str) -> int:
    """Make `folder` where it is missing and lock it; the lock lasts until `os.close` of the descriptor returned.

    The holder may rename or remove the folder: who then gets the lock of what it was is refused too, and may try again.
    Files in it that a killed process had not finished (`shared.files`) are removed.
    Raises UserError where the folder cannot be written, or "another process is `doing` `folder`".
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose an output folder you may write") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(handle), folder.stat())  # else: renamed or removed between open and lock
    except OSError:
        ours = False
    if not ours:
        os.close(handle)
        raise UserError(f"another process is {doing} {folder}; wait for it to end")
    remove_parts(folder)
    return handle


@contextmanager
def alone_in(folder: Path | None, doing: str = "writing") -> Iterator[None]:
    """Hold `lock_folder` within the block (None: of nothing).

    A folder that was made for it, and in which nothing came to be, is removed.
    """
    if folder is None:
        yield
        return
    there = folder.exists()
    handle = lock_folder(folder, doing)
    try:
        yield
    finally:
        if not there:
            with suppress(OSError):  # something is in it
                folder.rmdir()
        os.close(handle)
