"""`python -m vision.clusters`: how tight the clusters of a model's features are, and how far apart similar classes."""

import dataclasses
from functools import cache

from torch import Tensor
from torch.nn.functional import linear

from shared.diffusion import CentroidAccumulator, ClassSets, Clusters, PredictionAccumulator
from shared.diffusion.cluster_record import chooser_note, cluster_metrics, cluster_table, set_notes
from shared.errors import UserError
from shared.naming import unique_name
from shared.results import Metric, Result, RunClock, write_result
from vision.checkpoint import check_same_data, load_card
from vision.cli import run
from vision.data import ImageData
from vision.device import device_name
from vision.features import FeatureReader
from vision.outputs import check_output
from vision.set_choice import choose_sets
from vision.settings import ClustersSettings
from vision.trained_on import check_train_is_known, is_export, load_cards, load_same_data

SPLITS = ("train", "val")
Measured = tuple[Clusters, PredictionAccumulator]


def clusters(settings: ClustersSettings) -> None:
    """Write the record of a model's clusters on train and val to `output/result.json` and print a table.

    `val` is the fixed validation part of the training images, never the test set. Raises UserError for a model or data
    that cannot be read or do not fit together, for a student whose own centroids would choose the sets, and for an
    `output` that holds something else.
    """
    clock = RunClock()
    check_output(settings.output, "clusters")
    check_train_is_known([settings.checkpoint])
    data = load_same_data(settings.data, load_cards([settings.checkpoint])).with_true_labels()
    if settings.teacher is not None and is_export(settings.teacher):
        check_same_data(settings.teacher, load_card(settings.teacher), data)
    reader = FeatureReader(settings.checkpoint, data, settings.loader, settings.network)
    other = None if settings.teacher is None else FeatureReader(settings.teacher, data, settings.loader)
    if settings.sets == "nearest" and other is None and reader.described.role != "teacher":
        raise UserError(f"{reader.spec} is a student; sets=nearest wants teacher=PATH/last.safetensors beside it")
    measured = cache(lambda split: _measured(reader, data, split))

    def centroids() -> Tensor:
        return measured("train")[0].centroids if other is None else other.centroids(data, "train")

    sets = choose_sets(settings, data, centroids)
    metrics: dict[str, Metric] = {}
    for split in SPLITS:
        try:
            metrics |= cluster_metrics(split, *measured(split), sets)
        except UserError as error:
            raise UserError(f"{reader.spec} on {split}: {error}") from None
    told = [*reader.notes, *([] if other is None else [chooser_note(other.described)])]
    record = Result(
        "clusters",
        "image-classification",
        settings.name or _name(settings, data, reader, sets),
        data.record(),
        [reader.described],
        clock.provenance(device_name(reader.device)),
        reader.teacher,
        teachers=reader.teachers,
        metrics=metrics,
        notes=[*told, *set_notes(sets, data.class_names)],
    )
    path = write_result(settings.output, record)
    print(*(f"{reader.spec}: {note}" for note in told), *cluster_table(metrics, sets), path, sep="\n", flush=True)


def _measured(reader: FeatureReader, data: ImageData, split: str) -> Measured:
    """After one pass over a split. Raises UserError where the model has diverged, or where it has no clusters."""
    outputs, dim = reader.weight.shape
    accumulator = CentroidAccumulator(outputs, dim, second_moments=True)
    predictions = PredictionAccumulator(outputs, outputs)
    try:
        for features, labels in reader.features(data, split):
            accumulator.update(features, labels)
            predictions.update(linear(features, reader.weight, reader.bias), labels)
        return Clusters(accumulator), predictions
    except (ValueError, UserError) as error:
        raise UserError(f"{reader.spec} on {split}: {error}") from None


def _name(settings: ClustersSettings, data: ImageData, reader: FeatureReader, sets: list[ClassSets]) -> str:
    model = reader.described
    alpha, seed = (reader.teacher or model).alpha, model.seed
    parts = [data.name, model.arch, "clusters", *([] if alpha is None else [f"a{alpha:g}"])]
    parts.append("teacher" if model.temperature is None else f"T{model.temperature:g}")
    parts += [settings.sets, *([] if seed is None else [f"seed{seed}"])]
    return unique_name(parts, [model], [dataclasses.asdict(one) for one in sets])


if __name__ == "__main__":
    run("clusters", ClustersSettings, clusters)
