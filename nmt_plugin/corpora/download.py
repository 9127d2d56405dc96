"""One file from the network, whole or absent."""

import http.client
import lzma
import tarfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from tqdm import tqdm

from shared.errors import UserError
from shared.files import atomic_path
from shared.unpacking import open_tar

TIMEOUT = 60  # seconds without an answer
BLOCK = 1 << 16  # bytes


def fetch_archive(url: str, path: Path, hint: str) -> Path:
    """Download a tar archive to `path`, with a progress bar; a file that is already there is taken as it is.

    UserError, which ends with `hint`, where the network or the server fails or sends something else.
    """
    if path.is_file():
        return path
    if not url.startswith(("https://", "http://")):
        raise UserError(f"--url {url} is not an address; it starts with https:// or http://")
    try:
        with atomic_path(path) as beside:
            _download(url, beside)
            _check_archive(beside, url, hint)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, UserError):
            raise
        answered = isinstance(error, urllib.error.HTTPError)  # its text has the status, others' the real reason inside
        reason = error if answered else getattr(error, "reason", None) or error
        raise UserError(f"cannot download {url} to {path}: {reason}; {hint}") from None
    return path


def _check_archive(path: Path, url: str, hint: str) -> None:
    try:
        with path.open("rb") as file:
            open_tar(file).close()
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError):
        raise UserError(f"{url} gave no archive, but something else; {hint}") from None


def _download(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, path.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        with tqdm(total=size or None, unit="B", unit_scale=True, desc=url.rpartition("/")[2]) as bar:
            while block := answer.read(BLOCK):
                file.write(block)
                bar.update(len(block))
            if size and bar.n != size:
                raise OSError(f"the connection ended after {bar.n:,} of {size:,} bytes")
