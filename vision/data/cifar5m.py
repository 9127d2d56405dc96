"""CIFAR-5m: some five million images that resemble CIFAR-10's, from a generative model (Nakkiran et al., "The Deep
Bootstrap Framework", 2021), in the form that Kaplun et al. 2022 read: one array per class.
"""

from pathlib import Path
from tokenize import TokenError

import numpy as np
import torch

from shared.errors import UserError
from vision.data.cifar import SHAPE, cifar10_test
from vision.data.given import GivenData
from vision.data.image_data import ImageTensors
from vision.data.mapped_images import Array, MappedImages
from vision.data.on_disk import listing_sha256
from vision.settings import DataSettings

FILES = tuple(f"class{label}.npy" for label in range(10))
# What numpy raises of a file that is no array, not all of one, or one of Python objects, i.e. pickles, and (the last
# two) of a header that is an expression too deep for Python.
_BROKEN = (OSError, ValueError, OverflowError, SyntaxError, TokenError, MemoryError, RecursionError)
_WANT = "uint8 [n, 32, 32, 3] in C order, n > 0"


def cifar5m(settings: DataSettings) -> GivenData:
    """3 x 32 x 32 training images of CIFAR-10's classes, mapped: 15 GB, never loaded; the test set is CIFAR-10's.

    Batches take images from all over the files, which want memory that the system can keep them in, or a disk that is
    fast at such reading. The digest is of the files' names, sizes and shapes: to read them all would take minutes.
    Raises UserError for files that are missing or hold anything but `_WANT`, and for what `cifar10_test` refuses.
    """
    folder = Path(settings.data_dir or "")
    if missing := [name for name in FILES if settings.data_dir is None or not (folder / name).is_file()]:
        raise UserError(
            f"data.data_dir {settings.data_dir} lacks {', '.join(missing)}; data=cifar5m wants"
            f" {FILES[0]} to {FILES[-1]}"
        )
    arrays = tuple(_mapped(folder / name) for name in FILES)
    names, test, digests = cifar10_test(settings)
    if len(names) != len(FILES):
        raise UserError(f"data.test_dir {settings.test_dir} has {len(names)} classes, CIFAR-5m {len(FILES)}")
    counts = torch.tensor([len(array) for array in arrays])
    described = [f"{(folder / name).stat().st_size} {array.shape}" for name, array in zip(FILES, arrays, strict=True)]
    return GivenData(
        name="cifar5m",
        class_names=names,
        train=ImageTensors(MappedImages.whole(arrays), torch.repeat_interleave(torch.arange(len(FILES)), counts)),
        test=test,
        image_shape=SHAPE,
        sha256={"names, sizes and shapes of the arrays": listing_sha256(FILES, described)} | digests,
    )


def _mapped(path: Path) -> Array:
    """The file's array; not by `np.load`, which would also open archives."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except _BROKEN as error:
        raise UserError(f"{path} cannot be mapped ({error}); want {_WANT}") from None
    is_images = array.dtype == np.uint8 and array.ndim == 4 and array.shape[1:] == (*SHAPE[1:], SHAPE[0])
    if not is_images or len(array) == 0 or not array.flags.c_contiguous:
        raise UserError(f"{path} holds {array.dtype} {list(array.shape)}; want {_WANT}")
    return array
