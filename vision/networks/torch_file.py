"""Files of torch.save and safetensors, read without unrestricted pickle."""

import re
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from shared.errors import UserError
from shared.tensors import claims_too_much
from shared.unpickling import load_torch

# Where programs put a state dict, averaged weights (of an EMA) first: timm, torchvision's scripts, Lightning, others.
_ENTRIES = ("state_dict_ema", "model_ema", "state_dict", "model")
_AVERAGED = ("state_dict_ema", "model_ema")


def read_file(path: Path) -> dict[Any, Any]:
    """What the file holds, on the CPU.

    Raises UserError where it is neither kind of file, is damaged, or holds Python objects that only running code could
    load.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        # Options of a training script: plain attributes, no code (timm's own loader allows them too). Leaving the block
        # forbids them again, also to others in this process who had allowed them: only what is new is named.
        options: list[Any] = [kind for kind in (Namespace,) if kind not in torch.serialization.get_safe_globals()]
        with torch.serialization.safe_globals(options), warnings.catch_warnings(action="ignore"):
            content = load_torch(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file ({error})") from None
    except Exception as error:  # whatever the restricted unpickler stumbles over in a file of any kind
        raise UserError(f"{path}: {_reason(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state_dict or a checkpoint with one")
    return content


def find_weights(path: Path, content: dict[Any, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict in a checkpoint, or the checkpoint itself, and notes on it. Raises UserError where it has none."""
    entry = next((name for name in _ENTRIES if _tensors(content.get(name))), None)
    weights = _tensors(content if entry is None else content[entry])
    if not weights:
        raise UserError(
            f"{path}: holds no weights (its entries: {', '.join(map(str, list(content)[:6])) or 'none'}); it must be a "
            f"state_dict, or hold one as {', '.join(_ENTRIES[:-1])} or {_ENTRIES[-1]}"
        )
    if name := next((name for name, tensor in weights.items() if claims_too_much(tensor)), None):
        raise UserError(f"{path}: holds {name} of {list(weights[name].shape)} only in part; save it with .contiguous()")
    averaged = entry in _AVERAGED or "averaging_state" in content  # Lightning puts the average under `state_dict`
    return weights, ["its averaged weights (EMA) are used"] if averaged else []


def _tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        return {}
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if found := re.search(r"GLOBAL ([\w.]+)|Unsupported class ([\w.]+)", text):
        return (
            f"holds the Python object {found.group(1) or found.group(2)}; objects may run code, so only weights and "
            "plain values are read; where you trust the file, write torch.save(model.state_dict(), FILE) from it"
        )
    found = re.search(r"WeightsUnpickler error:\s+(.+)", text)
    first = (found.group(1) if found else text or repr(error)).splitlines()[0].partition(". ")[0]
    return f"not a checkpoint that can be read safely ({first.rstrip('.')})"
