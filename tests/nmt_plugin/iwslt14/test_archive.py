"""Archives good, damaged and hostile; a folder and a whole release in an archive's place."""

import hashlib
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from nmt_plugin.corpora import iwslt14
from shared.errors import UserError


def test_archive_folder_and_release_are_one(archives: ModuleType, tmp_path: Path) -> None:
    files = archives.official()
    archive = archives.write_archive(tmp_path / "de-en.tgz", files)
    folder = archives.write_folder(tmp_path / "unpacked" / "de-en", files)
    release = archives.write_tgz(tmp_path / "2014-01.tgz", {"2014-01/texts/de/en/de-en.tgz": archive.read_bytes()})
    (tmp_path / "r" / "2014-01" / "texts" / "de" / "en").mkdir(parents=True)
    (tmp_path / "r" / "2014-01" / "texts" / "de" / "en" / "de-en.tgz").write_bytes(archive.read_bytes())
    dotted = archives.write_tgz(
        tmp_path / "dotted.tgz", {f"./de-en/{name}": content for name, content in files.items()}
    )
    expected = {name: content for name, content in files.items() if name != "README"}
    for source in (archive, folder, folder.parent, release, tmp_path / "r", tmp_path / "r" / "2014-01", dotted):
        assert iwslt14.read_archive(source, "en-de") == expected, source


def test_russian_without_tedx(archives: ModuleType, tmp_path: Path) -> None:
    sets = tuple(name for name in iwslt14.SETS if name != "TEDX.dev2012")
    archive = archives.write_archive(tmp_path / "ru-en.tgz", archives.official("en-ru", sets), "ru-en")
    found = iwslt14.read_archive(archive, "en-ru")
    assert list(iwslt14.segment_pairs(found, "en-ru")) == list(sets)


def test_wrong_archives_name_what_is_missing(archives: ModuleType, tmp_path: Path) -> None:
    reverse = archives.write_archive(tmp_path / "en-de.tgz", {"train.tags.en-de.en": b""}, "en-de")
    missing = r"lacks de-en/train.tags.de-en.en, de-en/train.tags.de-en.de, de-en/IWSLT14.\*.de-en.\*.xml$"
    for source in (reverse, tmp_path):
        with pytest.raises(UserError, match=missing):
            iwslt14.read_archive(source, "en-de")
    half = archives.official()
    del half["IWSLT14.TED.tst2011.de-en.en.xml"]
    with pytest.raises(UserError, match=r"lacks de-en/IWSLT14.TED.tst2011.de-en.en.xml$"):
        iwslt14.read_archive(archives.write_archive(tmp_path / "half.tgz", half), "en-de")


def test_damaged_archives(archives: ModuleType, tmp_path: Path) -> None:
    whole = archives.write_archive(
        tmp_path / "de-en.tgz", {**archives.official(), "noise": hashlib.sha512().digest() * 500}
    ).read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tgz").write_text("<html>404</html>")
    (tmp_path / "flipped.tgz").write_bytes(whole[:200] + bytes(100) + whole[300:])
    for name in ("cut.tgz", "text.tgz", "flipped.tgz"):
        with pytest.raises(UserError, match=rf"{name} is not a whole .tgz archive"):
            iwslt14.read_archive(tmp_path / name, "en-de")
    with pytest.raises(UserError, match=r"cannot read .*none.tgz: No such file"):
        iwslt14.read_archive(tmp_path / "none.tgz", "en-de")


def test_hostile_members_are_neither_followed_nor_written(archives: ModuleType, tmp_path: Path) -> None:
    """Names that climb out, links and devices in the place of the wanted files: as if they were absent."""
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / "box" / "de-en.tgz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name in archives.official():
            climbing = tarfile.TarInfo(f"../de-en/{name}")
            climbing.size = 4
            archive.addfile(climbing, io.BytesIO(b"evil"))
            link = tarfile.TarInfo(f"de-en/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
            archive.addfile(link)
            hard = tarfile.TarInfo(f"de-en/{name}")
            hard.type, hard.linkname = tarfile.LNKTYPE, f"../de-en/{name}"
            archive.addfile(hard)
    with pytest.raises(UserError, match=r"lacks de-en/train.tags.de-en.en, de-en/train.tags.de-en.de"):
        iwslt14.read_archive(path, "en-de")
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["box", "de-en.tgz", "secret"]


def test_a_member_of_absurd_size_is_refused(
    archives: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_plugin.corpora.archive.LIMIT", 100)
    with pytest.raises(UserError, match=r"not a whole .tgz archive: .* bytes$"):
        iwslt14.read_archive(archives.write_archive(tmp_path / "de-en.tgz", archives.official()), "en-de")
