"""Tensors from files of strangers."""

import torch
from torch import Tensor


def claims_too_much(tensor: Tensor) -> bool:
    """Whether it has more elements than its memory holds, as expanded and sparse tensors have: to copy it would take
    memory that no file had to bring.
    """
    if tensor.layout is not torch.strided or tensor.is_nested or tensor.device.type != "cpu":
        return True
    return tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
