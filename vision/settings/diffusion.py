"""conf/diffusion.yaml."""

from dataclasses import dataclass

from shared.diffusion import NORMALIZATIONS
from shared.errors import UserError
from vision.class_sets import check_s1_size, check_way
from vision.settings.data import DataSettings
from vision.settings.loader import LoaderSettings
from vision.settings.threads import check_threads


@dataclass
class DiffusionSettings:
    """conf/diffusion.yaml."""

    data: DataSettings
    loader: LoaderSettings
    low: str
    high: str
    sets: str
    targets: list[str] | None
    s1_size: int | None
    teacher: str | None
    normalization: str
    output: str
    name: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for an unknown way to choose sets or to normalize."""
        check_threads(self.threads)
        self.data.check()
        self.loader.check()
        if self.normalization not in (*NORMALIZATIONS, "all"):
            known = ", ".join(NORMALIZATIONS)
            raise UserError(f"unknown normalization {self.normalization!r}; choose one of {known} or all")
        check_way(self.sets)
        check_s1_size(self.sets, self.s1_size)
        if (self.sets == "nearest") != (self.teacher is not None):
            raise UserError("sets=nearest goes together with teacher=PATH/last.safetensors, whose centroids choose S1")
        if self.targets is not None and not self.targets:
            raise UserError("targets is empty; name at least one class, e.g. targets=[coat], or null for all")
