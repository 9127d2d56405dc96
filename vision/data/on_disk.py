"""What the data sets whose images stay on disk have in common."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from shared.errors import UserError
from vision.settings import DataSettings

THREADS = 16  # they wait for the disk or decode outside Python's lock
BLOCK = 1024  # files that one thread looks up, and that are remembered to be readable, together
SHOWN = 10  # names in a message


def image_shape(settings: DataSettings) -> tuple[int, int, int]:
    """(3, H, W) of the crops: images on disk have many sizes. Raises UserError unless data.image_size is given."""
    if settings.image_size is None or settings.image_size < 1:
        raise UserError(f"data.image_size is {settings.image_size}; images on disk need one, e.g. data.image_size=224")
    return 3, settings.image_size, settings.image_size


def blocks(paths: Sequence[str]) -> list[Sequence[str]]:
    """The paths in runs of `BLOCK`, the last as long as it comes."""
    return [paths[start : start + BLOCK] for start in range(0, len(paths), BLOCK)]


def file_sizes(paths: Sequence[str]) -> list[int | None]:
    """Bytes of every file, None where there is no such file; many at once, for file systems on the network."""
    with ThreadPoolExecutor(THREADS) as pool:
        return [size for sizes in pool.map(_sizes, blocks(paths)) for size in sizes]


def _sizes(paths: Sequence[str]) -> list[int | None]:
    found = map(file_status, paths)
    return [status and status.st_size for status in found]


def file_status(path: str) -> os.stat_result | None:
    """What the file system says of a file, None where there is no such file."""
    try:
        return os.stat(path)  # a Path for each of a million files would take seconds
    except OSError:
        return None


def listing_sha256(names: Iterable[str], sizes: Iterable[object]) -> str:
    """SHA-256 of the lines `name size`, sorted: it stands for the content of a set too large to read at every start."""
    lines = sorted(f"{name} {size}\n" for name, size in zip(names, sizes, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make `folder` where it is missing and wait for its lock, which ends with the block or the process.

    Raises OSError where the folder can be neither made nor opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def some(names: Sequence[str]) -> str:
    """The first names, and how many there are where not all are shown."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown}, ... ({len(names):,} in all)"
