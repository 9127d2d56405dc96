"""Published weights by name: `timm:resnet50.a1_in1k` and `torchvision:resnet50:IMAGENET1K_V1`."""

import hashlib
from collections.abc import Sequence
from typing import Any

import timm
import torch
import torchvision
from safetensors.torch import save
from torch import nn

from shared.errors import UserError
from shared.results import Model
from vision.models import classifier
from vision.networks.agreement import agreed
from vision.networks.architectures import TORCHVISION, timm_name
from vision.networks.network import Network
from vision.networks.settings import NetworkSettings
from vision.networks.weights import build_trained, input_channels

_SOURCES = ("local-dir:", "hf-hub:")  # of timm.create_model: a folder or a Hugging Face repository with a config.json


def open_timm(spec: str, known: NetworkSettings) -> Network:
    """`timm:NAME[.TAG]`, or `timm:local-dir:FOLDER` and `timm:hf-hub:REPOSITORY` as timm itself takes them.

    Raises UserError for an unknown name, and where the weights are not at hand and cannot be downloaded.
    """
    name = spec.removeprefix("timm:")
    by_name = not name.startswith(_SOURCES)
    if by_name:  # said before anything is downloaded
        agreed(spec, known, NetworkSettings(arch=timm_name(spec, name)))
    try:
        model = timm.create_model(name, pretrained=True, **known.kwargs)
    except Exception as error:  # of timm, huggingface_hub or its HTTP client, which share no base class
        raise UserError(f"{spec}: timm cannot load its pretrained weights ({_first_sentence(error)})") from None
    published: Any = model.pretrained_cfg
    arch, tag = published["architecture"], published.get("tag")
    source = ".".join(filter(None, [f"timm:{arch}", tag])) if by_name else spec
    return _network(spec, known, model, _found(arch, published["mean"], published["std"]), source, published)


def open_torchvision(spec: str, known: NetworkSettings, size: tuple[int, int] | None) -> Network:
    """`torchvision:NAME:WEIGHTS`, in timm's network of the same architecture. `size` is as in `build_trained`.

    Raises UserError for an unknown name or weights, and where they are not at hand and cannot be downloaded.
    """
    _, name, tag = (*spec.split(":", 2), "")[:3]
    if name not in TORCHVISION:
        raise UserError(
            f"{spec}: name torchvision:MODEL:WEIGHTS with one of the models {', '.join(TORCHVISION)}; "
            "timm:NAME has the others"
        )
    choices: Any = torchvision.models.get_model_weights(name).__members__
    if tag not in choices:
        raise UserError(f"{spec}: torchvision has no such weights of {name}; choose {' or '.join(choices)}")
    published, images = choices[tag], choices[tag].transforms()
    found = _found(TORCHVISION[name], images.mean, images.std)
    agreed(spec, known, found)  # said before anything is downloaded
    try:
        weights = published.get_state_dict(check_hash=True, weights_only=True, map_location="cpu")
    except Exception as error:  # of urllib, torch.hub or the restricted unpickler, which share no base class
        raise UserError(f"{spec}: torchvision cannot load its weights ({_first_sentence(error)})") from None
    model, _ = build_trained(spec, TORCHVISION[name], known.kwargs, weights, size)
    shown = {"input_size": (3, *images.crop_size * 2), "label_names": published.meta.get("categories")}
    return _network(spec, known, model, found, f"torchvision:{name}:{published.name}", shown)


def _found(arch: str, mean: Sequence[float], std: Sequence[float]) -> NetworkSettings:
    return NetworkSettings(arch=arch, mean=list(mean), std=list(std))


def _network(
    spec: str, known: NetworkSettings, model: nn.Module, found: NetworkSettings, source: str, shown: dict[str, Any]
) -> Network:
    """`shown` holds the `input_size` (C, H, W) and, where they are known, the `label_names`."""
    facts = agreed(spec, known, found)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    card = Model(
        role="teacher",
        arch=str(facts.arch),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        # Of the weights as safetensors: the libraries keep them in files of various forms and places.
        sha256=hashlib.sha256(save(state)).hexdigest(),
        seed=None,
        alpha=facts.alpha,
        recipe={"source": source},
    )
    _, height, width = shown["input_size"]
    return Network(
        spec=spec,
        model=model.to(memory_format=torch.channels_last).eval(),
        arch=str(facts.arch),
        num_classes=classifier(model).out_features,
        channels=input_channels(model),
        card=card,
        image_size=(height, width),
        mean=facts.mean,
        std=facts.std,
        class_names=shown.get("label_names"),
    )


def _first_sentence(error: Exception) -> str:
    return ((str(error).strip().splitlines() or [repr(error)])[0]).partition(". ")[0]
