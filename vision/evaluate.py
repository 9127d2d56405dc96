"""`python -m vision.evaluate`: how good, and how well calibrated, a model is on one split of a data set.

Several models answer together: `checkpoint=[A,B,C]`. Where the labels that a model learned from were made noisy on
purpose, it is also compared with a sampler of them.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from shared.naming import unique_name
from shared.predictions import FILE_NAME as PREDICTIONS
from shared.predictions import Predictions, write_predictions
from shared.results import Metric, Result, RunClock, write_result
from vision.class_sets import ClassNames
from vision.class_table import FILE_NAME as CLASSES
from vision.class_table import class_scores, class_table, worst, write_class_scores
from vision.cli import run
from vision.data import ImageData
from vision.device import device_name
from vision.ensemble import OF_VOTES, answers, check_members
from vision.features import FeatureReader
from vision.outputs import check_output
from vision.reading import image_ids
from vision.sampler_check import FILE_NAME as CONFUSION
from vision.sampler_check import SamplerCheck
from vision.scores import Outcomes, Scores
from vision.settings import EvaluateSettings
from vision.settings.data import unusual_resizing
from vision.trained_on import check_train_is_known, load_cards, load_same_data


def evaluate(settings: EvaluateSettings) -> None:
    """Print the scores with their counts, and a table of classes; with `output`, write both, a record, and what was
    predicted of every image (`shared/predictions.py` describes the file).

    On the test split of data with label noise, whose labels are true, also how far the predictions are from the law of
    the noise. Raises UserError, before anything is scored, for a checkpoint or data that cannot be read or do not fit
    together, and for an `output` that holds something else.
    """
    clock = RunClock()
    check_output(settings.output, "ensemble" if len(settings.checkpoints) > 1 else "model")
    cards = {} if settings.other_data else load_cards(settings.checkpoints)
    if settings.split == "train" and not settings.other_data:
        check_train_is_known(settings.checkpoints)
    data = load_same_data(settings.data, cards)
    names = ClassNames(data.class_names)
    labels = [names.label(k) for k in range(len(data.class_names))]
    chosen = None if settings.classes is None else names.resolve_all(settings.classes, "classes")
    readers = _readers(settings, data)
    notes = _notes(settings, readers)
    scores, predictions = _score(settings, readers, data)
    metrics = scores.metrics(settings.split)
    sampler = SamplerCheck.of(predictions, labels, data.noise) if data.noise and settings.split == "test" else None
    if sampler:
        metrics |= sampler.metrics(settings.split)
    for key, metric in metrics.items():
        print(f"{key}: {metric.value:.4f} {metric.unit or '(0 to 1)'} over {metric.count} images", flush=True)
    classes = class_scores(predictions, labels)
    print(*class_table(worst(classes) if chosen is None else [classes[k] for k in chosen]), sep="\n", flush=True)
    if sampler:
        print(*sampler.lines(), sep="\n", flush=True)
    if settings.output is None:
        return
    folder = Path(settings.output)
    write_predictions(folder / PREDICTIONS, predictions)
    write_class_scores(folder / CLASSES, classes)
    if sampler:
        sampler.write(folder / CONFUSION)
    print(write_result(folder, _record(settings, readers, data, metrics, notes, clock)), flush=True)


def _readers(settings: EvaluateSettings, data: ImageData) -> list[FeatureReader]:
    open_one = partial(FeatureReader, known=settings.network, other_data=settings.other_data)
    readers = [open_one(path, data, settings.loader) for path in settings.checkpoints]
    check_members(readers)
    return readers


def _notes(settings: EvaluateSettings, readers: Sequence[FeatureReader]) -> list[str]:
    """What the record's reader should know, printed as far as it is about the models."""
    several = len(readers) > 1
    notes = [f"{reader.spec}: {note}" if several else note for reader in readers for note in reader.notes]
    notes += [OF_VOTES] if several and settings.ensemble == "vote" else []
    for note in notes:
        print(note if several else f"{readers[0].spec}: {note}", flush=True)
    return notes + (["the model was not trained on these files"] if settings.other_data else [])


def _score(settings: EvaluateSettings, readers: Sequence[FeatureReader], data: ImageData) -> tuple[Scores, Predictions]:
    scores, parts = Scores(), []
    for one in answers(readers, data, settings.split, settings.loader, settings.ensemble):
        scores.add(one)
        parts.append(one)
    names = [field.name for field in dataclasses.fields(Outcomes)]
    columns = {name: torch.cat([getattr(part, name) for part in parts]).cpu().numpy() for name in names}
    return scores, Predictions(ids=np.array(image_ids(data.splits[settings.split]), dtype=np.str_), **columns)


def _record(
    settings: EvaluateSettings,
    readers: Sequence[FeatureReader],
    data: ImageData,
    metrics: dict[str, Metric],
    notes: list[str],
    clock: RunClock,
) -> Result:
    first, models, described = readers[0], [reader.described for reader in readers], data.record()
    several = len(readers) > 1
    what = [f"ensemble{len(readers)}", settings.ensemble] if several else [first.described.role]
    parts = [data.name, first.described.arch, *what, settings.split]
    shaped = [settings.split, described.sha256, *([settings.ensemble] if several else [])]
    if resized := unusual_resizing(dataclasses.asdict(settings.data)):
        shaped.append(resized)
    return Result(
        "ensemble" if several else "model",
        "image-classification",
        settings.name or unique_name(parts, models, *shaped),
        described,
        models,
        clock.provenance(device_name(first.device)),
        teacher=None if several else first.teacher,
        teachers=[] if several else first.teachers,
        combination=settings.ensemble if several else None,
        metrics=metrics,
        notes=notes,
    )


if __name__ == "__main__":
    run("evaluate", EvaluateSettings, evaluate)
