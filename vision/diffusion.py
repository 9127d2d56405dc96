"""`python -m vision.diffusion`: the diffusion index eta between two students of one teacher, T low and T high."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cache

from torch import Tensor

from shared.diffusion import NORMALIZATIONS, ClassSets, diffusion_indices, nearest_centroid_sets
from shared.diffusion.pairs import Student, check_pair
from shared.diffusion.table import table_in_percent
from shared.errors import UserError
from shared.naming import unique_name
from shared.results import Eta, Result, RunClock, write_result
from vision.checkpoint import Card, check_same_data, load_card
from vision.class_sets import class_sets
from vision.cli import run
from vision.data import ImageData
from vision.device import device_name
from vision.features import FeatureReader
from vision.settings import DiffusionSettings
from vision.trained_on import load_same_data

SPLITS = ("train", "val")


def diffusion(settings: DiffusionSettings) -> None:
    """Write eta of every (split, normalization, target, set) to `output/result.json` and print a table.

    `val` is the fixed validation part of the training images, never the test set. Raises UserError for students of
    different teachers or recipes, or where the temperature does not rise from `low` to `high`.
    """
    clock = RunClock()
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
    sets = list(_class_sets(settings, data).values())
    normalizations = NORMALIZATIONS if settings.normalization == "all" else (settings.normalization,)
    eta = [row for split in SPLITS for row in _indices(normalizations, split, data, low, high, sets)]
    models = [low.described, high.described]
    parts = [data.name, models[0].arch, "diffusion", f"a{(teacher.alpha if teacher else 0) or 0:g}"]
    parts += [f"T{model.temperature:g}" for model in models]
    parts += [settings.sets, settings.normalization, f"seed{models[0].seed}"]
    chosen = [dataclasses.asdict(one) for one in sets]
    name = settings.name or unique_name(parts, models, chosen, settings.normalization)
    provenance = clock.provenance(device_name(low.device))
    record = Result("diffusion", "image-classification", name, data.record(), models, provenance, teacher, eta=eta)
    path = write_result(settings.output, record)
    for normalization in normalizations:
        print(*table_in_percent([row for row in eta if row.normalization == normalization]), sep="\n")
    print(path, flush=True)


def _student(path: str, card: Card) -> Student:
    return Student(path, card.model, card.teacher, {"export (last or best)": card.export})


def _class_sets(settings: DiffusionSettings, data: ImageData) -> dict[int, ClassSets]:
    """S1 and S2 by target; the teacher's centroids are measured once, and only where they choose."""
    if settings.sets == "nearest" and not 1 <= settings.s1_size <= (most := len(data.class_names) - 2):
        raise UserError(f"s1_size is {settings.s1_size}; of {most + 2} classes it must be 1 to {most}")

    @cache
    def centroids() -> Tensor:
        return FeatureReader(settings.teacher or "", data, settings.loader).centroids(data, "train")

    def nearest(target: int) -> ClassSets:
        return nearest_centroid_sets(centroids(), target, settings.s1_size)

    return class_sets(settings.sets, data.class_names, settings.targets, explicit=settings.data.sets, nearest=nearest)


def _indices(
    normalizations: Sequence[str],
    split: str,
    data: ImageData,
    low: FeatureReader,
    high: FeatureReader,
    sets: list[ClassSets],
) -> Iterator[Eta]:
    """eta of every target on S1 and on S2, under each normalization, after one pass of each student over a split."""
    centroids = low.centroids(data, split), high.centroids(data, split)
    names = data.class_names
    pairs = [(one, name, members) for one in sets for name, members in (("S1", one.s1), ("S2", one.s2))]
    targets, members_of = [one.target for one, _, _ in pairs], [members for _, _, members in pairs]
    both = [[*one.s1, *one.s2] for one, _, _ in pairs]
    for normalization in normalizations:
        values = diffusion_indices(*centroids, targets, members_of, normalization=normalization, normalize_over=both)
        for (chosen, set_name, members), value in zip(pairs, values.tolist(), strict=True):
            shown = [names[k] for k in members]
            yield Eta(split, names[chosen.target], set_name, shown, value, normalization, chosen.chosen_by)


if __name__ == "__main__":
    run("diffusion", DiffusionSettings, diffusion)
