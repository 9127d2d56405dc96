"""Networks: `timm.create_model` and nothing else, so that every timm name works."""

import difflib
import math
from typing import Any

import timm
import torch
from torch import Tensor, nn

import vision.networks.cifar  # noqa: F401  (timm.create_model then knows those too)
from shared.errors import UserError

_SHOWN = 300  # letters of a library's own words
# Of timm.create_model: given by the data, or where weights come from; an export has its own.
_NOT_FOR_KWARGS = (
    *("num_classes", "in_chans", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"),
    *("checkpoint_path", "cache_dir"),
)


def build_model(
    name: str, num_classes: int, image_shape: tuple[int, int, int], kwargs: dict[str, Any] | None = None
) -> nn.Module:
    """An untrained timm model for images [C, H, W] = `image_shape`, checked by a forward pass in eval mode.

    Raises UserError for a name that timm does not know (with close matches), keyword arguments that the model does not
    take or that say where weights are, images that it cannot read, and logits that are not those of its last linear
    layer on its penultimate features, on which all that is measured here rests.
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() names them all"
        raise UserError(f"timm has no model {name!r}; {hint}")
    if odd := [key for key in _NOT_FOR_KWARGS if key in (kwargs or {})]:
        raise UserError(
            f"model.kwargs cannot have {' and '.join(odd)}: classes and channels are the data's, and "
            "model.weights=FILE names what to start from"
        )
    try:
        model = timm.create_model(name, num_classes=num_classes, in_chans=image_shape[0], **(kwargs or {}))
        # oneDNN and cuDNN convolve faster with channels last: measured 1.3 to 2 times on one CPU core.
        model = model.to(memory_format=torch.channels_last).eval()
        with torch.no_grad():
            # Drawn numbers would move the seed's on.
            image = torch.linspace(-1, 1, math.prod(image_shape)).view(1, *image_shape)
            features, logits = penultimate(model, image), model(image)
    except Exception as error:  # whatever a model stumbles over in arguments and shapes that it was not made for
        shape = "x".join(map(str, image_shape))
        reason = (str(error).splitlines() or [repr(error)])[0][:_SHOWN]
        raise UserError(f"timm's {name} with kwargs {kwargs or {}} does not work on {shape} images: {reason}") from None
    head = classifier(model)
    if features.shape != (1, head.in_features) or not _close(head(features), logits):
        raise UserError(f"the logits of timm's {name} are not those of its last linear layer; choose another model")
    return model


@torch.no_grad()
def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def penultimate(model: nn.Module, images: Tensor) -> Tensor:
    """Features before the classifier, [n, d], of images [n, C, H, W]."""
    return model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]


def classifier(model: nn.Module) -> nn.Linear:
    """The final linear layer: weight [K, d], bias [K]. Raises UserError where the model ends otherwise."""
    head = model.get_classifier()  # type: ignore[operator]
    if not isinstance(head, nn.Linear):
        raise UserError(f"the model ends in {type(head).__name__}, not in one linear layer; choose another model")
    return head
