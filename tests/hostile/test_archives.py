"""Tar archives and gzip files of strangers: nothing is written outside, nothing is followed, and no bomb goes off."""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt_plugin.corpora import archive as corpora_archive
from nmt_plugin.corpora.lines import read_lines
from shared import unpacking
from tests.hostile.outcomes import refusal
from vision.data.archive import unpack
from vision.data.cifar import CIFAR10, cifar10
from vision.data.cub import cub
from vision.data.fashion_mnist import read_idx
from vision.settings import DataSettings

pytestmark = pytest.mark.usefixtures("bounded")
MIB = 1 << 20
MUCH = 128 * MIB
ZEROS = gzip.compress(bytes(4 * MIB), 9) * 32  # `MUCH` of them: parts of gzip, one behind another, are one file


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


def packed(*parts: tuple[tarfile.TarInfo, bytes], raw: bytes = b"") -> bytes:
    """A .tgz of these headers with their contents, which need not fit, then `raw`."""
    blocks = [header.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512) for header, data in parts]
    return gzip.compress(b"".join(blocks) + raw + bytes(1024), 9)


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return member(name, size=len(content)), content


def with_size(header: tarfile.TarInfo, size: bytes) -> bytes:
    """The header with another size field, 12 bytes, and the checksum that belongs to it."""
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def negative(top: str) -> bytes:
    """Its second header says that it is -1024 bytes long: Python's tarfile would go back to it for ever."""
    size = (-1024).to_bytes(12, "big", signed=True)
    return packed(file(f"{top}/a"), raw=with_size(member(f"{top}/b"), size))


def zeros(kind: bytes) -> Callable[[str], bytes]:
    """A member, or a header, which tarfile would hold in memory, of `MUCH` zeros."""

    def make(top: str) -> bytes:
        header = member(f"{top}/{'a' if kind == tarfile.REGTYPE else 'x'}", kind, size=MUCH)
        return gzip.compress(header.tobuf(tarfile.GNU_FORMAT)) + ZEROS + packed(file(f"{top}/a"))

    return make


def pax(record: bytes) -> Callable[[str], bytes]:
    return lambda top: packed((member("pax", tarfile.XHDTYPE, size=len(record)), record), file(f"{top}/a"))


