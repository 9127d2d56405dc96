"""Trained models of any origin that read a data set: their penultimate features, and class centroids of these."""

from collections.abc import Iterator

import torch
from torch import Tensor

from shared.diffusion import CentroidAccumulator
from shared.errors import UserError
from vision.checkpoint import load_card
from vision.data import ImageData, evaluation_batches
from vision.models import classifier, penultimate
from vision.networks.open import open_network
from vision.networks.renormalize import renormalize
from vision.networks.settings import NetworkSettings
from vision.reading import with_progress
from vision.settings import LoaderSettings
from vision.trained_on import is_export

Batch = tuple[Tensor, Tensor]


class FeatureReader:
    """A trained model that reads the images of a data set, on a GPU where there is one.

    `described` is what records say of it, `card` that of this project's exports (None for other models), `teacher` the
    model that it was distilled from, where that is known, the first of `teachers` where there were several.
    """

    def __init__(
        self,
        spec: str,
        data: ImageData,
        loader: LoaderSettings,
        known: NetworkSettings | None = None,
        *,
        other_data: bool = False,
    ) -> None:
        """`spec` and `known` as in `open_network`; `loader` is for images on disk.

        Raises UserError where `spec` is no model, or one that does not fit `data`; without `other_data` also where it
        is known to have been trained on other files, with other images held out, or on images resized otherwise.
        """
        opened = open_network(spec, known, class_names=data.class_names, image_shape=data.image_shape)
        if not other_data:
            opened.check_held_out(data)
            opened.check_resizing(data)
        self.spec, self.described, self.notes = spec, opened.card, opened.notes
        self.card = load_card(spec) if is_export(spec) else None
        self.teacher = self.card.teacher if self.card else None
        self.teachers = self.card.teachers if self.card else []
        head = classifier(opened.model)
        self.weight, self.bias = head.weight.detach().clone(), None if head.bias is None else head.bias.detach().clone()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = opened.model.to(self.device)
        self._loader, self._adapt = loader, None
        if opened.mean is not None and opened.std is not None:
            self._adapt = renormalize(data.mean, data.std, opened.mean, opened.std)

    @torch.inference_mode()
    def batches(self, data: ImageData, split: str) -> Iterator[Batch]:
        """Every image of a split once, in order, normalized as this model wants it: (images [n, C, H, W] on the model's
        device, labels [n]). Shows how far it is.
        """
        count, what = len(data.splits[split]), f"{self.spec} on {split}"
        for images, labels in with_progress(evaluation_batches(data, split, self._loader), count, what):
            yield self._adapted(images), labels

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits [n, K], on the model's device, of images [n, C, H, W] that are normalized as the data are."""
        logits: Tensor = self.network(self._adapted(images))
        return logits

    @torch.inference_mode()
    def features(self, data: ImageData, split: str) -> Iterator[Batch]:
        """Batches of (features [n, d], labels [n]) of a split on the CPU, every image once, in order."""
        for images, labels in self.batches(data, split):
            yield penultimate(self.network, images).cpu(), labels.cpu()

    def centroids(self, data: ImageData, split: str) -> Tensor:
        """Class centroids [K, d] over a split, float64, streamed; NaN for a class without images.

        Raises UserError where the model has diverged.
        """
        accumulator = CentroidAccumulator(*self.weight.shape)
        try:
            for features, labels in self.features(data, split):
                accumulator.update(features, labels)
            return accumulator.centroids
        except ValueError as error:
            raise UserError(f"{self.spec}: {error}") from None

    def _adapted(self, images: Tensor) -> Tensor:
        images = images.to(self.device, memory_format=torch.channels_last)
        return images if self._adapt is None else self._adapt.to(self.device)(images)
