"""The frozen teacher of a distillation."""

import torch
from torch import Tensor, nn


class FrozenTeacher:
    """A network that only answers. Not an nn.Module, so no LightningModule that holds it registers its parameters:
    they stay out of `parameters()`, `state_dict()`, checkpoints, the optimizer and DDP.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model.eval().requires_grad_(False)

    def to(self, device: torch.device) -> None:
        """Move the teacher to the student's device."""
        self._model.to(device)

    @torch.no_grad()  # inference_mode would not do: autograd saves the teacher's logits for the student's backward
    def __call__(self, images: Tensor) -> Tensor:
        """Logits [n, K] of images [n, C, H, W]."""
        return self._model(images)
