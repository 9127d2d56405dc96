"""Oracle: the encoder in training mode, which never takes fairseq 0.12.2's fast path (there is no dropout in it)."""

from types import ModuleType
from typing import Any

import torch
from fairseq.models.transformer import TransformerModel

import nmt_plugin  # noqa: F401  (avoids the fast path)


def with_copies(state: dict[str, Any]) -> dict[str, Any]:
    """The state as fairseq 0.12.2 saves it in training: with copies, all zero, of each encoder layer's weights."""
    copied = dict(state)
    for name, weight in state.items():
        module, _, kind = name.rpartition(".")
        if name.startswith("encoder.layers.") and module.endswith(("fc1", "fc2")):
            copied[f"{module}_{kind}"] = torch.zeros_like(weight)
        elif name.startswith("encoder.layers.") and module.endswith("out_proj"):
            copied[name.replace("self_attn.out_proj.", "out_proj_")] = torch.zeros_like(weight)
        elif name.startswith("encoder.layers.") and module.endswith("q_proj"):
            copied[name.replace("self_attn.q_proj.", "in_proj_")] = torch.zeros_like(torch.cat([weight] * 3))
    return copied


def padded(tiny: ModuleType) -> dict[str, Any]:
    """Two sources of different lengths, padded on the left as fairseq pads them."""
    task = tiny.task()
    net_input = tiny.batch(task, (4, 3))["net_input"]
    net_input["src_tokens"][1, :2] = task.source_dictionary.pad()
    net_input["src_lengths"][1] = 2
    return net_input


def check_evaluation_equals_training(model: TransformerModel, tiny: ModuleType, state: dict[str, Any]) -> None:
    net_input = padded(tiny)
    with torch.no_grad():
        model.load_state_dict(state)
        evaluated = model.eval()(**net_input)[0]  # before any training, as after fairseq-generate has loaded it
        trained = model.train()(**net_input)[0]
    torch.testing.assert_close(evaluated, trained)


def test_evaluation_of_a_loaded_model_on_padded_sentences(tiny: ModuleType) -> None:
    state = tiny.model(tiny.task(), seed=1).state_dict()
    check_evaluation_equals_training(tiny.model(tiny.task(), seed=2), tiny, state)


def test_a_state_of_the_original_fairseq_is_read(tiny: ModuleType) -> None:
    state = with_copies(tiny.model(tiny.task(), seed=1).state_dict())
    assert {"in_proj_weight", "out_proj_bias", "fc1_weight", "fc2_bias"} <= {
        name.removeprefix("encoder.layers.0.") for name in state
    }
    check_evaluation_equals_training(tiny.model(tiny.task(), seed=2), tiny, state)
