"""What a run's exports and record say of the model that it trains."""

import dataclasses

from torch import nn

from shared.naming import unique_name
from vision.checkpoint import Card
from vision.data import ImageData
from vision.networks.run_config import describe_run
from vision.settings import TrainSettings
from vision.training.inputs import Inputs


def describe(settings: TrainSettings, data: ImageData, model: nn.Module, inputs: Inputs) -> Card:
    """The card of `model`, whose sha256 is filled in when its weights are written."""
    teachers = [teacher.card for teacher in inputs.teachers]
    described = dataclasses.replace(
        describe_run(dataclasses.asdict(settings) | inputs.digests),
        arch=settings.model.label,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
    return Card(
        arch=settings.model.name,
        kwargs=settings.model.kwargs,
        image_shape=list(data.image_shape),
        class_names=data.class_names,
        mean=data.mean,
        std=data.std,
        data=data.name,
        data_sha256=data.sha256,
        export="last",
        model=described,
        teacher=teachers[0] if teachers else None,
        teachers=teachers if len(teachers) > 1 else [],
    )


def run_name(card: Card) -> str:
    """A name that tells the runs of a study apart: `fashion_mnist-slim-resnet-student-a0.1-T3-seed1` and a hash of what
    else made the model: its teachers, its recipe, the images of it.
    """
    alpha = card.teacher.alpha if card.teacher else card.model.alpha
    parts = [card.data, card.model.arch, card.model.role, "a-unknown" if alpha is None else f"a{alpha:g}"]
    if card.model.loss not in (None, "kd") or card.teachers:
        parts.append(f"{card.model.loss}{len(card.teachers) or ''}")
    if card.model.temperature is not None:
        parts.append(f"T{card.model.temperature:g}")
    if card.model.kd_weight not in (None, 1.0):
        parts.append(f"w{card.model.kd_weight:g}")
    teachers = card.teachers or ([card.teacher] if card.teacher else [])
    return unique_name([*parts, f"seed{card.model.seed}"], teachers, card.model.recipe, card.model.distill)
