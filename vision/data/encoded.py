"""An encoded image: its bytes, and what its header says before anything is decoded."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from shared.errors import UserError

Pixels = npt.NDArray[np.uint8]


class Encoded(NamedTuple):
    """The bytes of an image file, its size in pixels, and whether it is a JPEG in colour or grey.

    On such a JPEG PIL, torchvision and DALI agree bit by bit; PIL decodes what else there is (CMYK, PNG with palette,
    alpha or 16 bits, ...). A camera's note of which side is up (EXIF) is not followed: torchvision's ImageFolder and
    the published results do not either.
    """

    path: str
    content: bytes
    height: int
    width: int
    is_plain_jpeg: bool

    def pixels(self) -> Pixels:
        """PIL's decoding as RGB, uint8 [height, width, 3]. Raises UserError for a damaged file."""
        try:
            with Image.open(io.BytesIO(self.content)) as image:
                return np.array(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(self.path, error) from None


def read_encoded(path: str) -> Encoded:
    """Raises UserError for a file that is missing or no image."""
    try:
        content = Path(path).read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            plain = image.format == "JPEG" and image.mode in ("RGB", "L")
            return Encoded(path, content, image.height, image.width, plain)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: Exception) -> UserError:
    reason = "of no known format" if isinstance(error, UnidentifiedImageError) else str(error)
    return UserError(f"cannot read the image {path}: {reason}; mend or remove it")
