"""Image files of every odd kind, small enough to be made as the tests run."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

COLOUR = (200, 100, 48)
GREY = 124  # of COLOUR: .299 R + .587 G + .114 B
SIZE = (40, 32)


def save(image: Image.Image, kind: str, **how: object) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **how)
    return made.getvalue()


def flat(mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", SIZE, COLOUR).convert(mode)


def palette() -> Image.Image:
    made = Image.new("P", SIZE, 1)
    made.putpalette([0, 0, 0, *COLOUR])
    return made


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, row: bytes | None, before: bytes = b"") -> bytes:
    """A PNG by hand: every row is `row`; None: a single byte of data, whatever the header says."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" if row is None else (b"\0" + row) * height))
    return b"\x89PNG\r\n\x1a\n" + header + before + data + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG whose header says this size."""
    content = bytearray(save(flat(), "JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def rotated() -> bytes:
    """A camera's note that the left side is up."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return save(flat(), "JPEG", exif=exif.tobytes())


def animated(kind: str) -> bytes:
    others = [Image.new("RGB", SIZE, (0, 0, shade)) for shade in (0, 255)]
    return save(flat(), kind, save_all=True, append_images=others, **({"lossless": True} if kind == "WEBP" else {}))


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))


# (file, its colour): what is read, and is the same to both loaders.
READ: dict[str, Callable[[], tuple[bytes, tuple[int, ...]]]] = {
    "JPEG": lambda: (save(flat(), "JPEG"), COLOUR),
    "JPEG, grey": lambda: (save(flat("L"), "JPEG"), (GREY,) * 3),
    "JPEG, CMYK": lambda: (save(flat("CMYK"), "JPEG"), COLOUR),
    "JPEG, progressive": lambda: (save(flat(), "JPEG", progressive=True), COLOUR),
    "JPEG with a camera's note of its side": lambda: (rotated(), COLOUR),
    "JPEG with garbage behind it": lambda: (save(flat(), "JPEG") + b"\xff\xd8garbage", COLOUR),
    "JPEG, 4:4:4": lambda: (save(flat(), "JPEG", subsampling=0), COLOUR),
    "JPEG of several pictures (MPO)": lambda: (save(flat(), "MPO", save_all=True, append_images=[noise()]), COLOUR),
    "PNG": lambda: (save(flat(), "PNG"), COLOUR),
    "PNG, grey": lambda: (save(flat("L"), "PNG"), (GREY,) * 3),
    "PNG, grey with alpha": lambda: (save(flat("LA"), "PNG"), (GREY,) * 3),
    "PNG with alpha": lambda: (save(flat("RGBA"), "PNG"), COLOUR),
    "PNG, black and white": lambda: (save(Image.new("1", SIZE, 1), "PNG"), (255,) * 3),
    "PNG, palette": lambda: (save(palette(), "PNG"), COLOUR),
    "PNG, palette with transparency": lambda: (save(palette(), "PNG", transparency=1), COLOUR),
    "PNG, palette with transparency in steps": lambda: (save(palette(), "PNG", transparency=b"\0\x80"), COLOUR),
    "PNG, 16 bits of grey": lambda: (png(*SIZE, 16, 0, b"\x7c\x80" * SIZE[0]), (0x7C,) * 3),
    "PNG, 16 bits of grey with alpha": lambda: (png(*SIZE, 16, 4, b"\x7c\x80\xff\xff" * SIZE[0]), (0x7C,) * 3),
    "PNG, 16 bits of colour": lambda: (png(*SIZE, 16, 2, b"\xc8\x01\x64\x80\x30\xff" * SIZE[0]), COLOUR),
    "PNG, 2 bits of grey": lambda: (png(*SIZE, 2, 0, b"\xaa" * (SIZE[0] // 4)), (170,) * 3),
    "GIF, animated": lambda: (animated("GIF"), COLOUR),
    "WebP, animated": lambda: (animated("WEBP"), COLOUR),
    "PNG, animated": lambda: (animated("PNG"), COLOUR),
    "BMP": lambda: (save(flat(), "BMP"), COLOUR),
    "TIFF, LZW": lambda: (save(flat(), "TIFF", compression="tiff_lzw"), COLOUR),
    "TIFF, 16 bits of grey": lambda: (
        save(Image.fromarray(np.full(SIZE[::-1], 0x7C80, np.uint16)), "TIFF"),
        (0x7C,) * 3,
    ),
    "PPM": lambda: (save(flat(), "PPM"), COLOUR),
}
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 32\n%%EndComments\n(canary) (w) file closefile\n%%EOF\n"
# What is refused before training, by both loaders too.
REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"not an image\n",
    "HTML": lambda: b"<html><body>404</body></html>",
    "PostScript": lambda: EPS,
    "JPEG, its first half": lambda: (content := save(noise(), "JPEG"))[: len(content) // 2],
    "JPEG without its end": lambda: save(noise(), "JPEG")[:-40],
    "JPEG, progressive, its first half": lambda: (content := save(noise(), "JPEG", progressive=True))[
        : len(content) // 2
    ],
    "JPEG, CMYK, its first half": lambda: (content := save(noise().convert("CMYK"), "JPEG"))[: len(content) // 2],
    "JPEG, its header alone": lambda: (content := save(noise(), "JPEG"))[: content.index(b"\xff\xda")],
    "JPEG that says 60,000 x 60,000": lambda: jpeg_of(60_000, 60_000),
    "JPEG that says 9,000 x 9,000": lambda: jpeg_of(9_000, 9_000),
    "JPEG that says 0 x 0": lambda: jpeg_of(0, 0),
    "PNG, its first half": lambda: (content := save(noise(), "PNG"))[: len(content) // 2],
    "PNG, damaged within": lambda: (content := save(noise(), "PNG"))[:200] + bytes(20) + content[220:],
    "PNG that says 60,000 x 60,000": lambda: png(60_000, 60_000, 8, 2, None),
    "PNG that says 9,000 x 9,000": lambda: png(9_000, 9_000, 8, 2, None),
    "PNG that says 2**31 - 1 x 2**31 - 1": lambda: png(2**31 - 1, 2**31 - 1, 8, 2, None),
    "PNG that says 0 x 0": lambda: png(0, 0, 8, 2, None),
    "PNG, a strip of 30,000 x 2": lambda: png(30_000, 2, 8, 0, bytes(30_000)),
    "PNG with a text of 200 MiB": lambda: png(
        *SIZE, 8, 0, bytes(SIZE[0]), chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(200 << 20), 1))
    ),
    "GIF, its first bytes": lambda: animated("GIF")[:60],
    "WebP, its first half": lambda: (content := animated("WEBP"))[: len(content) // 2],
    "BMP, its first half": lambda: (content := save(flat(), "BMP"))[: len(content) // 2],
    "BMP that says 2**31 - 1 x 1": lambda: (
        (content := save(flat(), "BMP"))[:18] + struct.pack("<ii", 2**31 - 1, 1) + content[26:]
    ),
    "TIFF of 32-bit floats": lambda: save(Image.new("F", SIZE, 0.5), "TIFF"),
    "TIFF of 32-bit integers": lambda: save(Image.new("I", SIZE, 70_000), "TIFF"),
    "PGM of 16 bits": lambda: b"P5 40 32 65535\n" + b"\x7c\x80" * (40 * 32),
    "PGM that says 10**9 x 10**9": lambda: b"P5 1000000000 1000000000 255\n\0",
    "a zip": lambda: b"PK\x03\x04" + bytes(60),
}
