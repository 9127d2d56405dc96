"""Places to write to, checked before the long work starts."""

import os
from pathlib import Path

from shared.errors import UserError


def writable_folder(folder: Path) -> Path:
    """`folder`, made where it is missing. Raises UserError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}; choose another --output") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write to {folder}; choose an --output you may write")
    return folder
