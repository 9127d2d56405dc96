"""conf/advise.yaml."""

from dataclasses import dataclass

from shared.errors import UserError
from vision.networks.settings import NetworkSettings
from vision.settings.data import DataSettings
from vision.settings.loader import LoaderSettings
from vision.settings.threads import check_threads


@dataclass
class AdviseSettings:
    """conf/advise.yaml."""

    data: DataSettings
    loader: LoaderSettings
    checkpoint: str
    network: NetworkSettings
    images: int
    evidence: str | None
    output: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for a sample without images."""
        check_threads(self.threads)
        self.data.check()
        self.loader.check()
        if self.images < 1:
            raise UserError(f"images is {self.images}; it must be at least 1 image of a split, e.g. 2000")
