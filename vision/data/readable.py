"""Can every image be read? Asked before training: a damaged file would else stop it hours later."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from PIL import Image
from tqdm import tqdm

from shared.errors import UserError
from shared.files import write_text
from vision.data import on_disk
from vision.data.encoded import FORMATS, check_shape
from vision.data.on_disk import THREADS, alone_in, blocks, file_status, listing_sha256, some

LIST = "unreadable.txt"


def check_readable(files: Sequence[str], folder: Path) -> None:
    """Decode every image whole, and raise UserError that names those that cannot be: their headers would say nothing
    of a download that broke off. Where they are many, all are in a file in `folder`, which the error names.

    Every full block of files that passes is remembered in the user's cache folder, by path, size and time of change, so
    that a large set is decoded once, and an interrupted check goes on.
    """
    paths = sorted(files)
    broken: list[str] = []
    bar = tqdm(total=len(paths), desc="checking images", unit="image", delay=1, leave=False)
    with bar, _memory(paths) as memory, ThreadPoolExecutor(THREADS) as pool:
        known = set(memory.read().split())
        parts = blocks(paths)
        for block, key in zip(parts, pool.map(_key, parts), strict=True):
            if key not in known:
                problems = [problem for problem in pool.map(_problem, block) if problem]
                broken += problems
                if not problems and len(block) == on_disk.BLOCK:
                    print(key, file=memory, flush=True)
            bar.update(len(block))
    if broken:
        listed = ""
        if len(broken) > on_disk.SHOWN:
            write_text(folder / LIST, "\n".join(broken) + "\n")
            listed = f" ({folder / LIST} names all)"
        count = f"{len(broken):,} of {len(paths):,} images cannot be read"
        raise UserError(f"{count}; mend or remove them{listed}: {some(broken)}")


@contextmanager
def _memory(paths: list[str]) -> Iterator[TextIO]:
    """The keys of this set's readable blocks, one a line, open to read and append; other processes wait.

    Nothing is kept of a set below one block, or where the cache folder cannot be written.
    """
    name = hashlib.sha256("\n".join(paths).encode()).hexdigest()
    with ExitStack() as stack:
        memory: TextIO = io.StringIO()
        if len(paths) >= on_disk.BLOCK:
            with suppress(OSError, RuntimeError):  # RuntimeError: nobody's home is known
                place = _cache() / "lskd" / "readable" / name
                stack.enter_context(alone_in(place))
                memory = stack.enter_context((place / "blocks.txt").open("a+"))
                memory.seek(0)
        yield memory


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else Path.home() / ".cache"


def _key(block: Sequence[str]) -> str:
    """Another for other files, and for files of another size or time of change."""
    found = map(file_status, block)
    return listing_sha256(block, [status and f"{status.st_size} {status.st_mtime_ns}" for status in found])


def _problem(path: str) -> str | None:
    try:
        with Image.open(path, formats=FORMATS) as image:
            check_shape(image)
            image.load()
    except Exception as error:  # each of PIL's decoders has errors of its own
        reason = "cannot identify image file" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        return f"{path} ({reason})"
    return None
