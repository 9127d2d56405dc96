"""What the configuration of a training run says of the model that it trains."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from shared.decoding import decode
from shared.results import Model
from vision.settings.data import unusual_resizing
from vision.settings.distill import weight_of_labels

_OF_DATA = ("validation_size", "part", "labelled_size", "label_noise", "noise_seed", "image_size")


@dataclass
class _Values:
    """Of `TrainSettings` and its `distill`; the defaults stand for what a run of an earlier version does not say."""

    seed: int | None = None
    alpha: float | None = None
    temperature: float | None = None
    kd_weight: float = 1.0
    loss: str | None = None
    hard_weight: float | None = None


def describe_run(run: dict[str, Any]) -> Model:
    """The card of the model that a run trains, less `parameters` and `sha256`, which the model itself tells.

    `run` is what its `config.yaml` holds: `TrainSettings` as plain values, and the sha256 of what it reads. What an
    earlier version's does not say, the card leaves out. Raises UserError for values of other types.
    """
    model, distill, is_student = run["model"], run.get("distill", {}), run.get("teacher") is not None
    said = run | distill
    known = {field.name: said[field.name] for field in dataclasses.fields(_Values) if field.name in said}
    values: _Values = decode(_Values, known, "the run")
    hard_weight = weight_of_labels(values.kd_weight, values.hard_weight) if is_student else 1.0
    settings = {name: value for name, value in distill.items() if name != "loss"}
    return Model(
        role="student" if is_student else "teacher",
        arch=model.get("label") or model["name"],
        parameters=0,
        sha256="",
        seed=values.seed,
        alpha=values.alpha if hard_weight else None,
        temperature=values.temperature,
        kd_weight=values.kd_weight if is_student else None,
        recipe=_recipe(run),
        loss=values.loss if is_student else None,
        distill=settings | {"hard_weight": hard_weight} if is_student and distill else {},
    )


def _recipe(run: dict[str, Any]) -> dict[str, Any]:
    """All that must agree between models that are compared."""
    model, data, loader = run["model"], run["data"], run.get("loader", {})
    recipe = run["recipe"] | {name: data[name] for name in _OF_DATA if name in data}
    recipe |= unusual_resizing(data)
    if "name" in loader:
        recipe["loader"] = loader["name"] if data.get("image_size") else "memory"
    if "weights_sha256" in run:
        recipe["initialized_from"] = run["weights_sha256"]
    return recipe | {"model.name": model["name"], "model.kwargs": model.get("kwargs")}  # `label` is free
