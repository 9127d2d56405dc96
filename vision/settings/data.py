"""conf/data/*.yaml: which images, and what is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import UserError

PARTS = ("all", "labelled", "unlabelled")
INTERPOLATIONS = ("bilinear", "bicubic")
USUAL_RESIZING = {"resize": 256, "interpolation": "bilinear"}  # of conf/data/*.yaml, for images on disk


@dataclass
class ClassSetSettings:
    """S1 and S2 of one target class, by class names; `s2` None: every class that is neither target nor in S1."""

    s1: list[str]
    s2: list[str] | None = None


@dataclass
class DataSettings:
    """conf/data/*.yaml."""

    name: str
    mean: list[float]
    std: list[float]
    validation_size: int
    data_dir: str | None = None
    image_size: int | None = None
    resize: int | None = None
    interpolation: str = "bilinear"
    download: bool = False
    official: bool = True
    sets: dict[str, ClassSetSettings] = field(default_factory=dict)
    projection: list[str] = field(default_factory=list)
    test_dir: str | None = None
    labelled_size: int | None = None
    part: str = "all"
    label_noise: float = 0.0
    noise_seed: int = 0

    def check(self) -> None:
        """Raise UserError for an interpolation that the loaders do not have, or parts and noise that cannot be."""
        if self.interpolation not in INTERPOLATIONS:
            raise UserError(f"data.interpolation is {self.interpolation!r}; choose one of {', '.join(INTERPOLATIONS)}")
        if self.part not in PARTS:
            raise UserError(f"data.part is {self.part!r}; choose one of {', '.join(PARTS)}")
        if (self.part == "all") != (self.labelled_size is None):
            raise UserError("data.part=labelled or unlabelled goes together with data.labelled_size, e.g. 10000")
        if not 0.0 <= self.label_noise < 1.0:
            raise UserError(f"data.label_noise is {self.label_noise}; it is a share of the labels, in [0, 1), e.g. 0.2")
        if not 0 <= self.noise_seed < 2**32:
            raise UserError(f"data.noise_seed is {self.noise_seed}; it must be 0 to {2**32 - 1}")
        if self.noise_seed and not self.label_noise:
            raise UserError("data.noise_seed would do nothing: it goes together with data.label_noise, e.g. 0.2")


def unusual_resizing(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of `data`, `DataSettings` as plain values, is not USUAL_RESIZING; empty for images in memory.

    Recipes and names hold only this, so that those of ordinary runs are what they were before it was recorded.
    """
    if data.get("image_size") is None:
        return {}
    return {name: data[name] for name, usual in USUAL_RESIZING.items() if data.get(name, usual) != usual}
