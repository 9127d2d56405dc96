"""Sums over the processes of torch.distributed's default group."""

import atexit

import torch
from torch import Tensor, distributed


def world_size() -> int:
    """The number of processes that train together, once they have met; 1 without a group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def leave_group_at_exit() -> None:
    """Take a gloo group down when the process ends: its threads may abort one whose peer has ended before it.

    Neither Lightning nor fairseq does that. A group of nccl is left to them: taken down after a failure, it may wait.
    """
    atexit.register(_leave_group)


def _leave_group() -> None:
    if distributed.is_available() and distributed.is_initialized() and distributed.get_backend() == "gloo":
        distributed.destroy_process_group()


def sum_over_ranks(local: Tensor) -> Tensor:
    """The element-wise sum of every process's `local`, which stay in their dtype and shape; every process gets it.

    Every process has to call this, and to call backward where one does. The gradient is that of the sum of all
    processes' losses, so DDP's average over processes is the gradient of the mean of their losses; where each computes
    the whole batch's loss from such sums, that is the loss of one process that holds the whole batch.

    Why: let S = sum_r s_r(z_r) be the sum and L_q(S, z_q) the loss of process q. Its backward hands this function
    dL_q/dS, and s_r is part of every process's S, so d(sum_q L_q)/ds_r = sum_q dL_q/dS: the backward is a sum over
    processes too. Rank r obtains d(sum_q L_q)/dz_r (dz_r/dw), of which DDP takes 1/R of the sum over r.
    """
    if world_size() == 1:
        return local
    total: Tensor = _SumOverRanks.apply(local)
    return total


class _SumOverRanks(torch.autograd.Function):
    """torch's own `distributed.nn.functional.all_reduce` is deprecated, and what replaces it does not wait."""

    @staticmethod
    def forward(ctx, local: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        total = local.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        total: Tensor = _SumOverRanks.apply(gradient)
        return total
