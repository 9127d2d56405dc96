import hashlib
from dataclasses import replace

import pytest
import torch

from shared.errors import UserError
from tests.vision.generated import CIFAR10_CLASSES, cifar_records, write_archive, write_cifar10, write_cifar100
from vision.data import cifar as cifar_module
from vision.data import load_data
from vision.settings import DataSettings

WRITERS = {"cifar10": write_cifar10, "cifar100": write_cifar100}
FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}


def load(name, root, train_size=None, official=False, validation_size=10, **more):
    settings = DataSettings(name, [0.5] * 3, [0.2] * 3, validation_size, data_dir=str(root), official=official, **more)
    return load_data(settings, train_size)


def test_bytes_by_hand(tmp_path):
    """One record of CIFAR-100, written from the format's description: two labels, then red, green, blue by rows."""
    red, green, blue = (bytes([value]) * 1024 for value in (10, 20, 30))
    first = bytes([3, 19]) + bytes([255]) + red[1:] + green + blue[:-1] + bytes([77])
    files = {
        "fine_label_names.txt": "".join(f"thing_{index}\n" for index in range(20)).encode(),
        "train.bin": first * 3,
        "test.bin": first,
    }
    write_archive(tmp_path / "cifar-100-binary.tar.gz", {f"cifar-100-binary/{n}": c for n, c in files.items()})
    test = load("cifar100", tmp_path, validation_size=1).splits["test"]
    assert test.labels.tolist() == [19]
    assert (test.images.shape, test.images.dtype) == ((1, 3, 32, 32), torch.uint8)
    image = test.images[0]
    assert (image[0, 0, 0], image[0, 0, 1], image[1, 0, 0], image[2, 31, 31], image[2, 31, 30]) == (255, 10, 20, 77, 30)


@pytest.mark.parametrize(("name", "train", "test"), [("cifar10", 100, 20), ("cifar100", 200, 100)])
def test_splits_and_classes(tmp_path, name, train, test):
    WRITERS[name](tmp_path)
    data = load(name, tmp_path)
    assert {part: len(split) for part, split in data.splits.items()} == {"train": train - 10, "val": 10, "test": test}
    assert (data.name, data.image_shape) == (name, (3, 32, 32))
    assert data.class_names == (list(CIFAR10_CLASSES) if name == "cifar10" else [f"thing_{k}" for k in range(100)])
    hues = {}
    for split in data.splits.values():
        for image, label in zip(split.images.float(), split.labels.tolist(), strict=True):
            hues.setdefault(label, set()).add(int(image.mean((1, 2)).argmax()))
    assert hues[0] == {0}  # hue 0 is red,
    assert hues[int(0.4 * len(data.class_names))] == {1}  # 0.4 green,
    assert hues[int(0.7 * len(data.class_names))] == {2}  # 0.7 blue


def test_cifar10_is_five_files(tmp_path):
    write_cifar10(tmp_path, train=20)
    load("cifar10", tmp_path)
    folder = tmp_path / FOLDERS["cifar10"]
    (folder / "data_batch_3.bin").write_bytes(cifar_records(7, 10, seed=0))
    assert sum(len(split) for split in load("cifar10", tmp_path).splits.values()) == 4 * 4 + 7 + 20
    content = (folder / "data_batch_3.bin").read_bytes()
    assert load("cifar10", tmp_path).sha256["data_batch_3.bin"] == hashlib.sha256(content).hexdigest()


def test_an_unpacked_folder_needs_no_archive(tmp_path):
    write_cifar10(tmp_path).rename(tmp_path / "away.tar.gz")
    (tmp_path / "away.tar.gz").rename(write_cifar10(tmp_path))
    first = load("cifar10", tmp_path)
    (tmp_path / "cifar-10-binary.tar.gz").unlink()
    again = load("cifar10", tmp_path / FOLDERS["cifar10"])
    assert torch.equal(again.splits["train"].images, first.splits["train"].images)


@pytest.mark.parametrize("name", WRITERS)
def test_another_md5_is_refused_with_both(tmp_path, name):
    path = WRITERS[name](tmp_path)
    found = hashlib.md5(path.read_bytes()).hexdigest()
    official = {"cifar10": "c32a1d4ab5d03f1284b67883e8d87530", "cifar100": "03b5dce01913d631647c71ecec9e9cb8"}[name]
    with pytest.raises(UserError, match=f"md5 {found}, the official archive {official}"):
        load(name, tmp_path, official=True)


def test_other_numbers_than_the_official_ones(tmp_path, monkeypatch):
    path = write_cifar10(tmp_path)
    archive = replace(cifar_module.CIFAR10.archive, md5=hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(cifar_module, "CIFAR10", replace(cifar_module.CIFAR10, archive=archive))
    with pytest.raises(UserError, match="100 training and 20 test images, the official set 50,000 and 10,000"):
        load("cifar10", tmp_path, official=True)


def test_download_from_a_file_address(tmp_path, monkeypatch):
    path = write_cifar10(tmp_path / "server")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    archive = replace(cifar_module.CIFAR10.archive, url=path.as_uri(), md5=md5)
    monkeypatch.setattr(cifar_module, "CIFAR10", replace(cifar_module.CIFAR10, archive=archive))
    assert len(load("cifar10", tmp_path / "mine", download=True).splits["test"]) == 20


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("data_batch_2.bin", b"", r"data_batch_2\.bin: 0 bytes are no whole number of 3,073"),
        ("test_batch.bin", b"x" * 3074, "3,074 bytes are no whole number of 3,073"),
        ("test_batch.bin", bytes([10]) * 3073, "class 10 has no name; there are 10"),
        ("data_batch_5.bin", None, r"lacks data_batch_5\.bin"),
        ("batches.meta.txt", None, r"lacks batches\.meta\.txt"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, file, content, message):
    write_cifar10(tmp_path)
    load("cifar10", tmp_path)
    path = tmp_path / FOLDERS["cifar10"] / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load("cifar10", tmp_path)


def test_the_python_form_is_not_read(tmp_path):
    write_archive(tmp_path / "cifar-10-python.tar.gz", {"cifar-10-batches-py/data_batch_1": b"pickle"})
    with pytest.raises(UserError, match=r"lacks cifar-10-binary\.tar\.gz from https://www\.cs\.toronto\.edu"):
        load("cifar10", tmp_path)
