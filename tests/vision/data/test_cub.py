import hashlib
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from shared.errors import UserError
from tests.vision.generated import cub_files, write_archive, write_cub
from vision.data import cub as cub_module
from vision.data import load_data
from vision.settings import DataSettings

TOP = "CUB_200_2011"


def load(root, train_size=None, official=False, validation_size=10, **more):
    values = {"mean": [0.5] * 3, "std": [0.2] * 3, "image_size": 32, "official": official, **more}
    return load_data(DataSettings("cub", validation_size=validation_size, data_dir=str(root), **values), train_size)


def test_the_split_is_the_archives_own(tmp_path):
    write_cub(tmp_path, train=6, test=4)
    data = load(tmp_path)
    assert data.class_names[:2] == ["Black footed Albatross", "Laysan Albatross"]
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 20, "val": 10, "test": 20}
    assert torch.bincount(data.splits["val"].labels).tolist() == [2] * 5  # each class its share
    files = cub_files(train=6, test=4)
    rows = {table: files[f"{TOP}/{table}.txt"].decode().split() for table in ("images", "train_test_split")}
    is_train = dict(zip(rows["images"][1::2], rows["train_test_split"][1::2], strict=True))
    for part, split in data.splits.items():
        names = [str(Path(path).relative_to(tmp_path / TOP / "images")) for path in split.paths]
        assert {is_train[name] for name in names} == {"0" if part == "test" else "1"}
        assert [int(name[:3]) - 1 for name in names] == split.labels.tolist()
    path = data.splits["test"].paths[0]
    assert Path(path).read_bytes() == files[f"{TOP}/images/{Path(path).parent.name}/{Path(path).name}"]
    assert Image.open(path).size == (40, 32)


def test_an_unpacked_folder_is_taken_where_it_is(tmp_path):
    archive = write_cub(tmp_path)
    first = load(tmp_path)
    archive.unlink()
    for place in (tmp_path, tmp_path / TOP):
        again = load(place)
        assert again.splits["train"].paths == first.splits["train"].paths
        assert again.sha256 == first.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == [TOP]


def test_the_digest_follows_the_tables_and_the_sizes(tmp_path):
    write_cub(tmp_path)
    before = load(tmp_path)
    path = Path(before.splits["train"].paths[0])
    path.write_bytes(path.read_bytes() + b"\0")
    after = load(tmp_path)
    assert {name for name in before.sha256 if before.sha256[name] != after.sha256[name]} == {
        "paths and sizes of the images"
    }
    table = tmp_path / TOP / "classes.txt"
    assert before.sha256["classes.txt"] == hashlib.sha256(table.read_bytes()).hexdigest()


def test_another_md5_is_refused_with_both(tmp_path):
    path = write_cub(tmp_path)
    found = hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(UserError, match=rf"md5 {found}, the official archive 97eceeb196236b17998738112f37df78"):
        load(tmp_path, official=True)
    assert not (tmp_path / TOP).exists()


def test_numbers_other_than_the_official_ones_are_refused(tmp_path, monkeypatch):
    path = write_cub(tmp_path)
    archive = replace(cub_module.ARCHIVE, md5=hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(cub_module, "ARCHIVE", archive)
    with pytest.raises(UserError, match="5 classes, 30 training images, 20 test images and 200 classes, 5,994"):
        load(tmp_path, official=True)


def test_download_checks_the_md5_and_keeps_nothing_wrong(tmp_path, monkeypatch):
    """Over a file: address, for there is no network here; the address of the real archive is not tried."""
    path = write_cub(tmp_path / "server")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    right = replace(cub_module.ARCHIVE, url=path.as_uri(), md5=md5)
    monkeypatch.setattr(cub_module, "ARCHIVE", replace(right, md5="0" * 32))
    with pytest.raises(UserError, match=rf"md5 {md5}, the official archive 000.*get CUB_200_2011\.tgz by hand"):
        load(tmp_path / "mine", download=True)
    assert list((tmp_path / "mine").iterdir()) == []
    monkeypatch.setattr(cub_module, "ARCHIVE", right)
    assert len(load(tmp_path / "mine", download=True).splits["test"]) == 20
    assert (tmp_path / "mine" / path.name).read_bytes() == path.read_bytes()


def test_a_server_that_does_not_answer(tmp_path, monkeypatch):
    nowhere = replace(cub_module.ARCHIVE, url=f"{tmp_path.as_uri()}/CUB_200_2011.tgz")
    monkeypatch.setattr(cub_module, "ARCHIVE", nowhere)
    with pytest.raises(UserError, match=r"cannot download file://.* put the file there by hand"):
        load(tmp_path / "mine", download=True)


def test_of_several_at_once_one_unpacks(tmp_path):
    write_cub(tmp_path)
    with ThreadPoolExecutor(4) as pool:  # the lock is of open files, not of processes
        found = list(pool.map(lambda _: load(tmp_path).splits["test"].paths, range(4)))
    assert found == [found[0]] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [TOP, f"{TOP}.tgz"]


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        ({"../escaped.txt": b"x"}, r"'\.\./escaped\.txt' lies outside"),
        ({f"{TOP}/../../escaped.txt": b"x"}, "lies outside"),
        ({"/escaped.txt": b"x"}, r"'/escaped\.txt' lies outside"),
        ({f"{TOP}/x": link(f"{TOP}/x", "/etc/passwd")}, "'CUB_200_2011/x' is a link or a device"),
        ({f"{TOP}/x": link(f"{TOP}/x", f"{TOP}/images.txt", tarfile.LNKTYPE)}, "is a link or a device"),
        ({f"{TOP}/x": link(f"{TOP}/x", "", tarfile.FIFOTYPE)}, "is a link or a device"),
        ({f"{TOP}/images": link(f"{TOP}/images", ".."), f"{TOP}/images/escaped.txt": b"x"}, "is a link"),
    ],
)
def test_a_hostile_archive_writes_nothing(tmp_path, hostile, message):
    root = tmp_path / "data"
    write_archive(root / f"{TOP}.tgz", {**cub_files(), **hostile})
    with pytest.raises(UserError, match=message):
        load(root)
    assert [path.name for path in tmp_path.rglob("*")] == ["data", f"{TOP}.tgz"]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
