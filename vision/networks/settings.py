"""What a user says of a network whose file does not say it."""

import math
from dataclasses import dataclass, field
from typing import Any

from shared.errors import UserError, check_alpha

KEY = "network"  # of the commands: network.arch=resnet50
_FROM_THE_WEIGHTS = ("num_classes", "in_chans", "pretrained")


@dataclass
class NetworkSettings:
    """None: what the file says, where it says so. What both say must agree."""

    arch: str | None = None  # timm's or torchvision's name
    kwargs: dict[str, Any] = field(default_factory=dict)  # further arguments of timm.create_model
    mean: list[float] | None = None  # input normalization: (pixel / 255 - mean) / std, per channel
    std: list[float] | None = None
    alpha: float | None = None  # label smoothing that it was trained with

    def check(self) -> None:
        """Raise UserError for a value that no network could have."""
        if self.alpha is not None:
            check_alpha(self.alpha)
        if taken := [name for name in _FROM_THE_WEIGHTS if name in self.kwargs]:
            raise UserError(f"{KEY}.kwargs.{taken[0]} cannot be chosen: the weights decide it")
        if (self.mean is None) != (self.std is None):
            raise UserError(f"{KEY}.mean and {KEY}.std belong together: say both, or neither")
        if self.mean is not None and self.std is not None:
            fine = len(self.mean) == len(self.std) > 0 and all(map(math.isfinite, [*self.mean, *self.std]))
            if not fine or min(self.std) <= 0:
                raise UserError(
                    f"{KEY}.mean {self.mean} and {KEY}.std {self.std} need one finite value a channel, std above 0"
                )
