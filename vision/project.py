"""`python -m vision.project`: the penultimate projection of three classes, train above val, one column a student."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from shared.diffusion import PenultimateProjection
from shared.diffusion.class_sets import class_index
from shared.errors import UserError
from shared.files import atomic_path
from shared.naming import unique_name
from shared.report.projection_figure import draw_projection
from shared.results import Panel, Result, RunClock, write_result
from vision.cli import run
from vision.data import ImageData
from vision.device import device_name
from vision.features import ExportedModel, load_same_data
from vision.settings import ProjectSettings

DECIMALS = 4


def project(settings: ProjectSettings) -> None:
    """Write `output/projection.png` and a record with the points, from which the report draws the figure again.

    The PCA of each student is fitted on its train points and centroids and reused for val (Chandrasegaran et al. 2022,
    Algorithm 1 and its code). Raises UserError for anything but three different known classes, and for two models of
    the same (alpha, temperature).
    """
    clock = RunClock()
    students = [ExportedModel(path) for path in settings.students]
    _check_columns(students)
    data = load_same_data(settings.data, students)
    names = settings.data.projection if settings.classes is None else settings.classes
    classes = [class_index(name, data.class_names) for name in names]
    if len(set(classes)) != 3:
        raise UserError(f"classes is {list(names)}; name three different classes, two similar and one not")
    _check_present(data, classes)
    shown = {"train": settings.train_images, "val": settings.validation_images}
    columns = [_panels(student, data, classes, shown) for student in students]
    panels = [panel for split in range(len(shown)) for panel in (column[split] for column in columns)]
    models = [student.card.model for student in students] * len(shown)
    labels = [data.class_names[k] for k in classes]
    name = settings.name or unique_name([data.name, "projection", *labels], models, classes, shown)
    record = Result(
        "projection",
        "image-classification",
        name,
        data.record(),
        models,
        clock.provenance(device_name(students[0].device)),
        panels=panels,
    )
    figure = draw_projection(panels)
    with atomic_path(Path(settings.output) / "projection.png") as beside:
        figure.savefig(beside, format="png", dpi=150)
    path = write_result(settings.output, record)
    print(f"{', '.join(labels)}: {path.with_name('projection.png')} and {path}", flush=True)


def _check_columns(students: Sequence[ExportedModel]) -> None:
    seen: dict[tuple[float, float | None], Path] = {}
    for student in students:
        if (place := _column(student)) in seen:
            raise UserError(
                f"{student.path} and {seen[place]} have the same alpha and temperature; one column of the figure each"
            )
        seen[place] = student.path


def _check_present(data: ImageData, classes: list[int]) -> None:
    for split in ("train", "val"):
        present = data.split(split).labels.unique().tolist()
        if missing := [data.class_names[k] for k in classes if k not in present]:
            raise UserError(f"{split} has no image of {', '.join(missing)}; choose other classes or a larger split")


def _column(student: ExportedModel) -> tuple[float, float | None]:
    """(alpha of the teacher, temperature); a teacher stands for itself, without temperature."""
    source = student.card.teacher or student.card.model
    return source.alpha or 0.0, student.card.model.temperature


def _panels(student: ExportedModel, data: ImageData, classes: list[int], shown: dict[str, int]) -> list[Panel]:
    """One panel per split: the first images of each class, and the centroids over all of that split's images."""
    samples = {split: _first_of_each(student, data, split, classes, count) for split, count in shown.items()}
    centroids = {split: student.centroids(data.split(split))[classes] for split in shown}
    bias = None if student.bias is None else student.bias[classes]
    projection = PenultimateProjection(student.weight[classes], bias)
    try:
        projection.fit(torch.cat([*samples["train"], centroids["train"]]))
    except ValueError as error:
        raise UserError(f"{student.path}: {error}") from None
    alpha, temperature = _column(student)
    names = [data.class_names[k] for k in classes]
    return [
        Panel(
            split,
            alpha,
            temperature,
            points={
                name: _rounded(projection.transform(rows)) for name, rows in zip(names, samples[split], strict=True)
            },
            centroids=dict(zip(names, _rounded(projection.transform(centroids[split])), strict=True)),
        )
        for split in shown
    ]


def _first_of_each(student: ExportedModel, data: ImageData, split: str, classes: list[int], count: int) -> list[Tensor]:
    """Features [up to count, d] of each class, float64; the split's order is random already, and fixed."""
    images = data.split(split)
    rows = [(images.labels == k).nonzero().flatten()[:count] for k in classes]
    features = torch.cat([batch for batch, _ in student.features(images.subset(torch.cat(rows)))])
    return list(features.double().split([len(r) for r in rows]))


def _rounded(points: Tensor) -> list[list[float]]:
    return [[round(value, DECIMALS) for value in point] for point in points.tolist()]


if __name__ == "__main__":
    run("project", ProjectSettings, project)
