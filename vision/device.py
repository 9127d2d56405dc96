"""The name under which a device stands in records."""

import torch


def device_name(device: torch.device) -> str:
    """`cpu`, or the accelerator's own name, e.g. that of the GPU model."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