# By what is wrong: an archive whose proper folder is `top`; `outside` is a place beside the archive's folder.
HOSTILE: dict[str, Callable[[str], bytes]] = {
    "absolute path": lambda top: packed(file(f"{top}/a"), file("/tmp/lskd-escaped")),
    "..": lambda top: packed(file(f"{top}/a"), file("../escaped")),
    ".. within": lambda top: packed(file(f"{top}/a"), file(f"{top}/../../escaped")),
    "symlink": lambda top: packed(file(f"{top}/a"), (member(f"{top}/l", tarfile.SYMTYPE, "/etc/passwd"), b"")),
    "symlink, then a file through it": lambda top: packed(
        (member(f"{top}/l", tarfile.SYMTYPE, ".."), b""), file(f"{top}/l/escaped")
    ),
    "the folder itself is a symlink": lambda top: packed((member(top, tarfile.SYMTYPE, ".."), b""), file(f"{top}/a")),
    "hard link": lambda top: packed(file(f"{top}/a"), (member(f"{top}/l", tarfile.LNKTYPE, "/etc/passwd"), b"")),
    "device": lambda top: packed(file(f"{top}/a"), (member(f"{top}/zero", tarfile.CHRTYPE), b"")),
    "block device": lambda top: packed(file(f"{top}/a"), (member(f"{top}/disk", tarfile.BLKTYPE), b"")),
    "fifo": lambda top: packed(file(f"{top}/a"), (member(f"{top}/pipe", tarfile.FIFOTYPE), b"")),
    "one member twice": lambda top: packed(file(f"{top}/a"), file(f"{top}/a", b"y")),
    "one name by two ways": lambda top: packed(file(f"{top}/a"), file(f"{top}/./a", b"y")),
    "a file, then a folder of its name": lambda top: packed(file(f"{top}/a"), file(f"{top}/a/b")),
    "the folder itself is a file": lambda top: packed(file(top)),
    "a name of 300 letters": lambda top: packed(file(f"{top}/{'n' * 300}")),
    "a NUL in a name": pax(b"17 path=to\0p/abc\n"),
    "a negative size": negative,
    "zeros, 128 MiB of them": zeros(tarfile.REGTYPE),
    "a member that says it is 8 EiB": lambda top: packed(
        file(f"{top}/a"), raw=with_size(member(f"{top}/b"), b"\x80\0\0\0" + (2**62).to_bytes(8, "big"))
    ),
    "zeros behind the end, 128 MiB": lambda top: packed(file(f"{top}/a")) + ZEROS,
    "a pax header of 128 MiB": zeros(tarfile.XHDTYPE),
    "a global pax header of 128 MiB": zeros(tarfile.XGLTYPE),
    "a long name of 128 MiB": zeros(tarfile.GNUTYPE_LONGNAME),
    "a long link of 128 MiB": zeros(tarfile.GNUTYPE_LONGLINK),
    "a negative size in a pax header": pax(b"13 size=-512\n"),
    "a sparse file with its map before its data": pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"),
    "a sparse file of GNU's own kind": lambda top: packed(
        file(f"{top}/a"), (member(f"{top}/b", tarfile.GNUTYPE_SPARSE, size=1024), bytes(1024))
    ),
    "a sparse map that is no number": pax(b"31 GNU.sparse.map=one,two,three\n"),
    "a sparse file of 1 EiB": pax(b"38 GNU.sparse.size=1152921504606846976\n"),
    "no archive": lambda top: b"\x1f\x8b\x08\0 not at all",
    "cut off": lambda top: packed(file(f"{top}/a", os.urandom(2000)))[:-700],
}
# For which no more is owed than that nothing happens: what else there is may be read.
HARMLESS = {"a sparse file of 1 EiB", "a sparse map that is no number"}


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind not in HARMLESS])
def test_unpacking_images_refuses_it_and_leaves_nothing(kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    box = tmp_path / "deep" / "box"
    box.mkdir(parents=True)
    (box / "set.tgz").write_bytes(HOSTILE[kind]("top"))
    message = refused(unpack, box / "set.tgz", box / "top", "a")
    assert message.startswith(f"cannot unpack {box / 'set.tgz'} to {box / 'top'}: ")
    assert files_below(tmp_path) == ["deep", "deep/box", "deep/box/set.tgz"]
    assert not Path("/tmp/lskd-escaped").exists()


@pytest.mark.parametrize("kind", sorted(HARMLESS))
def test_unpacking_odd_images_takes_bounded_room(kind: str, tmp_path: Path) -> None:
    (tmp_path / "set.tgz").write_bytes(HOSTILE[kind]("top"))
    message = refusal(unpack, tmp_path / "set.tgz", tmp_path / "top", "a")
    assert message is None or message.startswith(f"cannot unpack {tmp_path / 'set.tgz'}")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < MIB


@pytest.mark.parametrize("kind", HOSTILE)
def test_reading_a_corpus_writes_nothing(kind: str, tmp_path: Path) -> None:
    """Where anything is wrong with a wanted member, one line; other members are as if they were not there."""
    path = tmp_path / "deep" / "top.tgz"
    path.parent.mkdir()
    path.write_bytes(HOSTILE[kind]("top"))
    found: dict[str, bytes] = {}
    message = refusal(lambda: found.update(corpora_archive.read_files(path, "top", ["a", "l", "zero", "pipe"])))
    assert message is None or message.startswith(f"{path} is not a whole .tgz archive: ")
    assert "\n" not in (message or "")
    assert set(found) <= {"a"}
    assert all(len(content) < 10 for content in found.values())
    assert files_below(tmp_path) == ["deep", "deep/top.tgz"]
    assert not Path("/tmp/lskd-escaped").exists()


def test_a_release_within_a_release_is_not_opened(tmp_path: Path) -> None:
    """An archive can hold itself."""
    content = packed(file("top/a", b"the innermost"))
    for _ in range(3):
        content = packed(file("texts/de/en/top.tgz", content))
    (tmp_path / "release.tgz").write_bytes(content)
    assert corpora_archive.read_files(tmp_path / "release.tgz", "top", ["a"]) == {}


def test_names_that_differ_in_case_or_composition_are_files_of_their_own(tmp_path: Path) -> None:
    names = ["a", "A", "caf\u00e9", "cafe\u0301"]
    (tmp_path / "set.tgz").write_bytes(packed(*(file(f"top/{name}", name.encode()) for name in names)))
    unpack(tmp_path / "set.tgz", tmp_path / "top", "a")
    assert {path.name: path.read_text() for path in (tmp_path / "top").iterdir()} == {name: name for name in names}


def test_too_many_members_are_refused(tmp_path: Path, raised: Callable[..., str]) -> None:
    (tmp_path / "set.tgz").write_bytes(packed(*(file(f"top/{number}", b"") for number in range(40))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpacking, "MEMBERS", 39)
        assert "more than 39 members" in raised(unpack, tmp_path / "set.tgz", tmp_path / "top", "1")
    unpack(tmp_path / "set.tgz", tmp_path / "top", "1")


def settings(name: str, folder: Path) -> DataSettings:
    return DataSettings(name, [0.5] * 3, [0.5] * 3, 1, data_dir=str(folder), image_size=8, official=False)


@pytest.mark.parametrize("kind", ["..", "symlink, then a file through it", "zeros, 128 MiB of them", "a negative size"])
def test_the_data_sets_refuse_them(kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    for name, read, archive in (
        ("cub", cub, "CUB_200_2011.tgz"),
        ("cifar10", cifar10, CIFAR10.archive.file),
    ):
        (tmp_path / archive).write_bytes(HOSTILE[kind](archive.partition(".")[0]))
        if name == "cifar10":
            (tmp_path / archive).write_bytes(HOSTILE[kind](CIFAR10.archive.folder))
        assert "cannot unpack" in refused(read, settings(name, tmp_path))


@pytest.mark.parametrize("name", ["../../secret.jpg", "/dev/zero", "a/../../x.jpg", "x\0.jpg"])
def test_a_table_of_images_names_none_outside(name: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    folder = tmp_path / "CUB_200_2011"
    folder.mkdir()
    lines = {"classes": "1 001.A", "images": f"1 {name}", "image_class_labels": "1 1", "train_test_split": "1 1"}
    for table, line in lines.items():
        (folder / f"{table}.txt").write_text(f"{line}\n")
    assert "is no path below" in refused(cub, settings("cub", tmp_path))


@pytest.mark.parametrize("content", [b"\xff\xfe\xe9", "caf\u00e9".encode("latin-1")])
def test_class_names_in_no_utf8_are_refused(content: bytes, tmp_path: Path, refused: Callable[..., str]) -> None:
    folder = tmp_path / CIFAR10.archive.folder
    folder.mkdir()
    for name in (*CIFAR10.train, CIFAR10.test):
        (folder / name).write_bytes(bytes(3073))
    (folder / CIFAR10.names).write_bytes(content)
    assert "not UTF-8" in refused(cifar10, settings("cifar10", tmp_path))


GZIPPED: dict[str, bytes] = {
    "zeros": ZEROS,
    "cut off": gzip.compress(os.urandom(3000))[:-1000],
    "another checksum": gzip.compress(b"text\n" * 100)[:-8] + bytes(8),
    "something behind it": gzip.compress(b"text\n") + b"garbage",
    "damaged within": gzip.compress(b"text\n" * 100)[:12] + b"\xff" * 30,
}


@pytest.mark.parametrize("kind", GZIPPED)
def test_gzip_files_are_whole_and_no_bombs(kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(GZIPPED[kind])
    assert "not a whole gzip file" in refused(read_lines, path)
    assert "not a whole gzip file" in refused(read_idx, path, 3)


def test_text_that_packs_well_is_read(tmp_path: Path) -> None:
    """Ten times better than any text does."""
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"the same line\n" * 1_000_000))
    assert len(read_lines(tmp_path / "text.gz")) == 1_000_000


def test_an_idx_header_that_asks_for_terabytes(tmp_path: Path, refused: Callable[..., str]) -> None:
    header = bytes((0, 0, 8, 3)) + np.array([2**32 - 1] * 3, ">u4").tobytes()
    (tmp_path / "x.gz").write_bytes(gzip.compress(header))
    assert "values follow" in refused(read_idx, tmp_path / "x.gz", 3)


def test_what_gunzip_raises_is_what_its_callers_catch() -> None:
    caught: list[type[Any]] = [EOFError, zlib.error, gzip.BadGzipFile]
    for content in GZIPPED.values():
        with pytest.raises(tuple(caught)):
            unpacking.gunzip(content)
    assert unpacking.gunzip(gzip.compress(b"text")) == b"text"
    assert io.BytesIO(unpacking.gunzip(gzip.compress(b""))).read() == b""