def test_a_broken_download_is_never_taken_for_whole(tmp_path, share):
    path = write_cub(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"cannot unpack .*CUB_200_2011\.tgz"):
        load(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_byte_is_found(tmp_path):
    path = write_cub(tmp_path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # gzip's own checksum
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot unpack"):
        load(tmp_path)
    assert not (tmp_path / TOP).exists()


def test_what_a_killed_process_left_is_removed(tmp_path):
    write_cub(tmp_path)
    (tmp_path / f".{TOP}.part").mkdir()
    (tmp_path / f".{TOP}.part" / "stale").touch()
    load(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [TOP, f"{TOP}.tgz"]
    assert not (tmp_path / TOP / "stale").exists()


def test_an_archive_of_something_else(tmp_path):
    write_archive(tmp_path / f"{TOP}.tgz", {"OTHER/images.txt": b""})
    with pytest.raises(UserError, match=r"has no CUB_200_2011/images\.txt; is it another data set"):
        load(tmp_path)
    assert not (tmp_path / TOP).exists()


def test_a_folder_that_somebody_unpacked_in_part(tmp_path):
    (tmp_path / TOP / "images").mkdir(parents=True)
    write_cub(tmp_path)
    with pytest.raises(UserError, match=r"CUB_200_2011 is incomplete, without images\.txt; remove it"):
        load(tmp_path)


def test_images_that_are_not_there_are_named(tmp_path):
    write_cub(tmp_path)
    gone = [Path(path) for path in load(tmp_path).splits["test"].paths[:12]]
    for path in gone:
        path.unlink()
    with pytest.raises(UserError, match=rf"lacks {gone[0].parent.name}/{gone[0].name}, .*, \.\.\. \(12 in all\)"):
        load(tmp_path)


def test_a_data_dir_that_is_a_file(tmp_path):
    path = write_cub(tmp_path)
    with pytest.raises(UserError, match=r"cannot unpack CUB_200_2011\.tgz in data\.data_dir .*: File exists"):
        load(path, download=True)


def test_neither_archive_nor_folder(tmp_path):
    with pytest.raises(UserError, match=r"lacks CUB_200_2011\.tgz from https://data\.caltech.*data\.download=true"):
        load(tmp_path)
    with pytest.raises(UserError, match=r"data=cub needs data\.data_dir=DIR"):
        load_data(DataSettings("cub", [0.5] * 3, [0.2] * 3, 5, image_size=32), None)


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        (
            "images",
            lambda text: text.replace("1 001", "one 001", 1),
            r"images\.txt, line 1: 'one 001.* `id value`",
        ),
        ("images", lambda text: text + text.splitlines()[0] + "\n", "line 51: '1 001.* each id once"),
        ("images", lambda text: text + "51\n", "line 51"),
        ("train_test_split", lambda text: text.replace("50 1\n", ""), "not of the same images; see id 50"),
        ("train_test_split", lambda text: text.replace("7 1\n", "7 2\n", 1), r"train_test_split\.txt: 7 2: no class"),
        ("image_class_labels", lambda text: text.replace("1 1\n", "1 6\n", 1), r"1 6: no class of classes\.txt"),
        ("image_class_labels", lambda text: text + "99 1\n", r"image_class_labels\.txt and images\.txt .* see id 99"),
        ("classes", lambda text: text.replace("2 002", "7 002"), "want the ids 1, 2, 3"),
        ("classes", lambda text: text + "6 006.Dodo\n", "no training images: Dodo"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, table, change, message):
    write_cub(tmp_path, train=6, test=4)
    load(tmp_path)
    path = tmp_path / TOP / f"{table}.txt"
    text = path.read_text()
    path.write_text(change(text))
    assert path.read_text() != text
    with pytest.raises(UserError, match=message):
        load(tmp_path)
