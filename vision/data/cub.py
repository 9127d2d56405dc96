"""CUB-200-2011 (Wah et al. 2011): 200 kinds of birds, from the official archive, with its own split."""

from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from shared.errors import UserError
from shared.files import sha256
from vision.data.archive import Archive, unpacked
from vision.data.given import GivenData
from vision.data.image_files import ImageFiles
from vision.data.on_disk import file_sizes, image_shape, listing_sha256, some
from vision.settings import DataSettings

ARCHIVE = Archive(
    url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
    md5="97eceeb196236b17998738112f37df78",
    folder="CUB_200_2011",
    marker="images.txt",
)
COUNTS = {"classes": 200, "training images": 5994, "test images": 5794}
TABLES = ("classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt")


def cub(settings: DataSettings) -> GivenData:
    """`001.Black_footed_Albatross` is called Black footed Albatross; the split is the official one.

    Raises UserError for what `unpacked` refuses, tables that do not fit each other, images that are not there, classes
    without images, and, with data.official, for other numbers of images than the official ones.
    """
    shape = image_shape(settings)
    folder = unpacked(ARCHIVE, settings)
    classes, images, labels, is_train = (_table(folder / name) for name in TABLES)
    _check_keys(folder, classes, images, labels, is_train)
    if outside := [name for name in images.values() if name.startswith("/") or ".." in name.split("/") or "\0" in name]:
        raise UserError(f"{folder / 'images.txt'}: {outside[0]!a} is no path below {folder / 'images'}")
    paths = [str(folder / "images" / name) for name in images.values()]
    sizes = file_sizes(paths)
    if missing := [name for name, size in zip(images.values(), sizes, strict=True) if size is None]:
        raise UserError(f"{folder / 'images'} lacks {some(missing)}; remove the folder and unpack the archive anew")
    names = [name.partition(".")[2].replace("_", " ") or name for name in classes.values()]
    training = torch.tensor([is_train[key] == "1" for key in images])
    every = ImageFiles(paths, torch.tensor([int(labels[key]) - 1 for key in images]))
    train, test = (every.subset(torch.nonzero(part).flatten()) for part in (training, ~training))
    _check_counts(folder, names, train.labels, test.labels, settings.official)
    return GivenData(
        name="cub",
        class_names=names,
        train=train,
        test=test,
        image_shape=shape,
        sha256={name: sha256(folder / name) for name in TABLES}
        | {"paths and sizes of the images": listing_sha256(images.values(), sizes)},
        by_class=True,
    )


def _table(path: Path) -> dict[str, str]:
    """The lines `id value` of a table, by id. Raises UserError for another form and for an id that comes twice."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; it is part of the official archive") from None
    table: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        key, _, value = line.strip().partition(" ")
        if not key.isdecimal() or not value or key in table:
            raise UserError(f"{path}, line {number}: {line!r}; want `id value`, each id once")
        table[key] = value
    return table


def _check_keys(
    folder: Path, classes: dict[str, str], images: dict[str, str], labels: dict[str, str], is_train: dict[str, str]
) -> None:
    if list(classes) != [str(index) for index in range(1, len(classes) + 1)]:
        raise UserError(f"{folder / 'classes.txt'}: want the ids 1, 2, 3, ... in this order")
    for name, table, values in zip(TABLES[2:], (labels, is_train), (classes.keys(), {"0", "1"}), strict=True):
        if odd := sorted(table.keys() ^ images.keys()):
            raise UserError(f"{folder}: {name} and images.txt are not of the same images; see id {some(odd)}")
        if wrong := [f"{key} {value}" for key, value in table.items() if value not in values]:
            raise UserError(f"{folder / name}: {some(wrong)}: no class of classes.txt, or neither 0 nor 1")


def _check_counts(folder: Path, names: list[str], train: Tensor, test: Tensor, official: bool) -> None:
    for part, labels in (("training", train), ("test", test)):
        present: Collection[int] = set(labels.tolist())
        if empty := [name for index, name in enumerate(names) if index not in present]:
            raise UserError(f"{folder}: these classes have no {part} images: {some(empty)}")
    found = dict(zip(COUNTS, (len(names), len(train), len(test)), strict=True))
    if official and found != COUNTS:
        counts = " and ".join(", ".join(f"{n:,} {what}" for what, n in these.items()) for these in (found, COUNTS))
        raise UserError(f"{folder}: found and official numbers are {counts}; data.official=false takes any")
