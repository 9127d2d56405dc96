"""NumPy archives read without pickle, and what is raised for files that are none."""

import zipfile
import zlib
from collections import Counter
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from shared.errors import UserError

LIMIT = 1 << 30  # bytes of all arrays, unpacked: three times the predictions of ImageNet's training images
# What numpy and zipfile raise for other or damaged files, for headers that are no Python literals or that ask for more
# memory than there is, and for arrays that only pickle could read.
_DAMAGE = (
    *(OSError, ValueError, TypeError, EOFError, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile),
    *(SyntaxError, TokenError, MemoryError, OverflowError),
)


def read_arrays(path: Path, what: str) -> dict[str, Any]:
    """The arrays of an archive by name.

    Raises FileNotFoundError where there is none, and UserError ("not an archive of `what`") where it is damaged,
    another kind of file, holds objects, one name twice, or more than `LIMIT` bytes once unpacked.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            _check_members(packed.infolist())
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        reason = str(error).partition("\n")[0]  # numpy goes on to recommend pickle
        raise UserError(f"{path}: not an archive of {what} ({reason})") from None


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    """Raises BadZipFile; zipfile unpacks no more of a member than the size it names."""
    if (size := sum(member.file_size for member in members)) > LIMIT:
        raise zipfile.BadZipFile(f"it unpacks to {size:,} bytes, more than {LIMIT:,}")
    names = Counter(member.filename.removesuffix(".npy") for member in members)
    if twice := [name for name, count in names.items() if count > 1]:
        raise zipfile.BadZipFile(f"it holds {twice[0]!r} twice")
