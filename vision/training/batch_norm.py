"""Batch normalization whose statistics are those of all processes' images together."""

import torch
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from shared.ranks import sum_over_ranks, world_size


def synchronize_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Let every batch normalization of `model` take the statistics of all processes' batches in training.

    Weights, buffers and their names stay. On GPUs by timm's converter: torch's own, which Lightning's `sync_batchnorm`
    calls, drops the activation of timm's `BatchNormAct2d` (EfficientNet, MobileNetV2). Neither torch's layers nor its
    DDP know of it on a CPU, so there it is computed here.
    """
    if device.type != "cpu":
        convert_sync_batchnorm(model)
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = _WithActivation if isinstance(module, BatchNormAct2d) else _OverRanks


class _OverRanks(_BatchNorm):
    """The mean and variance over (N, H, W) of all processes' [n, C, ...], which may be of different sizes.

    In float64: a channel that hardly varies is divided by sqrt(eps), which makes 300 times as much of a rounding.
    """

    def forward(self, input: Tensor) -> Tensor:
        return self._normalized(input) if self.training and world_size() > 1 else super().forward(input)

    def _normalized(self, input: Tensor) -> Tensor:
        values = input.double()
        dims, shape = [0, *range(2, values.dim())], [1, -1, *[1] * (values.dim() - 2)]
        local_count = values.new_full((1,), values[:, :1].numel())
        sums = sum_over_ranks(torch.cat([values.sum(dims), local_count]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = sum_over_ranks(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        normalized = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normalized = normalized * self.weight.view(shape) + self.bias.view(shape)
        return normalized.to(input.dtype)

    def _follow(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        """The running statistics, as torch's batch normalization keeps them."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased_variance.to(self.running_var.dtype), share)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any: it stands for BatchNorm1d, 2d and 3d."""


class _WithActivation(_OverRanks, BatchNormAct2d):
    """timm's normalization with dropout and activation, which outside of training is timm's own code."""

    def _normalized(self, input: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super()._normalized(input)))
        return out
