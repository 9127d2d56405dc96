"""What the loaders of every kind of image share: which images a batch holds, and where in an epoch a run is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vision.data.order import epoch_order

Rows: TypeAlias = npt.NDArray[np.int64]


class Batches(ABC):
    """Iterates over one rank's batches of one epoch: images float32 [n, C, H, W], normalized, and labels int64 [n].

    `batch_size` is of one rank, and `group` batches of every one of `world` ranks make an update of U images: entries
    u * U to (u + 1) * U of the epoch's order, of which rank r takes every world-th, from r on. So what an update learns
    from does not depend on how it is spread over ranks and batches.
    With a `seed` (training) every epoch is shuffled anew and a last short update is left out; where it is the only one,
    it is kept, less the images that do not share out evenly. Without (evaluation) the order is 0 to n - 1 and every
    image comes exactly once.

    Lightning stores `state_dict` in its checkpoints, and calls `set_epoch` of whatever stands in `sampler`: both are
    here, so a resumed run continues with the batch after the last one it was given.
    """

    batch_sampler = None  # Lightning asks for it where there is a `sampler`

    def __init__(
        self, count: int, batch_size: int, seed: int | None = None, rank: int = 0, world: int = 1, group: int = 1
    ) -> None:
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self._rank, self._world, self._group = rank, world, group
        self.epoch = 0
        self._given = 0  # batches of this epoch that were handed out
        self._resumed = False  # whether the next iteration starts after them

    @abstractmethod
    def load(self, batches: list[Rows]) -> Iterator[tuple[Tensor, Tensor]]:
        """The images and labels of these batches, each rows [n], in this order; n may differ, the list may be empty."""

    @property
    def sampler(self) -> "Batches":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Begin `epoch`; the same epoch again keeps the place that `load_state_dict` set."""
        if epoch != self.epoch:
            self.epoch, self._given, self._resumed = epoch, 0, False

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches were handed out."""
        return {"epoch": self.epoch, "batches": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration of this epoch start where `state_dict` was taken."""
        self.epoch, self._given, self._resumed = state["epoch"], state["batches"], True

    def __len__(self) -> int:
        """Batches of a whole epoch, also where a resumed one has fewer left."""
        return -(-self._images() // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """A generator, so that nothing is decided before the first batch: Lightning sets the epoch after `iter`."""
        if not self._resumed:
            self._given = 0
        self._resumed = False
        for batch in self.load(self._batches()[self._given :]):
            self._given += 1  # before it is handed out: checkpoints are written while it is in use
            yield batch

    def _images(self) -> int:
        """How many images of an epoch are this rank's."""
        if self._seed is None:
            return len(range(self._rank, self._count, self._world))
        share = self._batch_size * self._group
        updates = self._count // (share * self._world)
        return updates * share or self._count // self._world

    def _batches(self) -> list[Rows]:
        order = np.arange(self._count) if self._seed is None else epoch_order(self._count, self._seed, self.epoch)
        mine = order[self._rank :: self._world][: self._images()]
        return [mine[start : start + self._batch_size] for start in range(0, len(mine), self._batch_size)]
