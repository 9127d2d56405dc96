"""Accuracy class by class, from a classifier's predictions."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shared.files import write_text
from shared.predictions import Predictions

FILE_NAME = "classes.csv"
SHOWN = 10


@dataclass(frozen=True)
class ClassScore:
    """One class: how many `images` it has, how many of them were found, how often it was predicted at all."""

    index: int
    name: str
    images: int
    right: int
    predicted: int

    @property
    def top1(self) -> float | None:
        """Share of the class's images that were found, in percent; None where it has none."""
        return 100.0 * self.right / self.images if self.images else None


def class_scores(predictions: Predictions, class_names: Sequence[str]) -> list[ClassScore]:
    """One score per class, in order of index."""
    found = predictions.labels[predictions.labels == predictions.predicted]
    counts = (
        np.bincount(array, minlength=len(class_names)).tolist()
        for array in (predictions.labels, found, predictions.predicted)
    )
    rows = zip(class_names, *counts, strict=True)
    return [ClassScore(index, name, *numbers) for index, (name, *numbers) in enumerate(rows)]


def write_class_scores(path: str | os.PathLike[str], scores: Sequence[ClassScore]) -> None:
    """Write a CSV with a row per class, atomically: index, class, images, right, predicted, top1 (percent)."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["index", "class", "images", "right", "predicted", "top1"])
    for one in scores:
        top1 = "" if one.top1 is None else f"{one.top1:.4f}"
        writer.writerow([one.index, one.name, one.images, one.right, one.predicted, top1])
    write_text(path, table.getvalue())


def worst(scores: Sequence[ClassScore]) -> list[ClassScore]:
    """The classes with the lowest accuracy, at most `SHOWN`, the worst first; classes without images have none."""
    return sorted((one for one in scores if one.images), key=lambda one: one.right / one.images)[:SHOWN]


def class_table(scores: Sequence[ClassScore]) -> Iterator[str]:
    """Lines of a table for a terminal."""
    width = max(len(name) for name in ("class", *(one.name for one in scores))) + 2
    yield f"{'class':<{width}}{'index':>6}{'images':>9}{'right':>9}{'top-1 %':>9}"
    for one in scores:
        top1 = "no image" if one.top1 is None else f"{one.top1:.2f}"
        yield f"{one.name:<{width}}{one.index:>6}{one.images:>9}{one.right:>9}{top1:>9}"
