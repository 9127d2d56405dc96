"""`python -m vision.advise`: how smoothed a teacher is, and which temperature and loss the evidence speaks for."""

import dataclasses
from functools import partial

import numpy as np
import torch
from torch.nn.functional import linear

from shared.advice import (
    Measurement,
    Teacher,
    advice_lines,
    advise,
    check_evidence,
    measure,
    read_evidence,
    write_advice,
)
from shared.errors import UserError
from vision.cli import run
from vision.data import ImageData
from vision.features import FeatureReader
from vision.settings import AdviseSettings
from vision.trained_on import check_train_is_known, load_cards, load_same_data

SPLITS = ("train", "val")  # never the test set
TASK = "image-classification"


def give_advice(settings: AdviseSettings) -> None:
    """Print the advice for a teacher, measured on a sample of train and val; with `output`, write `advice.json` too.

    Raises UserError for a model, data or evidence that cannot be read or do not fit together, and for a student.
    """
    check_train_is_known([settings.checkpoint])
    check_evidence(settings.evidence)
    evidence = read_evidence(settings.evidence, TASK)
    data = load_same_data(settings.data, load_cards([settings.checkpoint]))
    reader = FeatureReader(settings.checkpoint, data, settings.loader, settings.network)
    if reader.described.role != "teacher":
        raise UserError(f"{reader.spec} is a student; name the teacher that you want to distil")
    sample = _sample(data, settings.images)
    for split in SPLITS:
        print(f"{split}: {len(sample.splits[split]):,} of {len(data.splits[split]):,} images", flush=True)
    measured = {split: _measured(reader, sample, split) for split in SPLITS}
    advice = advise(Teacher(reader.spec, TASK, data.name, reader.described, data.class_names), measured, evidence)
    notes = [f"{reader.spec}: {note}" for note in (*reader.notes, *_of_noise(data))]
    print(*notes, *advice_lines(advice), sep="\n", flush=True)
    if settings.output is not None:
        print(write_advice(settings.output, advice), flush=True)


def _measured(reader: FeatureReader, data: ImageData, split: str) -> Measurement:
    """After one pass. Raises UserError where the model has diverged."""
    head = partial(linear, weight=reader.weight, bias=reader.bias)
    try:
        return measure(reader.features(data, split), head, len(reader.weight))
    except ValueError as error:
        raise UserError(f"{reader.spec} on {split}: {error}") from None


def _sample(data: ImageData, images: int) -> ImageData:
    """At most `images` of each split: the same ones of a split of a size, whatever the model."""
    splits = dict(data.splits)
    for name in SPLITS:
        drawn = np.random.RandomState(0).permutation(len(splits[name]))[:images]
        splits[name] = splits[name].subset(torch.from_numpy(np.sort(drawn)))
    return dataclasses.replace(data, splits=splits)


def _of_noise(data: ImageData) -> list[str]:
    if not data.noise:
        return []
    return [f"{data.noise.rate:.0%} of the labels are noise, as it learned from them; that raises the implied alpha"]


if __name__ == "__main__":
    run("advise", AdviseSettings, give_advice)
