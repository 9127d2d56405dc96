"""A data set in memory, with a fixed split into train, validation and test."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from shared.errors import UserError
from shared.results import Data

EVALUATION_BATCH = 500
SEED_STRIDE = 100_003  # random numbers come from seed * stride + epoch, so that no two seeds share an epoch's
_SPLIT_SEED = 0  # the same split for every run, whatever its training seed


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Images uint8 [n, C, H, W] and labels int64 [n]; batches come out normalized, float32.

    With `flip`, each image of a batch is mirrored left to right with probability one half (torch's global generator).
    """

    def __init__(self, images: Tensor, labels: Tensor, mean: list[float], std: list[float], flip: bool = False) -> None:
        self.images, self.labels, self.flip = images, labels, flip
        self._mean, self._std = mean, std
        self._shift, self._scale = (255.0 * torch.tensor(values).view(-1, 1, 1) for values in (mean, std))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """A whole batch at once: an in-memory data set would spend most of its time collating single images."""
        rows = torch.tensor(indices)
        images = (self.images[rows].float() - self._shift) / self._scale
        if self.flip:
            mirrored = torch.rand(len(rows)) < 0.5
            images[mirrored] = images[mirrored].flip(-1)
        return images, self.labels[rows]

    def subset(self, rows: Tensor) -> "Images":
        """The images of these rows [n] (int64), in this order."""
        return Images(self.images[rows], self.labels[rows], self._mean, self._std, self.flip)

    def evaluation_batches(self) -> "DataLoader[tuple[Tensor, Tensor]]":
        """Every image once, in order."""
        return DataLoader(self, EVALUATION_BATCH, collate_fn=_already_a_batch)

    def training_batches(self, batch_size: int, seed: int) -> "DataLoader[tuple[Tensor, Tensor]]":
        """Shuffled batches whose order depends on `seed` and epoch alone, so that a resumed run continues exactly.

        Lightning tells the sampler the epoch. A last short batch is left out (batch normalization cannot train on a
        batch of one); the next epoch shuffles anew. The loader draws from a generator of its own: from the global one
        it would take a number at a moment that differs between a resumed and an unbroken run, and shift the flips.
        """
        sampler: DistributedSampler[tuple[Tensor, Tensor]] = DistributedSampler(
            self, num_replicas=1, rank=0, shuffle=True, seed=seed * SEED_STRIDE
        )
        drop_last = len(self) >= batch_size
        return DataLoader(
            self,
            batch_size,
            sampler=sampler,
            collate_fn=_already_a_batch,
            drop_last=drop_last,
            generator=torch.Generator(),
        )


def _already_a_batch(batch: Any) -> Any:
    return batch


@dataclass(frozen=True)
class ImageData:
    """`splits` maps train, val and test to (images uint8 [n, C, H, W], labels int64 [n]).

    The test split is decoded with the others, so that a damaged file is refused before training; it is scored once, at
    the end.
    """

    name: str
    class_names: list[str]
    splits: dict[str, tuple[Tensor, Tensor]]
    mean: list[float]
    std: list[float]
    sha256: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        channels = self.image_shape[0]
        if len(self.mean) != channels or len(self.std) != channels or not all(value > 0 for value in self.std):
            raise UserError(f"data.mean {self.mean} and data.std {self.std} need {channels} value(s), std above 0")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.splits["train"][0].shape[1:]
        return channels, height, width

    def split(self, name: str, *, flip: bool = False) -> Images:
        """One split as a data set; `flip` mirrors at random, for training."""
        images, labels = self.splits[name]
        return Images(images, labels, self.mean, self.std, flip)

    def record(self) -> Data:
        """What `result.json` says of the data."""
        return Data(self.name, {name: len(labels) for name, (_, labels) in self.splits.items()}, self.sha256)


def cut_validation(
    images: Tensor, labels: Tensor, validation_size: int, train_size: int | None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Fixed, seeded split of the training images: first the validation part, then `train_size` images (None: the rest).

    The validation part does not depend on `train_size`. Raises UserError where the images do not suffice.
    """
    available = len(labels) - validation_size
    if not 0 < validation_size < len(labels):
        raise UserError(f"data.validation_size is {validation_size}; it must be 1 to {len(labels) - 1}")
    if train_size is not None and not 0 < train_size <= available:
        raise UserError(
            f"recipe.train_size is {train_size}; it must be 1 to {available}, or null for all that validation leaves"
        )
    # RandomState's stream is frozen by numpy's policy: the same split with every numpy version.
    order = torch.from_numpy(np.random.RandomState(_SPLIT_SEED).permutation(len(labels)))
    held_out = order[:validation_size]
    kept = order[validation_size : None if train_size is None else validation_size + train_size]
    return {"train": (images[kept], labels[kept]), "val": (images[held_out], labels[held_out])}
