from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn

SLIM = {"layers": [1, 1, 1, 1], "channels": [8, 16, 24, 32], "stem_type": "deep", "stem_width": 4}


@pytest.fixture(scope="session")
def slim() -> dict[str, Any]:
    """Arguments that make timm's resnet18 small: a file of 100 kB."""
    return SLIM


@pytest.fixture
def slim_resnet() -> Callable[..., nn.Module]:
    """A small resnet18 whose batch norms have statistics of their own."""

    def build(classes: int = 5, channels: int = 3, seed: int = 1) -> nn.Module:
        torch.manual_seed(seed)
        return settled(timm.create_model("resnet18", num_classes=classes, in_chans=channels, **SLIM), channels)

    return build


@pytest.fixture(scope="session")
def mobilenet() -> nn.Module:
    """torchvision's own network, seven classes."""
    torch.manual_seed(2)
    return settled(torchvision.models.mobilenet_v2(num_classes=7), 3)


def settled(model: nn.Module, channels: int) -> nn.Module:
    """`model` in eval mode, as if trained: one batch's statistics in its batch norms, no layer scale near zero."""
    for name, parameter in model.named_parameters():
        if name.endswith(("layer_scale", "gamma")):
            nn.init.uniform_(parameter, 0.5, 1.5)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the statistics become exactly those of the images seen
    with torch.no_grad():
        model.train()(torch.randn(4, channels, 64, 64))
    return model.eval()


@pytest.fixture(scope="session")
def settle() -> Callable[[nn.Module, int], nn.Module]:
    return settled
