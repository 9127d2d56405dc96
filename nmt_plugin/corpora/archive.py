"""Files of an archive, from a .tgz or from where it was unpacked. Nothing is extracted: members are read into memory.

So a hostile archive can write nowhere, and links and device files are never followed: only regular members of the
wanted names count.
"""

import io
import lzma
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from shared.errors import UserError
from shared.unpacking import members, open_tar

_RELEASE = ("", "texts/*/*/", "*/texts/*/*/")  # where a release, or a folder of downloads, has the archives
LIMIT = 1 << 28  # bytes of a member; the largest of IWSLT14 is below a tenth of it


def read_files(source: Path, folder: str, names: Iterable[str]) -> dict[str, bytes]:
    """Those of `folder`/`names` that `source` has: name -> content.

    `source` is {folder}.tgz, the unpacked folder, its parent, or a release (packed or not) that holds {folder}.tgz in
    texts/. UserError where there is no such file or it is not a whole archive.
    """
    wanted = frozenset(names)
    if source.is_dir():
        for place in (source, source / folder):
            found = {name: (place / name).read_bytes() for name in sorted(wanted) if (place / name).is_file()}
            if found:
                return found
        packed = [path for below in _RELEASE for path in source.glob(f"{below}{folder}.tgz") if path.is_file()]
        return read_files(packed[0], folder, wanted) if packed else {}
    try:
        with source.open("rb") as file:
            return _members(file, source.stat().st_size, folder, wanted)
    except OSError as error:
        if error.strerror is None:  # gzip's own, not the system's
            raise _not_whole(source, error) from None
        raise UserError(f"cannot read {source}: {error.strerror}; name an archive or a folder") from None
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:  # ValueError: in a header
        raise _not_whole(source, error) from None


def _not_whole(source: Path, error: Exception) -> UserError:
    reason = str(error).partition("\n")[0].rstrip(":")  # tarfile goes on to name each compression that it tried
    return UserError(f"{source} is not a whole .tgz archive: {reason}")


def _members(
    file: IO[bytes], size: int, folder: str, wanted: frozenset[str], within_release: bool = False
) -> dict[str, bytes]:
    """`size` is that of the file in bytes. A release is not within another: an archive can hold itself."""
    found: dict[str, bytes] = {}
    with open_tar(file) as archive:
        for member in members(archive, size):
            path = PurePosixPath(member.name)
            ours = path.parent.name == folder and path.name in wanted
            nested = path.name == f"{folder}.tgz" and "texts" in path.parts and not within_release
            if not member.isreg() or ".." in path.parts or not (ours or nested):
                continue
            if member.size > LIMIT:
                raise tarfile.ReadError(f"{member.name} has {member.size:,} bytes")
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            if nested:
                return _members(io.BytesIO(content.read()), member.size, folder, wanted, within_release=True)
            found[path.name] = content.read()
    return found
