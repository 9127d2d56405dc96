"""A data set with a fixed split into train, validation and test."""

import dataclasses
from dataclasses import dataclass, field

from torch import Tensor

from shared.errors import UserError
from shared.label_noise import LabelNoise
from shared.results import Data
from vision.data.image_files import ImageFiles
from vision.data.mapped_images import MappedImages


@dataclass(frozen=True)
class ImageTensors:
    """One split of a data set as pixels: uint8 [n, C, H, W], in memory or mapped, and their `labels`, int64 [n].

    `true_labels`, int64 [n], are there where `labels` have noise; None: `labels` are the true ones.
    """

    images: Tensor | MappedImages
    labels: Tensor
    true_labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: Tensor) -> "ImageTensors":
        """The images of these rows [n] (int64), in this order."""
        images = self.images.subset(rows) if isinstance(self.images, MappedImages) else self.images[rows]
        return ImageTensors(images, self.labels[rows], None if self.true_labels is None else self.true_labels[rows])


Split = ImageTensors | ImageFiles


@dataclass(frozen=True)
class ImageData:
    """`splits` has train, val and test; `image_shape` is what a network sees, (C, H, W).

    Images are normalized by `mean` and `std`, per channel: (pixel / 255 - mean) / std. Test images on disk are resized
    to a shorter side of `resize` by `interpolation`, then cropped in the centre. `sha256` is of the files, by name.
    `noise` is that of the labels of train and val; test labels are true.
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
    noise: LabelNoise | None = None

    def __post_init__(self) -> None:
        channels = self.image_shape[0]
        if len(self.mean) != channels or len(self.std) != channels or not all(value > 0 for value in self.std):
            raise UserError(f"data.mean {self.mean} and data.std {self.std} need {channels} value(s), std above 0")

    @property
    def on_disk(self) -> bool:
        """Whether the images are files, which are decoded and resized as they are read, not arrays of one size."""
        return any(isinstance(split, ImageFiles) for split in self.splits.values())

    def with_true_labels(self) -> "ImageData":
        """The same images by their true classes, for what is measured class by class."""
        clean = {
            name: split if split.true_labels is None else dataclasses.replace(split, labels=split.true_labels)
            for name, split in self.splits.items()
        }
        return dataclasses.replace(self, splits=clean)

    def record(self) -> Data:
        """What `result.json` says of the data."""
        sizes = {name: len(split) for name, split in self.splits.items()}
        return Data(self.name, sizes, self.sha256, label_noise=self.noise.rate if self.noise else None)
