"""What a teacher says of one batch."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from shared.losses import TopK
from shared.losses.precision import at_least_float32


class TeacherBatch(NamedTuple):
    """A teacher's view of the n counted target positions of a batch, in row-major order.

    `distribution`: logits [n, V], or their top K. `top1` [n], int64: the most probable class. Sums over the n rows, in
    nats, at T = 1: `nll` of the target and `entropy`; `retained`: probability that the top K hold (None: all of it).
    """

    distribution: Tensor | TopK
    top1: Tensor
    nll: Tensor
    entropy: Tensor
    retained: Tensor | None = None


class Teacher(Protocol):
    """Anything that maps a batch to distributions over the target positions that count."""

    def __call__(self, sample: dict[str, Any], counted: Tensor) -> TeacherBatch:
        """`counted` is bool, the shape of `sample["target"]` [B, T]. Without gradient."""
        ...

    def check_split(self, name: str, dataset: Any, kept: npt.NDArray[np.int64]) -> None:
        """Raise UserError where the teacher cannot serve all the sentences `kept` (ids) of a split."""
        ...


def row_statistics(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of `target` [n] and entropy [n] under `logits` [n, V], in nats, at T = 1."""
    log_probs = torch.log_softmax(at_least_float32(logits), dim=-1)
    gold = log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    # 0 * log 0 is 0: a class that is ruled out adds nothing.
    return gold, -(log_probs.exp() * log_probs.clamp(min=torch.finfo(log_probs.dtype).min)).sum(dim=-1)
