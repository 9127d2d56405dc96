"""What the commands need of a split besides its batches: names of its images, and how far a pass over it is."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from vision.data.image_data import Split
from vision.data.image_files import ImageFiles

_SECONDS = 60  # between two lines where there is no terminal


def image_ids(split: Split) -> list[str]:
    """A name of each image of a split, in order, the same on every machine: its path below the folder that all have in
    common, or its row in a split that is held in memory.
    """
    if not isinstance(split, ImageFiles):
        return [str(row) for row in range(len(split))]
    top = os.path.commonpath([os.path.dirname(path) for path in split.paths])
    return [Path(path).relative_to(top).as_posix() for path in split.paths]


def with_progress(batches: Iterable[tuple[Tensor, Tensor]], count: int, what: str) -> Iterator[tuple[Tensor, Tensor]]:
    """`batches`, of `count` images in all, with a bar on a terminal and else a line a minute on how far they are."""
    told = started = time.monotonic()
    done, on_terminal = 0, sys.stderr.isatty()
    with tqdm(total=count, desc=what, unit="image", delay=1, leave=False, disable=not on_terminal) as bar:
        for images, labels in batches:
            yield images, labels
            done += len(labels)
            bar.update(len(labels))
            if not on_terminal and (now := time.monotonic()) - told >= _SECONDS:
                left = (now - started) / done * (count - done)
                print(f"{what}: {done} of {count} images, about {left:.0f} s left", flush=True)
                told = now
