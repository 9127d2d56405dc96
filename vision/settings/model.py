"""conf/model/*.yaml: which network."""

from dataclasses import dataclass, field
from typing import Any

from shared.errors import UserError


@dataclass
class ModelSettings:
    """conf/model/*.yaml."""

    name: str
    label: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None

    def check(self) -> None:
        """Raise UserError for timm's name of published weights where no weights are read."""
        arch, dot, _ = self.name.partition(".")
        if dot and self.weights is None:
            raise UserError(
                f"model.name={self.name} names published weights, and it starts from random ones; write "
                f"model.name={arch}, or model.weights=timm:{self.name} beside it"
            )
