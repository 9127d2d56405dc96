"""`python -m vision.diffusion`: the diffusion index eta between two students of one teacher, T low and T high."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial

from torch import Tensor

from shared.diffusion import NORMALIZATIONS, ClassSets
from shared.diffusion.cluster_record import chooser_note, set_notes
from shared.diffusion.pairs import Student, check_pair
from shared.diffusion.rows import eta_rows
from shared.diffusion.table import table_in_percent
from shared.errors import UserError
from shared.naming import unique_name
from shared.results import Eta, Result, RunClock, write_result
from vision.checkpoint import Card, check_same_data, load_card
from vision.cli import run
from vision.data import ImageData
from vision.device import device_name
from vision.features import FeatureReader
from vision.outputs import check_output
from vision.set_choice import choose_sets
from vision.settings import DiffusionSettings
from vision.trained_on import load_same_data

SPLITS = ("train", "val")


def diffusion(settings: DiffusionSettings) -> None:
    """Write eta of every (split, normalization, target, set) to `output/result.json` and print a table.

    `val` is the fixed validation part of the training images, never the test set. Raises UserError for students of
    different teachers or recipes, where the temperature does not rise from `low` to `high`, and for an `output` that
    holds something else.
    """
    clock = RunClock()
    check_output(settings.output, "diffusion")
    cards = {path: load_card(path) for path in (settings.low, settings.high)}
    check_pair(*(_student(path, cards[path]) for path in (settings.low, settings.high)))
    teacher = cards[settings.low].teacher
    if settings.teacher is not None:
        known = load_card(settings.teacher)
        if teacher is None or known.model.sha256 != teacher.sha256:
            raise UserError(f"{settings.teacher} is not the teacher of {settings.low}; sets=nearest wants that one")
    data = load_same_data(settings.data, cards).with_true_labels()
    if settings.teacher is not None:
        check_same_data(settings.teacher, known, data)
    low, high = (FeatureReader(path, data, settings.loader) for path in (settings.low, settings.high))
    sets = choose_sets(settings, data, partial(_centroids, settings, data))
    normalizations = NORMALIZATIONS if settings.normalization == "all" else (settings.normalization,)
    eta = [row for split in SPLITS for row in _rows(normalizations, split, data, low, high, sets)]
    models = [low.described, high.described]
    parts = [data.name, models[0].arch, "diffusion", f"a{(teacher.alpha if teacher else 0) or 0:g}"]
    parts += [f"T{model.temperature:g}" for model in models]
    parts += [settings.sets, settings.normalization, f"seed{models[0].seed}"]
    chosen = [dataclasses.asdict(one) for one in sets]
    name = settings.name or unique_name(parts, models, chosen, settings.normalization)
    provenance = clock.provenance(device_name(low.device))
    notes = [chooser_note(known.model)] if settings.teacher is not None and settings.sets == "nearest" else []
    record = Result(
        "diffusion",
        "image-classification",
        name,
        data.record(),
        models,
        provenance,
        teacher,
        eta=eta,
        teachers=cards[settings.low].teachers,
        notes=[*notes, *set_notes(sets, data.class_names)],
    )
    path = write_result(settings.output, record)
    for normalization in normalizations:
        print(*table_in_percent([row for row in eta if row.normalization == normalization]), sep="\n")
    print(path, flush=True)


def _student(path: str, card: Card) -> Student:
    others = [teacher.sha256 for teacher in card.teachers[1:]]  # the first is `card.teacher`
    return Student(path, card.model, card.teacher, {"export (last or best)": card.export, "further teachers": others})


def _centroids(settings: DiffusionSettings, data: ImageData) -> Tensor:
    """The teacher's on the training images."""
    return FeatureReader(settings.teacher or "", data, settings.loader).centroids(data, "train")


def _rows(
    normalizations: Sequence[str],
    split: str,
    data: ImageData,
    low: FeatureReader,
    high: FeatureReader,
    sets: Sequence[ClassSets],
) -> Iterator[Eta]:
    """eta of every target on S1 and on S2, under each normalization, after one pass of each student over a split."""
    centroids = low.centroids(data, split), high.centroids(data, split)
    for normalization in normalizations:
        yield from eta_rows(split, *centroids, sets, data.class_names, normalization=normalization)


if __name__ == "__main__":
    run("diffusion", DiffusionSettings, diffusion)
