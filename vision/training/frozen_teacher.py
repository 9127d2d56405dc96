"""The frozen teacher of a distillation."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from vision.training.stopwatch import Stopwatch


class FrozenTeacher:
    """A network that only answers. Not an nn.Module, so no LightningModule that holds it registers its parameters:
    they stay out of `parameters()`, `state_dict()`, checkpoints, averaged weights, the optimizer and DDP.

    With a `stopwatch`, its time is measured.
    """

    def __init__(self, model: nn.Module, *, compile: bool = False) -> None:
        self._model = model.eval().requires_grad_(False)
        self._forward = torch.compile(self._model) if compile else self._model
        self.stopwatch: Stopwatch | None = None

    def to(self, device: torch.device) -> None:
        """Move the teacher to the student's device."""
        self._model.to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Logits [n, K] of images [n, C, H, W], computed in inference mode."""
        with torch.inference_mode(), nullcontext() if self.stopwatch is None else self.stopwatch.measured():
            logits: Tensor = self._forward(images)
        return logits.clone()  # a normal tensor: autograd keeps it for the student's backward pass

    def __deepcopy__(self, memo: object) -> "FrozenTeacher":
        return self  # the copy that averages the student's weights needs no teacher of its own
