"""The encoder's fast path of the original fairseq 0.12.2: not taken there, and no obstacle to its checkpoints after.

In evaluation that release hands the encoder's post-norm layers to a private function of torch, for which every layer
keeps a second copy of its weights. Since torch 1.13 the function wants an argument that fairseq does not give, and
generation, validation and a frozen teacher end in "Mask Type should be defined". Other releases have neither.
"""

import re
from typing import Any

from fairseq.modules.transformer_layer import TransformerEncoderLayerBase
from torch import nn

# Entries of a layer's state: copies of self_attn.{q,k,v}_proj, self_attn.out_proj, fc1 and fc2 that are never trained.
COPIES = tuple(f"{layer}_{kind}" for layer in ("in_proj", "out_proj", "fc1", "fc2") for kind in ("weight", "bias"))


def avoid_fast_path() -> None:
    """Let encoder layers run the same code in evaluation as in training, and load what any release has saved."""
    if "_load_from_state_dict" in vars(TransformerEncoderLayerBase):  # it fills the copies, so this is that release
        TransformerEncoderLayerBase.can_use_fastpath = property(lambda layer: False, lambda layer, value: None)
    else:
        TransformerEncoderLayerBase._load_from_state_dict = _load_without_copies


def is_copy(name: str) -> bool:
    """Whether this entry of a model's state is one of the copies."""
    return re.search(r"encoder\.layers\.\d+\.(in_proj|out_proj|fc1|fc2)_(weight|bias)$", name) is not None


def _load_without_copies(layer: nn.Module, state_dict: dict[str, Any], prefix: str, *how: Any) -> None:
    for name in COPIES:
        state_dict.pop(prefix + name, None)
    nn.Module._load_from_state_dict(layer, state_dict, prefix, *how)
