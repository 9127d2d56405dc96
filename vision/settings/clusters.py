"""conf/clusters.yaml."""

from dataclasses import dataclass

from shared.errors import UserError
from vision.class_sets import check_s1_size, check_way
from vision.networks.settings import NetworkSettings
from vision.settings.data import DataSettings
from vision.settings.loader import LoaderSettings
from vision.settings.threads import check_threads


@dataclass
class ClustersSettings:
    """conf/clusters.yaml."""

    data: DataSettings
    loader: LoaderSettings
    checkpoint: str
    network: NetworkSettings
    sets: str
    targets: list[str] | None
    s1_size: int | None
    teacher: str | None
    output: str
    name: str | None
    threads: int | None

    def check(self) -> None:
        """Raise UserError for an unknown way to choose sets, or a model that chooses none."""
        check_threads(self.threads)
        self.data.check()
        self.loader.check()
        check_way(self.sets)
        check_s1_size(self.sets, self.s1_size)
        if self.sets != "nearest" and self.teacher is not None:
            raise UserError(f"teacher= chooses S1 where sets=nearest; this is sets={self.sets}, so leave one out")
        if self.targets is not None and not self.targets:
            raise UserError("targets is empty; name at least one class, e.g. targets=[coat], or null for all")
