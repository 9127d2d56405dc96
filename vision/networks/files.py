"""Networks from files: this project's exports and checkpoints, and those of other programs."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from shared.errors import UserError
from shared.files import sha256
from shared.results import Model
from vision.checkpoint import load_export
from vision.models import classifier
from vision.networks.agreement import agreed
from vision.networks.network import Network, TrainedOn
from vision.networks.settings import KEY, NetworkSettings
from vision.networks.torch_file import find_weights, read_file
from vision.networks.weights import build_trained, input_channels
from vision.plain_yaml import read_config


def open_export(spec: str, known: NetworkSettings) -> Network:
    """This project's own export. Raises UserError where it is damaged or the user says something else of it."""
    model, card = load_export(spec)
    agreed(spec, known, NetworkSettings(card.arch, card.kwargs, card.mean, card.std, card.model.alpha))
    if known.kwargs and not card.kwargs:
        raise UserError(f"{spec}: its card has no further arguments; {KEY}.kwargs says {known.kwargs}")
    channels, height, width = card.image_shape
    return Network(
        spec=spec,
        model=model.eval(),
        arch=card.arch,
        num_classes=len(card.class_names),
        channels=channels,
        card=card.model,
        image_size=(height, width),
        mean=card.mean,
        std=card.std,
        class_names=card.class_names,
        trained_on=TrainedOn(card.data_sha256, card.model.recipe["validation_size"]),
    )


def open_file(spec: str, known: NetworkSettings, size: tuple[int, int] | None) -> Network:
    """A Lightning checkpoint (this project's, with config.yaml beside it, or any), a `.pth.tar`, a state_dict.

    `size` is as in `build_trained`. Raises UserError where the file cannot be read, its architecture is not known, or
    its weights are not of that.
    """
    path = Path(spec)
    content = read_file(path)
    weights, notes = find_weights(path, content)
    run = _run_beside(path) if "pytorch-lightning_version" in content else {}
    named = content.get("arch")
    found = _told_by(path, run) if run else NetworkSettings(arch=named if isinstance(named, str) else None)
    facts = agreed(spec, known, found)
    if facts.arch is None:
        raise UserError(f"{spec}: does not say its architecture; name it too, e.g. {KEY}.arch=resnet50")
    model, left_out = build_trained(spec, facts.arch, facts.kwargs, weights, size)
    return Network(
        spec=spec,
        model=model,
        arch=facts.arch,
        num_classes=classifier(model).out_features,
        channels=input_channels(model),
        card=_card(spec, facts, run, model),
        mean=facts.mean,
        std=facts.std,
        trained_on=_trained_on(run),
        notes=[*notes, *left_out],
    )


def _run_beside(path: Path) -> dict[str, Any]:
    """`config.yaml` of the training run whose folder holds the checkpoint `path`; empty where it is not ours."""
    config = path.with_name("config.yaml")
    if not config.is_file():
        return {}
    try:
        run = read_config(config)
    except UserError as error:
        raise UserError(f"{config}, beside {path.name}, is damaged ({error})") from None
    ours = isinstance(run, dict) and all(isinstance(run.get(group), dict) for group in ("model", "data", "recipe"))
    return run if ours and "name" in run["model"] else {}


def _told_by(path: Path, run: dict[str, Any]) -> NetworkSettings:
    """What a run of ours says of its network. Raises UserError for values of other types."""
    model, data = run["model"], run["data"]
    told = {
        "arch": model["name"],
        "kwargs": model.get("kwargs") or {},
        "mean": data.get("mean"),
        "std": data.get("std"),
    }
    if run.get("teacher") is None or run.get("kd_weight") != 1.0:  # else no hard labels, so no smoothing of them
        told["alpha"] = run.get("alpha")
    try:
        found: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(NetworkSettings), told))
    except OmegaConfBaseException as error:
        raise UserError(f"{path.with_name('config.yaml')}: {' '.join(str(error).split())}") from None
    return found


def _trained_on(run: dict[str, Any]) -> TrainedOn | None:
    files, held_out = run.get("data_sha256"), run.get("data", {}).get("validation_size")
    return TrainedOn(files, held_out) if isinstance(files, dict) and isinstance(held_out, int) else None


def _card(spec: str, facts: NetworkSettings, run: dict[str, Any], model: nn.Module) -> Model:
    """What records say of it: for a run of ours what its config says, else what the user says."""
    distilled, own = run.get("teacher") is not None, run.get("model", {})
    recipe = {**run.get("recipe", {}), "model.name": own.get("name"), "model.kwargs": own.get("kwargs")}
    return Model(
        role="student" if distilled else "teacher",
        arch=own.get("label") or str(facts.arch),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sha256=sha256(spec),
        seed=run.get("seed"),
        alpha=facts.alpha,
        temperature=run.get("temperature"),
        kd_weight=run.get("kd_weight") if distilled else None,
        recipe=recipe if run else {"source": "a file that does not say its recipe"},
    )
