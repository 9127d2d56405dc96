"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the official archives in binary form; the python form is pickles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from shared.errors import UserError
from shared.files import sha256
from vision.data.archive import Archive, unpacked
from vision.data.image_data import ImageData, ImageTensors, cut_validation
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


def cifar10(settings: DataSettings, train_size: int | None) -> ImageData:
    """3 x 32 x 32 images of ten classes, in memory; see `_cifar` for what is refused."""
    return _cifar(CIFAR10, settings, train_size)


def cifar100(settings: DataSettings, train_size: int | None) -> ImageData:
    """3 x 32 x 32 images of 100 (fine) classes, in memory; see `_cifar` for what is refused."""
    return _cifar(CIFAR100, settings, train_size)


def _cifar(layout: Layout, settings: DataSettings, train_size: int | None) -> ImageData:
    """Raises UserError for what `unpacked` refuses, a missing file, one that is no whole number of records, a label
    without a name, and, with data.official, for other numbers of images than 50,000 and 10,000.
    """
    folder = unpacked(layout.archive, settings)
    files = (layout.names, *layout.train, layout.test)
    if missing := [name for name in files if not (folder / name).is_file()]:
        raise UserError(f"{folder} lacks {', '.join(missing)}; remove it and unpack {layout.archive.file} anew")
    names = (folder / layout.names).read_text(encoding="utf-8").split()
    train = _read([folder / name for name in layout.train], names, layout.label_bytes)
    test = _read([folder / layout.test], names, layout.label_bytes)
    if settings.official and (len(train), len(test)) != OFFICIAL:
        raise UserError(
            f"{folder} has {len(train):,} training and {len(test):,} test images, the official set {OFFICIAL[0]:,} and "
            f"{OFFICIAL[1]:,}; data.official=false takes any"
        )
    return ImageData(
        name=settings.name,
        class_names=names,
        splits={**cut_validation(train, settings.validation_size, train_size), "test": test},
        mean=settings.mean,
        std=settings.std,
        image_shape=SHAPE,
        sha256={name: sha256(folder / name) for name in files},
    )


def _read(paths: list[Path], names: list[str], label_bytes: int) -> ImageTensors:
    record = label_bytes + int(np.prod(SHAPE))
    parts = []
    for path in paths:
        values = np.fromfile(path, np.uint8)
        if len(values) == 0 or len(values) % record:
            raise UserError(
                f"{path}: {len(values):,} bytes are no whole number of {record:,}, an image; unpack it anew"
            )
        parts.append(values.reshape(-1, record))
        if (highest := int(parts[-1][:, label_bytes - 1].max())) >= len(names):
            raise UserError(f"{path}: class {highest} has no name; there are {len(names)}")
    rows = torch.from_numpy(np.concatenate(parts))
    return ImageTensors(rows[:, label_bytes:].reshape(-1, *SHAPE).contiguous(), rows[:, label_bytes - 1].long())
