"""Penultimate features of exported models, batch by batch, and class centroids over them."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from shared.diffusion import CentroidAccumulator
from shared.errors import UserError
from vision.checkpoint import check_same_data, load_export
from vision.data import ImageData, load_data
from vision.data.image_data import Images
from vision.models import classifier, penultimate
from vision.settings import DataSettings


class ExportedModel:
    """An export opened for reading features, on a GPU where there is one."""

    def __init__(self, path: str) -> None:
        """Raises UserError where `path` is not an export."""
        self.path = Path(path)
        model, self.card = load_export(path)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = model.to(self.device).eval()
        head = classifier(model)
        self.weight, self.bias = head.weight.detach().cpu(), None if head.bias is None else head.bias.detach().cpu()

    @torch.inference_mode()
    def features(self, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (features [n, d], labels [n]) on the CPU, every image once, in order."""
        for batch, labels in images.evaluation_batches():
            yield penultimate(self.network, batch.to(self.device)).cpu(), labels

    def centroids(self, images: Images) -> Tensor:
        """Class centroids [C, d], float64, streamed; NaN for a class that `images` lack.

        Raises UserError where the model has diverged.
        """
        accumulator = CentroidAccumulator(len(self.card.class_names), self.weight.shape[1])
        try:
            for features, labels in self.features(images):
                accumulator.update(features, labels)
        except ValueError as error:
            raise UserError(f"{self.path}: {error}") from None
        return accumulator.centroids


def load_same_data(settings: DataSettings, models: list[ExportedModel]) -> ImageData:
    """The data set with the training images that `models` were trained on.

    Raises UserError where a model has other classes, inputs or training images than the rest.
    """
    sizes = [model.card.model.recipe["train_size"] for model in models]
    if len(set(sizes)) > 1:
        raise UserError(
            f"the models were trained on different numbers of images ({sizes}), so they share no train split"
        )
    data = load_data(settings, sizes[0])
    for model in models:
        check_same_data(model.path, model.card, data)
    return data
