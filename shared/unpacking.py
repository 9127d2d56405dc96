"""Compressed files of strangers: how far they may unpack, and tar archives read header by header under that limit.

A megabyte of gzip can hold a gigabyte of zeros, and Python's tarfile reads some headers whole into memory, follows
negative sizes backwards, and keeps every member that it has seen. None of the data sets comes near the limits.
"""

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping
from typing import IO

from shared.errors import UserError

RATIO = 100  # unpacked to packed; deflate can reach 1,000, text about 5
ROOM = 1 << 26  # bytes that any file may unpack to
HEADER = 1 << 20  # bytes of a header that tarfile holds in memory: long names and pax records
MEMBERS = 100_000  # CUB-200-2011 has 12,000

_IN_MEMORY = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


def limit_of(packed: int) -> int:
    """Bytes that a file of `packed` bytes may unpack to."""
    return ROOM + RATIO * packed


def gunzip(data: bytes) -> bytes:
    """What gzip made `data` from. Raises EOFError, zlib.error or gzip.BadGzipFile for damage and for a bomb."""
    limit = limit_of(len(data))
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise gzip.BadGzipFile(f"it unpacks to more than {RATIO} times its {len(data):,} bytes")
    return content


class _Member(tarfile.TarInfo):
    """Refuses, before tarfile acts on it, a header of a size that no honest archive has, and files with holes, whose
    lists of holes tarfile reads whole.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> "_Member":
        """As TarInfo's. Raises UserError too."""
        member = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        if member.size < 0 or (member.type in _IN_MEMORY and member.size > HEADER):
            raise UserError(f"its member {member.name!r} has a header of {member.size:,} bytes")
        if member.type == tarfile.GNUTYPE_SPARSE:
            raise UserError(f"its member {member.name!r} is a sparse file")
        return member

    def _apply_pax_info(self, pax_headers: Mapping[str, str], encoding: str, errors: str) -> None:
        """As TarInfo's, which takes any size that a pax header names. Raises UserError too."""
        super()._apply_pax_info(pax_headers, encoding, errors)  # type: ignore[misc]
        if self.size < 0:
            raise UserError(f"its member {self.name!r} has {self.size:,} bytes")

    def _proc_gnusparse_10(self, next: tarfile.TarInfo, *_: object) -> None:
        raise UserError(f"its member {next.name!r} is a sparse file")


def open_tar(file: IO[bytes]) -> tarfile.TarFile:
    """A tar archive, packed in whichever way, for `members`. Raises as tarfile does, and UserError."""
    return tarfile.open(fileobj=file, tarinfo=_Member)


def members(archive: tarfile.TarFile, packed: int) -> Iterator[tarfile.TarInfo]:
    """Every member of what `open_tar` opened, then the rest of the file, for gzip's checksum: tarfile takes a damaged
    header for the end. `packed` is the size of the file.

    Raises as tarfile does, and UserError where it unpacks to more than `limit_of(packed)` or has too many members.
    """
    limit, total = limit_of(packed), 0
    for count, member in enumerate(archive, start=1):
        total = max(total + member.size, member.offset_data)
        if total > limit:
            raise UserError(f"it unpacks to more than {RATIO} times its {packed:,} bytes")
        if count > MEMBERS:
            raise UserError(f"it has more than {MEMBERS:,} members")
        yield member
    while archive.fileobj is not None and (rest := archive.fileobj.read(HEADER)):
        total += len(rest)
        if total > limit:
            raise UserError(f"it unpacks to more than {RATIO} times its {packed:,} bytes")
