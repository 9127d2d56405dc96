"""An encoded image: its bytes, and what its header says before anything is decoded."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.Image import Image as Opened

from shared.errors import UserError

# What Pillow may take a file for, whatever its name: it would have Ghostscript run a PostScript file.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "TIFF", "GIF")
LARGEST = 1 << 26  # pixels: 200 MB, and many threads decode at once
LONGEST = 100  # the longer side of an image, in shorter ones
Pixels = npt.NDArray[np.uint8]


class Encoded(NamedTuple):
    """The bytes of an image file, its size in pixels, and whether it is a JPEG in colour or grey.

    On such a JPEG PIL, torchvision and DALI agree bit by bit; PIL decodes what else there is (CMYK, PNG with palette,
    alpha or 16 bits, of which the upper 8 count, the first of several frames, ...). A camera's note of which side is up
    (EXIF) is not followed: torchvision's ImageFolder and the published results do not either.
    """

    path: str
    content: bytes
    height: int
    width: int
    is_plain_jpeg: bool

    def pixels(self) -> Pixels:
        """PIL's decoding as RGB, uint8 [height, width, 3]. Raises UserError for a damaged file."""
        try:
            with Image.open(io.BytesIO(self.content), formats=FORMATS) as image:
                check_shape(image)
                return np.array(_of_8_bits(image).convert("RGB"))
        except Exception as error:  # each of PIL's decoders has errors of its own
            raise _unreadable(self.path, error) from None


def read_encoded(path: str) -> Encoded:
    """Raises UserError for a file that is missing or no image."""
    try:
        content = Path(path).read_bytes()
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            check_shape(image)
            plain = image.format == "JPEG" and image.mode in ("RGB", "L")
            return Encoded(path, content, image.height, image.width, plain)
    except Exception as error:  # each of PIL's decoders has errors of its own
        raise _unreadable(path, error) from None


def check_shape(image: Opened) -> None:
    """Raise ValueError for pixels that have no place among 0 to 255, for more than `LARGEST` of them, and for a strip:
    with its shorter side brought to 256, one of 60,000 x 2 pixels takes 6 GB.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are 32-bit (mode {image.mode}); save it with 8 or 16 bits")
    if image.width * image.height > LARGEST:
        raise ValueError(f"{image.width} x {image.height} are more than {LARGEST:,} pixels; scale it down")
    if max(image.size) > LONGEST * min(image.size):
        raise ValueError(f"{image.width} x {image.height} is a strip; want at most {LONGEST} to 1")


def _of_8_bits(image: Opened) -> Opened:
    """PIL would show every grey of 16 bits above 255 as white."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _unreadable(path: str, error: Exception) -> UserError:
    reason = "of no known format" if isinstance(error, UnidentifiedImageError) else str(error)
    return UserError(f"cannot read the image {path}: {reason}; mend or remove it")
