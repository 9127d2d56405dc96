"""NumPy archives read without pickle, and what is raised for files that are none."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import UserError

# What numpy and zipfile raise for other or damaged files, and for arrays that only pickle could read.
_DAMAGE = (OSError, ValueError, TypeError, EOFError, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile)


def read_arrays(path: Path, what: str) -> dict[str, Any]:
    """The arrays of an archive by name.

    Raises FileNotFoundError where there is none, and UserError ("not an archive of `what`") where it is damaged,
    another kind of file, or holds objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        raise UserError(f"{path}: not an archive of {what} ({error})") from None
