"""A data set with a fixed split into train, validation and test."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from shared.errors import UserError
from shared.results import Data
from vision.data.image_files import ImageFiles

_SPLIT_SEED = 0  # the same split for every run, whatever its training seed


@dataclass(frozen=True)
class ImageTensors:
    """Images in memory, one split of a data set: uint8 [n, C, H, W], and their `labels`, int64 [n]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: Tensor) -> "ImageTensors":
        """The images of these rows [n] (int64), in this order."""
        return ImageTensors(self.images[rows], self.labels[rows])


Split = ImageTensors | ImageFiles


@dataclass(frozen=True)
class ImageData:
    """`splits` has train, val and test; `image_shape` is what a network sees, (C, H, W).

    Images are normalized by `mean` and `std`, per channel: (pixel / 255 - mean) / std. Test images on disk are resized
    to a shorter side of `resize` by `interpolation`, then cropped in the centre. `sha256` is of the files, by name.
    """

    name: str
    class_names: list[str]
    splits: dict[str, Split]
    mean: list[float]
    std: list[float]
    image_shape: tuple[int, int, int]
    sha256: dict[str, str] = field(default_factory=dict)
    resize: int | None = None
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        channels = self.image_shape[0]
        if len(self.mean) != channels or len(self.std) != channels or not all(value > 0 for value in self.std):
            raise UserError(f"data.mean {self.mean} and data.std {self.std} need {channels} value(s), std above 0")

    def record(self) -> Data:
        """What `result.json` says of the data."""
        return Data(self.name, {name: len(split) for name, split in self.splits.items()}, self.sha256)


def validation_rows(count: int, validation_size: int, train_size: int | None) -> tuple[Tensor, Tensor]:
    """Rows, int64, of the training and of the validation part of `count` training images; fixed, whatever the seed.

    The validation part does not depend on `train_size` (None: all the rest). Raises UserError where the images do not
    suffice.
    """
    available = count - validation_size
    if not 0 < validation_size < count:
        raise UserError(f"data.validation_size is {validation_size}; it must be 1 to {count - 1}")
    if train_size is not None and not 0 < train_size <= available:
        raise UserError(
            f"recipe.train_size is {train_size}; it must be 1 to {available}, or null for all that validation leaves"
        )
    # RandomState's stream is frozen by numpy's policy: the same split with every numpy version.
    order = torch.from_numpy(np.random.RandomState(_SPLIT_SEED).permutation(count))
    kept = order[validation_size : None if train_size is None else validation_size + train_size]
    return kept, order[:validation_size]


def cut_validation(given: Split, validation_size: int, train_size: int | None) -> dict[str, Split]:
    """The splits `train` and `val` of the training images; see `validation_rows`."""
    train, held_out = validation_rows(len(given), validation_size, train_size)
    return {"train": given.subset(train), "val": given.subset(held_out)}
