"""A few of the rows of a long stream, for a figure."""

import torch
from torch import Tensor


class StateSample:
    """Up to `size` rows of a stream, each subset of that size as likely as any other; memory is `size` rows.

    Which rows are kept depends on the seed and their order alone, so two models that read the same text show the same
    positions of it.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._generator = torch.Generator().manual_seed(seed)
        self._keys = torch.empty(0)
        self._rows: Tensor | None = None

    def update(self, rows: Tensor) -> None:
        """Offer `rows` [n, d]. Every row draws a key; the smallest keys stay."""
        keys = torch.rand(len(rows), generator=self._generator, dtype=torch.float64)
        keys = torch.cat([self._keys, keys])
        rows = rows.double().cpu() if self._rows is None else torch.cat([self._rows, rows.double().cpu()])
        kept = keys.argsort()[: self._size]
        self._keys, self._rows = keys[kept], rows[kept]

    @property
    def rows(self) -> Tensor:
        """[up to size, d], float64."""
        assert self._rows is not None
        return self._rows
