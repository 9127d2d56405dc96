"""Anybody's images in ImageNet's layout: DIR/train/CLASS/IMAGE and DIR/val/CLASS/IMAGE."""

import os
from pathlib import Path
from unicodedata import category

import torch

from shared.errors import UserError
from vision.class_sets.imagenet_names import imagenet_names, readable
from vision.data.given import GivenData
from vision.data.image_files import ImageFiles
from vision.data.on_disk import file_sizes, image_shape, listing_sha256, some
from vision.settings import DataSettings

PARTS = ("train", "val")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of surrogate pairs (bytes not in UTF-8), line ends
_WHERE = "data.data_dir=DIR names a folder of train/CLASS/IMAGE.jpg and val/CLASS/IMAGE.jpg"


def folder(settings: DataSettings) -> GivenData:
    """Classes are the sorted names of the folders; the test images are DIR/val, as in the paper.

    Folders called by ImageNet-1K's wnids get readable names; a set of exactly those 1,000 is called imagenet. Names
    that begin with a dot are passed over. The digest is of the files' paths and sizes: 150 GB are not read at every
    start. Raises UserError for a folder without train and val, fewer than two classes, classes that differ between
    train and val or have no images, and files that are no images by their suffix; whether the others can be read,
    `check_readable` tells.
    """
    shape = image_shape(settings)
    root = str(Path(settings.data_dir or ""))
    if settings.data_dir is None or not all(Path(root, part).is_dir() for part in PARTS):
        raise UserError(f"data.data_dir {settings.data_dir} is no folder with train and val in it; {_WHERE}")
    classes = _classes(root)
    train, val = (_images(root, part, classes) for part in PARTS)
    paths = train.paths + val.paths
    digest = listing_sha256([path.removeprefix(f"{root}/") for path in paths], file_sizes(paths))
    return GivenData(
        name="imagenet" if classes == list(imagenet_names()) else "folder",
        class_names=readable(classes),
        train=train,
        test=val,
        image_shape=shape,
        sha256={"paths and sizes of the images": digest},
        by_class=True,
    )


def _classes(root: str) -> list[str]:
    """The sorted names of the class folders, the same in train and val."""
    found = {part: _visible(f"{root}/{part}") for part in PARTS}
    for part, names in found.items():
        if files := sorted(name for name, is_file in names.items() if is_file):
            raise UserError(f"{root}/{part} holds {some(files)} beside its class folders; each image belongs in one")
    if not found["train"]:
        raise UserError(f"{root}/train has no class folders; {_WHERE}")
    if len(found["train"]) == 1:
        raise UserError(f"{root}/train has one class folder, {next(iter(found['train']))}; want two or more: {_WHERE}")
    for part, other in (PARTS, PARTS[::-1]):
        if lacking := sorted(found[other].keys() - found[part].keys()):
            raise UserError(f"{root}/{part} lacks classes that {other} has: {some(lacking)}; want the same in both")
    return sorted(found["train"])


def _images(root: str, part: str, classes: list[str]) -> ImageFiles:
    """The images of one part, by class and then by name."""
    paths: list[str] = []
    counts: list[int] = []
    strange: list[str] = []
    for place in (f"{root}/{part}/{name}" for name in classes):
        files = _visible(place)
        images = sorted(name for name, is_file in files.items() if is_file and name.lower().endswith(SUFFIXES))
        strange += sorted(f"{place}/{name}" for name in files.keys() - set(images))
        paths += [f"{place}/{name}" for name in images]
        counts.append(len(images))
    if no_files := [path for path in strange if path.lower().endswith(SUFFIXES)]:
        raise UserError(f"called like an image, but no file: {some(no_files)}; remove it")
    if strange:
        raise UserError(f"no image by its suffix: {some(strange)}; remove it, or call it one of {' '.join(SUFFIXES)}")
    if empty := [name for name, count in zip(classes, counts, strict=True) if count == 0]:
        raise UserError(f"{root}/{part} has class folders without images: {some(empty)}; fill or remove them")
    return ImageFiles(paths, torch.repeat_interleave(torch.arange(len(classes)), torch.tensor(counts)))


def _visible(place: str) -> dict[str, bool]:
    """Name -> is it a file, of what a folder holds and whose name begins with no dot. Links are followed."""
    try:
        with os.scandir(place) as entries:
            found = {entry.name: _is_file(entry) for entry in entries if not entry.name.startswith(".")}
    except OSError as error:
        raise UserError(f"cannot read the folder {place}: {error.strerror}") from None
    if odd := sorted(name for name in found if any(category(letter) in _NO_TEXT for letter in name)):
        raise UserError(f"{place} holds {odd[0]!a}, a name with a control character or not in UTF-8; rename it")
    return found


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError as error:  # links in a circle
        raise UserError(f"cannot read {entry.path}: {error.strerror}") from None
