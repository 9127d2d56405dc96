"""Fashion-MNIST (Xiao et al. 2017) from its four idx files, as Debian's `dataset-fashion-mnist` ships them."""

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.errors import UserError
from shared.files import sha256
from shared.unpacking import gunzip
from vision.data.given import GivenData
from vision.data.image_data import ImageTensors
from vision.settings import DataSettings

CLASS_NAMES = [
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
]
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_WHERE = "name the folder of the four Fashion-MNIST .gz files as data.data_dir=DIR (scripts/setup.sh fetches them)"


def fashion_mnist(settings: DataSettings) -> GivenData:
    """60,000 training and 10,000 test images, 1 x 28 x 28 in ten classes.

    Raises UserError for a folder that is not one, a missing or damaged file, and counts that do not match.
    """
    folder = Path(settings.data_dir or "")
    if settings.data_dir is None or not folder.is_dir():
        raise UserError(f"data.data_dir {settings.data_dir} is not a folder; {_WHERE}")
    missing = [name for names in FILES.values() for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}; {_WHERE}")
    return GivenData(
        name="fashion_mnist",
        class_names=CLASS_NAMES,
        train=_read_pair(folder, "train"),
        test=_read_pair(folder, "test"),
        image_shape=(1, 28, 28),
        sha256={name: sha256(folder / name) for names in FILES.values() for name in names},
    )


def _read_pair(folder: Path, part: str) -> ImageTensors:
    images_path, labels_path = (folder / name for name in FILES[part])
    images, labels = read_idx(images_path, dimensions=3), read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise UserError(f"{images_path} holds {len(images)} images, {labels_path} {len(labels)} labels; not one set")
    if len(labels) == 0 or int(labels.max()) >= len(CLASS_NAMES):
        raise UserError(f"{labels_path}: want at least one label, each 0 to {len(CLASS_NAMES) - 1}")
    return ImageTensors(images.unsqueeze(1), labels.long())


def read_idx(path: Path, dimensions: int) -> Tensor:
    """A gzipped idx file of unsigned bytes: uint8 with `dimensions` axes. Raises UserError for anything else.

    Format: two zero bytes, the type 8, the number of axes, each size as a big-endian 32-bit number, the values.
    """
    try:
        raw = gunzip(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from None
    header = 4 + 4 * dimensions
    if raw[:4] != bytes((0, 0, 8, dimensions)) or len(raw) < header:
        raise UserError(f"{path}: not an idx file of bytes with {dimensions} dimensions (its magic number differs)")
    shape = [int(size) for size in np.frombuffer(raw, ">u4", count=dimensions, offset=4)]
    if len(raw) - header != np.prod(shape, dtype=np.int64):
        raise UserError(f"{path}: its header says {shape} but {len(raw) - header} values follow")
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=header).reshape(shape).copy())
