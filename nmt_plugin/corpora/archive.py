"""Files of an archive, from a .tgz or from where it was unpacked. Nothing is extracted: members are read into memory.

So a hostile archive can write nowhere, and links and device files are never followed: only regular members of the
wanted names count.
"""

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from shared.errors import UserError

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
            return _members(file, folder, wanted)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        reason = str(error).partition("\n")[0].rstrip(":")  # tarfile goes on to name each compression that it tried
        raise UserError(f"{source} is not a whole .tgz archive: {reason}") from None
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror}; name an archive or a folder") from None


def _members(file: IO[bytes], folder: str, wanted: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=file) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            ours = path.parent.name == folder and path.name in wanted
            nested = path.name == f"{folder}.tgz" and "texts" in path.parts
            if not member.isreg() or ".." in path.parts or not (ours or nested):
                continue
            if member.size > LIMIT:
                raise tarfile.ReadError(f"{member.name} has {member.size:,} bytes")
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            if nested:
                return _members(io.BytesIO(content.read()), folder, wanted)
            found[path.name] = content.read()
        while archive.fileobj is not None and archive.fileobj.read(1 << 20):
            pass  # on to gzip's checksum: tarfile takes a damaged header for the end
    return found
