"""Architectures by name: timm's, and those of torchvision that are the same network."""

import difflib
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from shared.errors import UserError

# torchvision's name -> timm's. The two libraries register the same tensors in the same order; a test compares outputs.
TORCHVISION = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "mobilenet_v2": "mobilenetv2_100",
    "efficientnet_b0": "efficientnet_b0",
    "convnext_tiny": "convnext_tiny",
}


def timm_name(spec: str, name: str) -> str:
    """timm's name, without a pretrained tag, of the architecture that timm or torchvision calls `name`.

    Raises UserError, which begins with `spec`, where there is none.
    """
    found = TORCHVISION.get(name, name)
    if not timm.is_model(found):
        close = difflib.get_close_matches(name, sorted({*timm.list_models(), *TORCHVISION}), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() names them all"
        raise UserError(f"{spec}: timm has no architecture {name!r}; {hint}")
    return found.partition(".")[0]


def outline(arch: str, kwargs: dict[str, Any]) -> nn.Module:
    """timm's `arch` without memory for its weights (on torch's meta device), to read names and shapes from.

    Raises UserError for arguments that it does not take.
    """
    try:
        with torch.device("meta"):
            return timm.create_model(arch, **kwargs)
    except (TypeError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise UserError(f"timm's {arch} does not take the arguments {kwargs}: {reason}") from None


def torchvision_layout(arch: str) -> dict[str, str]:
    """torchvision's name of every tensor -> timm's, for timm's `arch`; empty where torchvision has no such network."""
    theirs = next((name for name, ours in TORCHVISION.items() if ours == arch), None)
    if theirs is None:
        return {}
    with torch.device("meta"):
        names = torchvision.models.get_model(theirs, weights=None).state_dict()
    return dict(zip(names, outline(arch, {}).state_dict(), strict=True))
