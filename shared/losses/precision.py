"""One place for the arithmetic precision of the losses."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """fp16 and bf16 become fp32; fp32 and fp64 stay as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
