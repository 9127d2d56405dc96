"""Oracle: the sizes of the published models, and a count of parameters by hand."""

import argparse
from types import ModuleType

import pytest
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, build_model
from fairseq.models.transformer import TransformerModel, transformer_iwslt_de_en
from omegaconf import OmegaConf

import nmt_plugin.architectures  # noqa: F401  (registers them)

SIZES = {
    # name: dimensions, feed-forward dimensions; each has 2 + 2 layers and 4 heads
    "transformer_iwslt_de_en_small": (256, 1024),
    "transformer_iwslt_de_en_tiny": (128, 512),
}


def parse(name: str, *flags: str) -> argparse.Namespace:
    """What `--arch NAME` and flags become in fairseq's command line."""
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    ARCH_MODEL_REGISTRY[name].add_args(parser)
    args = parser.parse_args(flags, argparse.Namespace(arch=name))
    ARCH_CONFIG_REGISTRY[name](args)
    return args


def trained_parameters(model: TransformerModel, tiny: ModuleType) -> int:
    """Those that a gradient reaches (fairseq 0.12.2 keeps copies that it reaches not)."""
    model(**tiny.batch(tiny.task())["net_input"])[0].sum().backward()
    return sum(parameter.numel() for parameter in model.parameters() if parameter.grad is not None)


def by_hand(entries: int, d: int, ffn: int, layers: int) -> int:
    """Weights and biases of an encoder-decoder Transformer whose three embeddings are one table of `entries` rows."""
    attention = 4 * (d * d + d)  # query, key, value, output
    feed_forward = (d * ffn + ffn) + (ffn * d + d)
    norm = 2 * d
    encoder_layer = attention + feed_forward + 2 * norm
    decoder_layer = 2 * attention + feed_forward + 3 * norm
    return entries * d + layers * (encoder_layer + decoder_layer)


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    embed_dim, ffn_embed_dim = SIZES[name]
    args = parse(name)
    for side in ("encoder", "decoder"):
        assert getattr(args, f"{side}_layers") == 2
        assert getattr(args, f"{side}_embed_dim") == embed_dim
        assert getattr(args, f"{side}_ffn_embed_dim") == ffn_embed_dim
        assert getattr(args, f"{side}_attention_heads") == 4


@pytest.mark.parametrize("name", SIZES)
def test_only_sizes_differ_from_fairseqs_own(name: str) -> None:
    ours, fairseqs = parse(name), argparse.Namespace()
    transformer_iwslt_de_en(fairseqs)
    differ = {key for key, value in vars(fairseqs).items() if getattr(ours, key) != value}
    sizes = {"layers", "embed_dim", "ffn_embed_dim"} if name.endswith("tiny") else {"layers", "embed_dim"}
    expected = {f"{side}_{size}" for side in ("encoder", "decoder") for size in sizes}
    assert differ == expected | {"decoder_input_dim", "decoder_output_dim"}


@pytest.mark.parametrize(
    ("name", "count"), [("transformer_iwslt_de_en_small", 3_691_520), ("transformer_iwslt_de_en_tiny", 928_256)]
)
def test_parameters_by_hand(tiny: ModuleType, name: str, count: int) -> None:
    """At the tests' dictionary of 20 entries."""
    model = build_model(parse(name, "--share-all-embeddings"), tiny.task())
    assert trained_parameters(model, tiny) == count == by_hand(20, *SIZES[name], layers=2)


@pytest.mark.parametrize("name", SIZES)
def test_flags_override(tiny: ModuleType, name: str) -> None:
    sizes = ["--encoder-layers", "3", "--decoder-layers", "3", "--encoder-embed-dim", "32", "--decoder-embed-dim", "32"]
    sizes += ["--encoder-ffn-embed-dim", "48", "--decoder-ffn-embed-dim", "48", "--decoder-attention-heads", "2"]
    args = parse(name, *sizes, "--encoder-normalize-before", "--share-all-embeddings")
    assert (args.encoder_attention_heads, args.decoder_attention_heads) == (4, 2)
    assert (args.encoder_normalize_before, args.decoder_normalize_before) == (True, False)
    final_norm = 2 * 32  # pre-norm has one more at the end of the encoder
    assert trained_parameters(build_model(args, tiny.task()), tiny) == by_hand(20, 32, 48, layers=3) + final_norm


@pytest.mark.parametrize(
    "override",
    [{"encoder_layers": 3}, {"encoder": {"layers": 3}}, {"encoder": {"layers": 3}, "decoder": {"layers": 2}}],
)
def test_yaml_builds_the_same_model(tiny: ModuleType, override: dict[str, object]) -> None:
    """`model: {_name: ..., ...}` as fairseq-hydra-train passes it, with the sizes named flat or in groups."""
    name = "transformer_iwslt_de_en_tiny"
    config = OmegaConf.create({"_name": name, "share_all_embeddings": True, **override})
    from_flags = build_model(parse(name, "--share-all-embeddings", "--encoder-layers", "3"), tiny.task())
    from_yaml = build_model(config, tiny.task())
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (from_yaml, from_flags)]
    assert shapes[0] == shapes[1]
    assert config.encoder_layers == 3
