"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the official archives in binary form; the python form is pickles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from shared.errors import UserError
from shared.files import sha256
from vision.data.archive import Archive, unpacked
from vision.data.given import GivenData
from vision.data.image_data import ImageTensors
from vision.settings import DataSettings

SHAPE = (3, 32, 32)
OFFICIAL = (50_000, 10_000)  # training and test images
_ADDRESS = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class Layout:
    """Files of one of the two sets; a record is `label_bytes`, the last of which is the class, then three planes."""

    archive: Archive
    names: str
    train: tuple[str, ...]
    test: str
    label_bytes: int


CIFAR10 = Layout(
    Archive(
        f"{_ADDRESS}cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        folder="cifar-10-batches-bin",
        marker="test_batch.bin",
    ),
    names="batches.meta.txt",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    label_bytes=1,
)
CIFAR100 = Layout(
    Archive(
        f"{_ADDRESS}cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        folder="cifar-100-binary",
        marker="test.bin",
    ),
    names="fine_label_names.txt",
    train=("train.bin",),
    test="test.bin",
    label_bytes=2,
)


def cifar10(settings: DataSettings) -> GivenData:
    """3 x 32 x 32 images of ten classes, in memory; see `_cifar` for what is refused."""
    return _cifar(CIFAR10, settings)


def cifar100(settings: DataSettings) -> GivenData:
    """3 x 32 x 32 images of 100 (fine) classes, in memory; see `_cifar` for what is refused."""
    return _cifar(CIFAR100, settings)


def cifar10_test(settings: DataSettings) -> tuple[list[str], ImageTensors, dict[str, str]]:
    """Of the CIFAR-10 in data.test_dir: the names of its classes, its test images, and the sha256 of the two files.

    Raises UserError as `_cifar` does, but asks for no training images.
    """
    folder = unpacked(CIFAR10.archive, settings, "test_dir")
    digests = _digests(CIFAR10, folder, (CIFAR10.names, CIFAR10.test))
    names = _names(CIFAR10, folder)
    test = _read(CIFAR10, folder, (CIFAR10.test,), names)
    if settings.official and len(test) != OFFICIAL[1]:
        raise UserError(
            f"{folder} has {len(test):,} test images, the official set {OFFICIAL[1]:,}; data.official=false takes any"
        )
    return names, test, digests


def _cifar(layout: Layout, settings: DataSettings) -> GivenData:
    """Raises UserError for what `unpacked` refuses, a missing file, one that is no whole number of records, a label
    without a name, and, with data.official, for other numbers of images than 50,000 and 10,000.
    """
    folder = unpacked(layout.archive, settings)
    digests = _digests(layout, folder, (layout.names, *layout.train, layout.test))
    names = _names(layout, folder)
    train, test = (_read(layout, folder, files, names) for files in (layout.train, (layout.test,)))
    if settings.official and (len(train), len(test)) != OFFICIAL:
        raise UserError(
            f"{folder} has {len(train):,} training and {len(test):,} test images, the official set {OFFICIAL[0]:,} and "
            f"{OFFICIAL[1]:,}; data.official=false takes any"
        )
    return GivenData(settings.name, names, train, test, SHAPE, digests)


def _digests(layout: Layout, folder: Path, files: tuple[str, ...]) -> dict[str, str]:
    if missing := [name for name in files if not (folder / name).is_file()]:
        raise UserError(f"{folder} lacks {', '.join(missing)}; remove it and unpack {layout.archive.file} anew")
    return {name: sha256(folder / name) for name in files}


def _names(layout: Layout, folder: Path) -> list[str]:
    try:
        return (folder / layout.names).read_text(encoding="utf-8").split()
    except UnicodeDecodeError:
        raise UserError(f"{folder / layout.names}: not UTF-8 text; unpack {layout.archive.file} anew") from None


def _read(layout: Layout, folder: Path, files: tuple[str, ...], names: list[str]) -> ImageTensors:
    record = layout.label_bytes + int(np.prod(SHAPE))
    parts = []
    for path in (folder / name for name in files):
        values = np.fromfile(path, np.uint8)
        if len(values) == 0 or len(values) % record:
            raise UserError(
                f"{path}: {len(values):,} bytes are no whole number of {record:,}, an image; unpack it anew"
            )
        parts.append(values.reshape(-1, record))
        if (highest := int(parts[-1][:, layout.label_bytes - 1].max())) >= len(names):
            raise UserError(f"{path}: class {highest} has no name; there are {len(names)}")
    rows = torch.from_numpy(np.concatenate(parts))
    images = rows[:, layout.label_bytes :].reshape(-1, *SHAPE).contiguous()
    return ImageTensors(images, rows[:, layout.label_bytes - 1].long())
