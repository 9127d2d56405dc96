"""`python -m vision.diffusion`: the diffusion index eta between two students of one teacher, T low and T high."""

import dataclasses
from collections.abc import Iterator

from shared.diffusion import ClassSets, diffusion_index, explicit_sets, nearest_centroid_sets
from shared.diffusion.class_sets import class_index
from shared.diffusion.pairs import Student, check_pair
from shared.errors import UserError
from shared.naming import unique_name
from shared.results import Eta, Result, RunClock, write_result
from vision.cli import run
from vision.data import ImageData
from vision.device import device_name
from vision.features import ExportedModel, load_same_data
from vision.settings import DiffusionSettings

SPLITS = ("train", "val")


def diffusion(settings: DiffusionSettings) -> None:
    """Write eta of every (split, target, set) to `output/result.json` and print a table.

    `val` is the fixed validation part of the training images, never the test set. Raises UserError for students of
    different teachers or recipes, or where the temperature does not rise from `low` to `high`.
    """
    clock = RunClock()
    low, high = ExportedModel(settings.low), ExportedModel(settings.high)
    check_pair(_student(low), _student(high))
    data = load_same_data(settings.data, [low, high])
    sets = list(_class_sets(settings, data, low))
    if len({chosen.target for chosen in sets}) != len(sets):
        raise UserError(f"targets names a class twice: {settings.targets}")
    eta = [row for split in SPLITS for row in _indices(settings.normalization, split, data, low, high, sets)]
    models = [low.card.model, high.card.model]
    teacher = low.card.teacher
    temperatures = [f"T{model.temperature:g}" for model in models]
    parts = [data.name, models[0].arch, "diffusion", f"a{teacher.alpha if teacher else 0:g}", *temperatures]
    parts += [settings.sets, settings.normalization, f"seed{models[0].seed}"]
    chosen = [dataclasses.asdict(one) for one in sets]
    name = settings.name or unique_name(parts, models, chosen, settings.normalization)
    provenance = clock.provenance(device_name(low.device))
    record = Result("diffusion", "image-classification", name, data.record(), models, provenance, teacher, eta=eta)
    path = write_result(settings.output, record)
    print("\n".join(_table(settings.normalization, eta)))
    print(path, flush=True)


def _student(model: ExportedModel) -> Student:
    card = model.card
    return Student(str(model.path), card.model, card.teacher, {"export (last or best)": card.export})


def _class_sets(settings: DiffusionSettings, data: ImageData, student: ExportedModel) -> Iterator[ClassSets]:
    names = data.class_names
    if settings.sets == "explicit":
        targets = settings.targets if settings.targets is not None else list(settings.data.sets)
        if unset := [target for target in targets if target not in settings.data.sets] or not targets:
            raise UserError(
                f"data.sets has no S1 and S2 for {unset if targets else 'any target'}; "
                f"it knows {', '.join(settings.data.sets) or 'none'}; or choose sets=nearest"
            )
        for target in targets:
            chosen = settings.data.sets[target]
            yield explicit_sets(target, chosen.s1, chosen.s2, names)
        return
    teacher = ExportedModel(settings.teacher or "")
    if student.card.teacher is None or teacher.card.model.sha256 != student.card.teacher.sha256:
        raise UserError(f"{teacher.path} is not the teacher of {student.path}; sets=nearest wants that one")
    centroids = teacher.centroids(data.split("train"))
    for target in names if settings.targets is None else settings.targets:
        yield nearest_centroid_sets(centroids, class_index(target, names), settings.s1_size)


def _indices(
    normalization: str, split: str, data: ImageData, low: ExportedModel, high: ExportedModel, sets: list[ClassSets]
) -> Iterator[Eta]:
    images = data.split(split)
    before, after = low.centroids(images), high.centroids(images)
    for chosen in sets:
        for set_name, members in (("S1", chosen.s1), ("S2", chosen.s2)):
            value = diffusion_index(
                before,
                after,
                chosen.target,
                members,
                normalization=normalization,
                normalize_over=[*chosen.s1, *chosen.s2],
            )
            names = [data.class_names[k] for k in members]
            yield Eta(split, data.class_names[chosen.target], set_name, names, value, normalization, chosen.chosen_by)


def _table(normalization: str, eta: list[Eta]) -> Iterator[str]:
    yield f"eta in percent, normalization {normalization}; sets {eta[0].chosen_by}"
    yield f"{'target':<14}" + "".join(f"{split + ' ' + name:>12}" for split in SPLITS for name in ("S1", "S2"))
    for target in dict.fromkeys(row.target for row in eta):
        row = {(one.split, one.set_name): one.value for one in eta if one.target == target}
        cells = "".join(f"{100 * row[split, name]:>12.2f}" for split in SPLITS for name in ("S1", "S2"))
        yield f"{target:<14}{cells}"


if __name__ == "__main__":
    run("diffusion", DiffusionSettings, diffusion)
