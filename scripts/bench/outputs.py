"""Where a bench writes what it has measured, looked at before it measures."""

import os
from pathlib import Path

from shared.errors import UserError


def check_output(path: Path) -> None:
    """`path` is a file that can be written in the end; its folder is made. Raises UserError otherwise."""
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; name a file, e.g. {path / 'bench.json'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {path}: its folder cannot be made: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"--output {path}: its folder cannot be written to; choose another")
