"""Networks from files: this project's exports and checkpoints, and those of other programs."""

import dataclasses
import re
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
from vision.networks.run_config import describe_run
from vision.networks.settings import KEY, NetworkSettings
from vision.networks.torch_file import find_weights, read_file
from vision.networks.weights import build_trained, input_channels
from vision.plain_yaml import read_config

# timm's arguments that act in training only (drop_rate, drop_path_rate, attn_drop_rate, ...): a file's network and one
# that starts from it need not have the same.
_TRAINING_ONLY = re.compile(r"drop(_\w+)?_rate$")


def open_export(spec: str, known: NetworkSettings) -> Network:
    """This project's own export. Raises UserError where it is damaged or the user says something else of it."""
    model, card = load_export(spec)
    found = NetworkSettings(card.arch, card.kwargs, card.mean, card.std, card.model.alpha)
    known, found = _at_test_time(known), _at_test_time(found)
    agreed(spec, known, found)
    if known.kwargs and not found.kwargs:
        raise UserError(f"{spec}: its card has no such arguments; {KEY}.kwargs says {known.kwargs}")
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
    unknown = NetworkSettings(arch=named if isinstance(named, str) else None)
    found, own = _told_by(path, run) if run else (unknown, None)
    facts = agreed(spec, _at_test_time(known), _at_test_time(found))
    if facts.arch is None:
        raise UserError(f"{spec}: does not say its architecture; name it too, e.g. {KEY}.arch=resnet50")
    model, left_out = build_trained(spec, facts.arch, facts.kwargs, weights, size)
    return Network(
        spec=spec,
        model=model,
        arch=facts.arch,
        num_classes=classifier(model).out_features,
        channels=input_channels(model),
        card=_card(spec, facts, own, model),
        mean=facts.mean,
        std=facts.std,
        trained_on=_trained_on(run),
        notes=[*notes, *left_out],
    )


def _at_test_time(settings: NetworkSettings) -> NetworkSettings:
    """`settings` without the arguments that act in training only."""
    lasting = {name: value for name, value in settings.kwargs.items() if not _TRAINING_ONLY.search(name)}
    return dataclasses.replace(settings, kwargs=lasting)


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
    ours = ours and all(isinstance(run.get(group, {}), dict) for group in ("distill", "loader"))  # younger than others
    return run if ours and "name" in run["model"] else {}


def _told_by(path: Path, run: dict[str, Any]) -> tuple[NetworkSettings, Model]:
    """What a run of ours says of its network, and its card. Raises UserError for values of other types."""
    model, data = run["model"], run["data"]
    told = {
        "arch": model["name"],
        "kwargs": model.get("kwargs") or {},
        "mean": data.get("mean"),
        "std": data.get("std"),
    }
    try:
        card = describe_run(run)
        told["alpha"] = card.alpha
        found: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(NetworkSettings), told))
    except (OmegaConfBaseException, UserError) as error:
        raise UserError(f"{path.with_name('config.yaml')}: {' '.join(str(error).split())}") from None
    return found, card


def _trained_on(run: dict[str, Any]) -> TrainedOn | None:
    files, held_out = run.get("data_sha256"), run.get("data", {}).get("validation_size")
    return TrainedOn(files, held_out) if isinstance(files, dict) and isinstance(held_out, int) else None


def _card(spec: str, facts: NetworkSettings, own: Model | None, model: nn.Module) -> Model:
    """What records say of it: for a run of ours what its config says (`own`), else what the user says."""
    foreign = Model("teacher", str(facts.arch), 0, "", None, recipe={"source": "a file that does not say its recipe"})
    return dataclasses.replace(
        own or foreign,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sha256=sha256(spec),
        alpha=facts.alpha,
    )
