"""Data sets by the name that `data.name` gives."""

from collections.abc import Callable

from shared.errors import UserError
from vision.data.digits import digits
from vision.data.fashion_mnist import fashion_mnist
from vision.data.image_data import ImageData
from vision.settings import DataSettings

__all__ = ["ImageData", "load_data"]

_LOADERS: dict[str, Callable[[DataSettings, int | None], ImageData]] = {
    "digits": digits,
    "fashion_mnist": fashion_mnist,
}


def load_data(settings: DataSettings, train_size: int | None) -> ImageData:
    """The data set, its first `train_size` training images (None: all). Raises UserError for anything wrong in it."""
    if settings.name not in _LOADERS:
        raise UserError(f"unknown data.name {settings.name!r}; choose one of {', '.join(_LOADERS)}")
    return _LOADERS[settings.name](settings, train_size)
