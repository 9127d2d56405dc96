"""What the processes of a distributed run tell each other."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, distributed

from shared.ranks import sum_over_ranks, world_size

S = TypeVar("S", bound=Any)


def dataclass_over_ranks(sums: S, device: torch.device) -> S:
    """A dataclass of sums (int, float or Tensor; float in float64) with every process's added up, on every process."""
    if world_size() == 1:
        return sums
    total = {}
    for field in dataclasses.fields(sums):
        value = getattr(sums, field.name)
        dtype = {int: torch.int64, float: torch.float64}.get(type(value))
        tensor = sum_over_ranks(torch.as_tensor(value, dtype=dtype, device=device))
        total[field.name] = tensor.to(value.device) if isinstance(value, Tensor) else tensor.item()
    return dataclasses.replace(sums, **total)


def copy_from_rank_zero(tensors: Iterable[Tensor]) -> None:
    """Make every process's `tensors` those of the first, in place."""
    if world_size() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, 0)


def on_rank_zero() -> bool:
    """Whether this process writes what all of them share; known before they meet."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


def barrier() -> None:
    """Wait for every process."""
    if world_size() > 1:
        distributed.barrier()
