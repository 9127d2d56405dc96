"""Data sets that their authors publish as one archive: downloaded, checked by md5, unpacked whole or not at all."""

import hashlib
import http.client
import lzma
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from tqdm import tqdm

from shared.errors import UserError
from shared.files import atomic_path
from shared.unpacking import members, open_tar
from vision.data.on_disk import alone_in
from vision.settings import DataSettings

# What a damaged or unwritable one raises, and (ValueError) one with a NUL in a name or no number in a header.
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError)


@dataclass(frozen=True)
class Archive:
    """An official archive: its address and md5, the `folder` in it that holds the set, and a `marker` file there."""

    url: str
    md5: str
    folder: str
    marker: str

    @property
    def file(self) -> str:
        """The archive's name on disk."""
        return self.url.rpartition("/")[2]


def unpacked(archive: Archive, settings: DataSettings, key: str = "data_dir") -> Path:
    """The folder of the set: what `key` of the settings names, `folder` in it, or what the archive in it unpacks to.

    data.download fetches an archive that is not there; data.official wants its md5 to be the authors'. Of several
    processes one unpacks and the others wait. Raises UserError for a missing, wrong, damaged or hostile archive.
    """
    given = getattr(settings, key)
    root = Path(given or "")
    where = f"{archive.file} from {archive.url} or its unpacked folder {archive.folder}"
    if given is None:
        raise UserError(f"data={settings.name} needs data.{key}=DIR with {where}")
    if found := _find(archive, root):
        return found
    path = root / archive.file
    if not (path.is_file() or settings.download):
        raise UserError(f"data.{key} {root} lacks {where}; data.download=true fetches it")
    try:
        with alone_in(root):
            return _find(archive, root) or _unpack_into(root, archive, settings.official)
    except OSError as error:
        raise UserError(f"cannot unpack {archive.file} in data.{key} {root}: {error.strerror}") from None


def _unpack_into(root: Path, archive: Archive, official: bool) -> Path:
    path, folder = root / archive.file, root / archive.folder
    if folder.exists():
        raise UserError(f"{folder} is incomplete, without {archive.marker}; remove it and unpack {archive.file} anew")
    if not path.is_file():
        fetch(archive, path)
    elif official:
        check_md5(path, archive.md5, "data.official=false takes a set of your own in this format")
    unpack(path, folder, archive.marker)
    return folder


def _find(archive: Archive, root: Path) -> Path | None:
    return next((place for place in (root / archive.folder, root) if (place / archive.marker).is_file()), None)


def fetch(archive: Archive, path: Path) -> None:
    """Download the archive to `path`, with a progress bar; what is not the authors' never gets that name.

    Raises UserError where the network, the server or the disk fails, and for another md5.
    """
    print(f"downloading {archive.url}", flush=True)
    try:
        with atomic_path(path) as beside:
            torch.hub.download_url_to_file(archive.url, str(beside))
            check_md5(beside, archive.md5, f"that is what {archive.url} gave; get {archive.file} by hand")
    except (OSError, http.client.HTTPException) as error:  # urllib's own errors are OSErrors
        reason = getattr(error, "reason", None) or error
        raise UserError(f"cannot download {archive.url} to {path}: {reason}; put the file there by hand") from None


def check_md5(path: Path, expected: str, hint: str) -> None:
    """Raise UserError, with both sums and `hint`, unless the file's md5 is the expected one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected:
        raise UserError(f"{path} has md5 {found}, the official archive {expected}: incomplete or another file; {hint}")


def unpack(path: Path, folder: Path, marker: str) -> None:
    """Unpack what a tar archive holds under `folder.name`/ to `folder`, which is not there yet: first beside it, then
    renamed, so that a part is never taken for the whole. Call it with the lock of the folder above.

    Raises UserError, and leaves nothing behind, for a damaged archive, one without the file `marker` there, and one
    with links, devices or paths outside its folder.
    """
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed: this one is alone here
    try:
        with path.open("rb") as file, open_tar(file) as archive:
            every = members(archive, path.stat().st_size)
            for member in tqdm(every, f"unpacking {path.name}", unit="file", delay=1, leave=False):
                _unpack_member(archive, member, folder.name, beside)
        if not (beside / marker).is_file():
            raise UserError(f"it has no {folder.name}/{marker}; is it another data set?")
        beside.rename(folder)
    except _BROKEN as error:
        reason = str(error).partition("\n")[0].rstrip(":")  # tarfile goes on to name each compression that it tried
        raise UserError(f"cannot unpack {path} to {folder}: {reason}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, top: str, target: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise UserError(f"its member {member.name!r} lies outside the archive's folder")
    if not (member.isfile() or member.isdir()):
        raise UserError(f"its member {member.name!r} is a link or a device")
    if name.parts[:1] != (top,) or member.isdir():
        return
    if len(name.parts) == 1:
        raise UserError(f"its member {member.name!r} is a file, not a folder")
    place = target.joinpath(*name.parts[1:])
    place.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None  # it is a regular file
    with place.open("xb") as file:
        shutil.copyfileobj(content, file)
