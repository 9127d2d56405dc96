"""Networks: `timm.create_model` and nothing else, so that every timm name works."""

import difflib
from typing import Any

import timm
import torch
from torch import Tensor, nn

import vision.networks.cifar  # noqa: F401  (timm.create_model then knows those too)
from shared.errors import UserError

_SHOWN = 300  # letters of a library's own words


def build_model(
    name: str, num_classes: int, image_shape: tuple[int, int, int], kwargs: dict[str, Any] | None = None
) -> nn.Module:
    """An untrained timm model for images [C, H, W] = `image_shape`, checked by one forward pass in eval mode.

    Raises UserError for a name that timm does not know (with close matches), keyword arguments that the model does not
    take, and images that it cannot read.
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() names them all"
        raise UserError(f"timm has no model {name!r}; {hint}")
    try:
        model = timm.create_model(name, num_classes=num_classes, in_chans=image_shape[0], **(kwargs or {}))
        # oneDNN and cuDNN convolve faster with channels last: measured 1.3 to 2 times on one CPU core.
        model = model.to(memory_format=torch.channels_last).eval()
        with torch.no_grad():
            penultimate(model, torch.zeros(1, *image_shape))
    except Exception as error:  # whatever a model stumbles over in arguments and shapes that it was not made for
        shape = "x".join(map(str, image_shape))
        reason = (str(error).splitlines() or [repr(error)])[0][:_SHOWN]
        raise UserError(f"timm's {name} with kwargs {kwargs or {}} does not work on {shape} images: {reason}") from None
    classifier(model)
    return model


def penultimate(model: nn.Module, images: Tensor) -> Tensor:
    """Features before the classifier, [n, d], of images [n, C, H, W]."""
    return model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]


def classifier(model: nn.Module) -> nn.Linear:
    """The final linear layer: weight [K, d], bias [K]. Raises UserError where the model ends otherwise."""
    head = model.get_classifier()  # type: ignore[operator]
    if not isinstance(head, nn.Linear):
        raise UserError(f"the model ends in {type(head).__name__}, not in one linear layer; choose another model")
    return head
