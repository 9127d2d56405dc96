"""S1 and S2 of the targets that a command's settings ask for."""

from collections.abc import Callable
from functools import cache

from torch import Tensor

from shared.diffusion import ClassSets, nearest_centroid_sets
from shared.errors import UserError
from vision.class_sets import class_sets
from vision.data import ImageData
from vision.settings import ClustersSettings, DiffusionSettings

S1_SIZE = 3  # of the nearest classes, where the settings give none


def choose_sets(
    settings: ClustersSettings | DiffusionSettings, data: ImageData, centroids: Callable[[], Tensor]
) -> list[ClassSets]:
    """By `settings.sets`, in the order of the targets; `centroids` is called only, and once, where they choose S1.

    Raises UserError, before that, for an unknown class and for an `s1_size` that leaves S1 or S2 empty.
    """
    size = S1_SIZE if settings.s1_size is None else settings.s1_size
    if settings.sets == "nearest" and not 1 <= size <= (most := len(data.class_names) - 2):
        raise UserError(f"s1_size is {size}; of {most + 2} classes it must be 1 to {most}")
    measured = cache(centroids)

    def nearest(target: int) -> ClassSets:
        return nearest_centroid_sets(measured(), target, size)

    chosen = class_sets(settings.sets, data.class_names, settings.targets, explicit=settings.data.sets, nearest=nearest)
    return list(chosen.values())
