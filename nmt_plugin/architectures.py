"""Smaller forms of fairseq's `transformer_iwslt_de_en`: `--arch transformer_iwslt_de_en_small` and `..._tiny`.

They differ from it in size alone (fairseq's own has 6 + 6 layers, 512 dimensions, 1024 in the feed-forward layers and 4
heads), so a teacher and its smaller student are one flag apart. As with fairseq's own, every flag overrides them.
"""

from argparse import Namespace
from typing import Any

from fairseq.models import register_model_architecture
from fairseq.models.transformer import transformer_iwslt_de_en
from omegaconf import DictConfig


@register_model_architecture("transformer", "transformer_iwslt_de_en_small")
def transformer_iwslt_de_en_small(args: Any) -> None:
    """2 + 2 layers, 256 dimensions, 1024 in the feed-forward layers, 4 heads: the small student of Tan et al. 2019."""
    _set_sizes(args, embed_dim=256, ffn_embed_dim=1024)


@register_model_architecture("transformer", "transformer_iwslt_de_en_tiny")
def transformer_iwslt_de_en_tiny(args: Any) -> None:
    """2 + 2 layers, 128 dimensions, 512 in the feed-forward layers, 4 heads: a model that two CPU cores can train."""
    _set_sizes(args, embed_dim=128, ffn_embed_dim=512)


def _set_sizes(args: Any, embed_dim: int, ffn_embed_dim: int) -> None:
    """Fill in the sizes that `args` (flags of the command line, or `model` of a YAML file) leaves open."""
    # Asked for a key that is not there, omegaconf 2.0 (fairseq 0.12.2 needs it) says None, and fairseq's own functions
    # would take that for the user's choice.
    flags = Namespace(**{str(key): args[key] for key in args}) if isinstance(args, DictConfig) else args
    sizes = {"layers": 2, "embed_dim": embed_dim, "ffn_embed_dim": ffn_embed_dim, "attention_heads": 4}
    for side in ("encoder", "decoder"):
        # In YAML, `encoder: {layers: 3}` may stand for `encoder_layers: 3`; fairseq would fill the rest of that group
        # with the defaults of its own base model (512 dimensions), whatever the architecture.
        group = getattr(flags, side, None)
        for name, size in sizes.items():
            value = getattr(flags, f"{side}_{name}", size)
            if group is not None:
                value = group[name] = group.get(name, value)
            setattr(flags, f"{side}_{name}", value)
    transformer_iwslt_de_en(flags)
    if flags is not args:
        args.update(vars(flags))
