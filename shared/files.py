"""Files that are either whole or absent: written beside, synced, renamed."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import no_room


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success fsync it and rename it to `path`.

    If the block raises, the temporary file is removed and `path` is left as it was. A disk without room for it is told
    as a UserError that names `path`.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    beside = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        yield beside
        with beside.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(beside, final)
        _sync_folder(final.parent)
    except Exception as error:
        if told := no_room(final, error):
            raise told from None
        raise
    finally:
        beside.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left of `atomic_path` in `folder`; for who has it alone (`shared.locks`)."""
    for path in folder.glob(".*.part"):
        if re.fullmatch(r"\..+\.\d+\.part", path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, atomically."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
