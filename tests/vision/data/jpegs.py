"""Images as large as ImageNet's usual ones, made from a seed: smooth ones and textured ones."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vision.data.image_files import ImageFiles

SIZE = (500, 375)  # width, height


def photograph(index: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Soft patches of colour; every second image has waves and noise upon them."""
    width, height = size
    numbers = np.random.default_rng(index)
    patches = Image.fromarray(numbers.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(patches.resize(size, Image.Resampling.BICUBIC)).astype(float)
    if index % 2:
        y, x = np.mgrid[:height, :width]
        waves = 30 * np.sin(x / numbers.uniform(1, 6) + y / numbers.uniform(2, 8))
        pixels += (waves + numbers.normal(0, 12, (height, width)))[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_jpegs(folder: Path, count: int, size: tuple[int, int] = SIZE) -> ImageFiles:
    """`count` files, labelled by their number."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:04d}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        photograph(index, size).save(path, quality=90)
    return ImageFiles([str(path) for path in paths], torch.arange(count))
