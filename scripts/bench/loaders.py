"""How many images a second each loader of images on disk delivers on the CPU, epoch by epoch in turn.

    python scripts/bench/loaders.py --output runs/bench/loaders.json

All read the same JPEGs of 500 x 375 pixels, made here, with as many workers, for ImageNet's training (random resized
crop, flip) and for evaluation. Nothing else is done with the batches. The loaders take turns epoch by epoch, so that
whatever else the machine does falls on all of them; ratios are of epochs of the same turn.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nvidia import dali
from outputs import check_output
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from shared.errors import UserError, exit_on_user_error
from shared.files import write_text
from shared.provenance import package_versions
from vision.data.batches import Batches, Rows
from vision.data.dali import DaliBatches
from vision.data.file_batches import FileBatches
from vision.data.image_files import ImageFiles
from vision.data.plan import BatchPlan
from vision.data.transforms import Rendering
from vision.data.views import Views
from vision.settings import AugmentationSettings, LoaderSettings

SIZE = (500, 375)  # width, height: about ImageNet's mean
TORCHVISION = "torchvision"


class OperatorsAlone(DaliBatches):
    """DALI's own operators all the way, as on a GPU."""

    def load(self, batches: list[Rows]) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Batches`."""
        for rows, images in zip(batches, self._by_dali(batches, None), strict=True):
            yield images, self._labels[torch.from_numpy(rows)]


LOADERS = {TORCHVISION: FileBatches, "dali": DaliBatches, "dali, its operators alone": OperatorsAlone}


def main() -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description="Images a second of the loaders on the CPU, interleaved.")
    parser.add_argument("--images", type=int, default=1024, help="of an epoch (default: 1024)")
    parser.add_argument("--epochs", type=int, default=7, help="measured of every loader (default: 7)")
    parser.add_argument("--batch-size", type=int, default=64, help="default: 64")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="loader.workers (default: the cores)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    with exit_on_user_error():
        if min(args.images, args.batch_size, args.workers) < 1 or args.epochs < 2:
            raise UserError("--images, --batch-size and --workers are 1 or more, --epochs 2 or more")
        check_output(args.output)
        bench(args)


def bench(args: argparse.Namespace) -> None:
    """Measure, print a table, write the JSON file."""
    torch.set_num_threads(1)
    tasks = {"training": AugmentationSettings(crop="resized", flip=True), "evaluation": None}
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        files = _write_jpegs(Path(folder), args.images)
        for task, augmentation in tasks.items():
            seconds = _measure(_loaders(files, augmentation, args), args.epochs, task)
            rows[task] = {name: _row(taken, seconds[TORCHVISION]) for name, taken in seconds.items()}
    for task, measured in rows.items():
        for name, row in measured.items():
            ratio, (low, high) = row["ratio"], row["quartiles"]
            print(f"| {task} | {name} | {row['images_per_second']:.0f} | {ratio:.2f} | {low:.2f} to {high:.2f} |")
    facts = {
        "ratio_to": TORCHVISION,
        "loaders": rows,
        **{key: value for key, value in vars(args).items() if key != "output"},
        "image_size": SIZE,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {**package_versions(), "torchvision": version("torchvision"), "dali": dali.__version__},
    }
    write_text(args.output, json.dumps(facts, indent=1) + "\n")


def _write_jpegs(folder: Path, count: int) -> ImageFiles:
    """Patches of colour under waves and noise, quality 90: about 95 kB each."""
    numbers = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    for index in tqdm(range(count), desc="writing JPEGs", unit="image", leave=False):
        patches = Image.fromarray(numbers.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        waves = 30 * np.sin(x / numbers.uniform(1, 6) + y / numbers.uniform(2, 8)) + numbers.normal(0, 12, x.shape)
        pixels = np.asarray(patches.resize(SIZE, Image.Resampling.BICUBIC)) + waves[..., None]
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:05d}.jpg", quality=90)
    return ImageFiles([str(folder / f"{index:05d}.jpg") for index in range(count)], torch.arange(count))


def _loaders(
    files: ImageFiles, augmentation: AugmentationSettings | None, args: argparse.Namespace
) -> dict[str, Batches]:
    rendering = Rendering(Views(224, 256, augmentation), "bilinear", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    settings = LoaderSettings(workers=args.workers)
    plan = BatchPlan(args.batch_size, None if augmentation is None else 1)
    return {name: kind(files, rendering, settings, plan) for name, kind in LOADERS.items()}


def _measure(loaders: dict[str, Batches], epochs: int, task: str) -> dict[str, list[float]]:
    """Seconds an image of every epoch by loader; the first one warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    names = list(loaders)
    for epoch in tqdm(range(epochs + 1), desc=task, unit="epoch", leave=False):
        for name in names[epoch % len(names) :] + names[: epoch % len(names)]:
            loaders[name].set_epoch(epoch)
            started = time.perf_counter()
            images = sum(len(labels) for _, labels in loaders[name])
            if epoch:
                seconds[name].append((time.perf_counter() - started) / images)
    return seconds


def _row(taken: list[float], theirs: list[float]) -> dict[str, Any]:
    ratios = [other / mine for mine, other in zip(taken, theirs, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    speed = 1 / statistics.median(taken)
    return {"images_per_second": speed, "ratio": statistics.median(ratios), "quartiles": [low, high]}


if __name__ == "__main__":
    main()
