"""`python -m vision.project`: the penultimate projection of three classes, train above val, one column a student."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.diffusion import CentroidAccumulator, PenultimateProjection
from shared.errors import UserError
from shared.files import atomic_path
from shared.naming import unique_name
from shared.report.projection_figure import draw_projection
from shared.results import Panel, Result, RunClock, write_result
from vision.class_sets import ClassNames
from vision.cli import run
from vision.data import ImageData
from vision.device import device_name
from vision.features import FeatureReader
from vision.outputs import check_output
from vision.settings import ProjectSettings
from vision.trained_on import check_train_is_known, load_cards, load_same_data

DECIMALS = 4
_SAMPLE_SEED = 0  # the same images for every model


def project(settings: ProjectSettings) -> None:
    """Write `output/projection.png` and a record with the points, from which the report draws the figure again.

    The PCA of each student (of the first one with `basis=shared`) is fitted on its train points and centroids and
    reused for val (Chandrasegaran et al. 2022, Algorithm 1 and its code). Raises UserError for anything but three
    different known classes, for two models of the same (alpha, temperature), where one basis cannot serve all, for a
    model of this project that does not say which images it learned from, and for an `output` that holds something else.
    """
    clock = RunClock()
    check_output(settings.output, "projection")
    check_train_is_known(settings.students)
    data = load_same_data(settings.data, load_cards(settings.students)).with_true_labels()
    names = settings.data.projection if settings.classes is None else settings.classes
    classes = ClassNames(data.class_names).resolve_all(names, "classes")
    if len(classes) != 3:
        raise UserError(f"classes is {list(names)}; name three classes, two similar and one not")
    _check_present(data, classes)
    students = [FeatureReader(spec, data, settings.loader, settings.network) for spec in settings.students]
    _check_columns(students)
    if settings.basis == "shared":
        _check_dimensions(students)
    shown = {"train": settings.train_images, "val": settings.validation_images}
    columns = _columns(students, data, classes, shown, shared=settings.basis == "shared")
    panels = [panel for split in range(len(shown)) for panel in (column[split] for column in columns)]
    models = [student.described for student in students] * len(shown)
    labels = [data.class_names[k] for k in classes]
    parts = [data.name, "projection", *labels]
    record = Result(
        "projection",
        "image-classification",
        settings.name or unique_name(parts, models, classes, shown, settings.basis),
        data.record(),
        models,
        clock.provenance(device_name(students[0].device)),
        panels=panels,
    )
    folder = Path(settings.output)
    if settings.single_panels:
        for panel in panels:
            _draw([panel], folder / f"projection-{_panel_name(panel)}.png")
    _draw(panels, folder / "projection.png")
    path = write_result(folder, record)
    print(f"{', '.join(labels)}: {path.with_name('projection.png')} and {path}", flush=True)


def _check_columns(students: Sequence[FeatureReader]) -> None:
    seen: dict[tuple[float | None, float | None], str] = {}
    for student in students:
        if (place := _column(student)) in seen:
            raise UserError(
                f"{student.spec} and {seen[place]} have the same alpha and temperature; one column of the figure each"
            )
        seen[place] = student.spec


def _check_dimensions(students: Sequence[FeatureReader]) -> None:
    first = students[0]
    for student in students:
        if (theirs := student.weight.shape[1]) != (ours := first.weight.shape[1]):
            raise UserError(
                f"basis=shared needs features of one dimension; {first.spec} has {ours}, {student.spec} {theirs}"
            )


def _check_present(data: ImageData, classes: list[int]) -> None:
    for split in ("train", "val"):
        present = data.splits[split].labels.unique().tolist()
        if missing := [data.class_names[k] for k in classes if k not in present]:
            raise UserError(f"{split} has no image of {', '.join(missing)}; choose other classes or a larger split")


def _column(student: FeatureReader) -> tuple[float | None, float | None]:
    """(alpha of the teacher, None where it is unknown; temperature); a teacher is its own, without temperature."""
    source = student.teacher or student.described
    return source.alpha, student.described.temperature


def _columns(
    students: Sequence[FeatureReader], data: ImageData, classes: list[int], shown: dict[str, int], *, shared: bool
) -> list[list[Panel]]:
    """The panels of each student, one per split: some points of each class, and the centroids of all its images."""
    columns: list[list[Panel]] = []
    projection: PenultimateProjection | None = None
    for student in students:
        read = {split: _read(student, data, split, classes, count) for split, count in shown.items()}
        if projection is None or not shared:
            projection = _fit(student, classes, *read["train"])
        names = [data.class_names[k] for k in classes]
        columns.append([])
        for split, (samples, centroids) in read.items():
            points = [_rounded(projection.transform(rows)) for rows in samples]
            stars = _rounded(projection.transform(centroids))
            named = dict(zip(names, points, strict=True)), dict(zip(names, stars, strict=True))
            basis = students[0].described.sha256 if shared else None
            columns[-1].append(Panel(split, *_column(student), *named, basis=basis))
    return columns


def _fit(student: FeatureReader, classes: list[int], samples: list[Tensor], centroids: Tensor) -> PenultimateProjection:
    bias = None if student.bias is None else student.bias[classes]
    try:
        return PenultimateProjection(student.weight[classes], bias).fit(torch.cat([*samples, centroids]))
    except ValueError as error:
        raise UserError(f"{student.spec}: {error}") from None


def _read(
    student: FeatureReader, data: ImageData, split: str, classes: list[int], count: int
) -> tuple[list[Tensor], Tensor]:
    """(features [up to count, d] of each class, drawn at random; centroids [3, d] of all its images), float64."""
    images = data.splits[split]
    rows = [(images.labels == k).nonzero().flatten() for k in classes]
    sizes = torch.tensor([len(part) for part in rows])
    three = dataclasses.replace(data, splits={split: images.subset(torch.cat(rows))})  # of a thousand, perhaps
    features = torch.cat([batch for batch, _ in student.features(three, split)]).double()
    accumulator = CentroidAccumulator(len(classes), features.shape[1])
    try:
        accumulator.update(features, torch.arange(len(classes)).repeat_interleave(sizes))
        centroids = accumulator.centroids
    except ValueError as error:
        raise UserError(f"{student.spec}: {error}") from None
    samples = [part[_sample(len(part), count)] for part in features.split(sizes.tolist())]
    return samples, centroids


def _sample(available: int, count: int) -> Tensor:
    """Up to `count` of the rows 0 to available - 1."""
    # RandomState's stream is frozen by numpy's policy: the same images with every numpy version.
    return torch.from_numpy(np.random.RandomState(_SAMPLE_SEED).permutation(available)[:count])


def _draw(panels: list[Panel], path: Path) -> None:
    figure = draw_projection(panels)
    with atomic_path(path) as beside:
        figure.savefig(beside, format="png", dpi=150, metadata={"Software": None})


def _panel_name(panel: Panel) -> str:
    """E.g. `val-a0.1-T3`."""
    alpha = "a-unknown" if panel.teacher_alpha is None else f"a{panel.teacher_alpha:g}"
    temperature = "teacher" if panel.temperature is None else f"T{panel.temperature:g}"
    return f"{panel.split}-{alpha}-{temperature}"


def _rounded(points: Tensor) -> list[list[float]]:
    return [[round(value, DECIMALS) for value in point] for point in points.tolist()]


if __name__ == "__main__":
    run("project", ProjectSettings, project)
