"""`python -m vision.evaluate`: how good, and how well calibrated, a model is on one split of a data set."""

import dataclasses
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
from vision.features import FeatureReader, load_cards, load_same_data
from vision.reading import image_ids
from vision.scores import Outcomes, Scores, outcomes
from vision.settings import EvaluateSettings


def evaluate(settings: EvaluateSettings) -> None:
    """Print the scores with their counts, and a table of classes; with `output`, write both, a record, and what was
    predicted of every image (`shared/predictions.py` describes the file).

    Raises UserError, before anything is scored, for a checkpoint or data that cannot be read or do not fit together.
    """
    clock = RunClock()
    cards = {} if settings.other_data else load_cards([settings.checkpoint])
    data = load_same_data(settings.data, cards)
    names = ClassNames(data.class_names)
    chosen = None if settings.classes is None else names.resolve_all(settings.classes, "classes")
    reader = FeatureReader(settings.checkpoint, data, settings.loader, settings.network)
    print(*(f"{reader.spec}: {note}" for note in reader.notes), sep="\n", end="\n" * bool(reader.notes), flush=True)
    scores, predictions = _score(reader, data, settings.split)
    metrics = scores.metrics(settings.split)
    for key, metric in metrics.items():
        print(f"{key}: {metric.value:.4f} {metric.unit} over {metric.count} images", flush=True)
    classes = class_scores(predictions, [names.label(k) for k in range(len(data.class_names))])
    print(*class_table(worst(classes) if chosen is None else [classes[k] for k in chosen]), sep="\n", flush=True)
    if settings.output is None:
        return
    folder = Path(settings.output)
    write_predictions(folder / PREDICTIONS, predictions)
    write_class_scores(folder / CLASSES, classes)
    print(write_result(folder, _record(settings, reader, data, metrics, clock)), flush=True)


def _score(reader: FeatureReader, data: ImageData, split: str) -> tuple[Scores, Predictions]:
    scores, parts = Scores(), []
    for one in outcomes(reader.network, reader.batches(data, split)):
        scores.add(one)
        parts.append(one)
    names = [field.name for field in dataclasses.fields(Outcomes)]
    columns = {name: torch.cat([getattr(part, name) for part in parts]).cpu().numpy() for name in names}
    return scores, Predictions(ids=np.array(image_ids(data.splits[split]), dtype=np.str_), **columns)


def _record(
    settings: EvaluateSettings, reader: FeatureReader, data: ImageData, metrics: dict[str, Metric], clock: RunClock
) -> Result:
    model, described = reader.described, data.record()
    parts = [data.name, model.arch, model.role, settings.split]
    other = ["the model was not trained on these files"] if settings.other_data else []
    return Result(
        "model",
        "image-classification",
        settings.name or unique_name(parts, [model], settings.split, described.sha256),
        described,
        [model],
        clock.provenance(device_name(reader.device)),
        teacher=reader.teacher,
        metrics=metrics,
        notes=[*reader.notes, *other],
    )


if __name__ == "__main__":
    run("evaluate", EvaluateSettings, evaluate)
