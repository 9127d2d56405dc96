"""Reads encoded images, and draws the view that each one gets: what every loader begins with."""

import os

import numpy as np

from vision.data.encoded import Encoded, read_encoded
from vision.data.image_files import ImageFiles
from vision.data.order import image_seed
from vision.data.views import View, Views


class FileReader:
    """The files of a split; `seed` is the training run's, None where `views` has nothing random in it."""

    def __init__(self, files: ImageFiles, views: Views, seed: int | None) -> None:
        # One array: of a million strings, every worker process would come to own a copy as their counters change.
        self._paths = np.array([os.fsencode(path) for path in files.paths], dtype=np.bytes_)
        self._views, self._seed = views, seed or 0

    def read(self, row: int, epoch: int) -> tuple[Encoded, View]:
        """The image of this row as it is on disk, and its view in this epoch. Raises UserError for what is no image."""
        file = read_encoded(os.fsdecode(self._paths[row]))
        return file, self._views.of(file.height, file.width, image_seed(self._seed, epoch, row))
