"""The last layer of a fairseq model: its logits, or what they are made of."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import UserError
from shared.losses import Head


def output_logits(model: Any, net_output: Any) -> Tensor:
    """[B, T, V]; log-probabilities where the model has no plain logits (an adaptive softmax).

    Raises UserError where those would have to be trained: fairseq writes over what their gradient needs.
    """
    if _is_adaptive(model):
        if torch.is_grad_enabled():
            raise UserError(
                "a model with an adaptive softmax can be trained with fairseq's own criterion adaptive_loss alone (and "
                "be a teacher then); leave --adaptive-softmax-cutoff out"
            )
        log_probs: Tensor = model.get_normalized_probs(net_output, log_probs=True)
        return log_probs
    logits: Tensor = net_output[0]
    return logits


def output_head(model: Any, sample: dict[str, Any], whose: str) -> Head:
    """The hidden states [B, T, d] of a batch and the matrix [V, d] that makes logits of them.

    Raises UserError for a model whose decoder does not end in one linear layer, or that cannot stop before it.
    """
    decoder = getattr(model, "decoder", None)
    projection = getattr(decoder, "output_projection", None)
    stops = "features_only" in inspect.signature(_unwrapped(model).forward).parameters
    if _is_adaptive(model) or not stops or not isinstance(projection, nn.Linear):
        raise UserError(f"--fused-head: {whose}'s decoder does not end in a plain linear layer; leave the flag out")
    if _looks_for_unused_parameters(model):
        raise UserError("--fused-head: not with --find-unused-parameters, which would find the output layer unused")
    hidden = model(**sample["net_input"], features_only=True)[0]
    return Head(hidden, projection.weight, projection.bias)


def is_matrix_product(logits: Tensor) -> bool:
    """Whether nothing but a matrix product made the logits: its gradient is made of its factors, not of its result."""
    made_by = logits.grad_fn
    if type(made_by).__name__ == "UnsafeViewBackward0" and made_by is not None:  # of a batch of rows as one
        made_by = made_by.next_functions[0][0]
    return type(made_by).__name__ in ("MmBackward0", "AddmmBackward0")


def _is_adaptive(model: Any) -> bool:
    return getattr(getattr(model, "decoder", None), "adaptive_softmax", None) is not None


def _looks_for_unused_parameters(model: Any) -> bool:
    """Whether torch's DistributedDataParallel asks after the forward pass which parameters had a part in it."""
    while isinstance(getattr(model, "module", None), nn.Module):
        if getattr(model, "find_unused_parameters", False):
            return True
        model = model.module
    return False


def _unwrapped(model: Any) -> Any:
    """The model within DistributedDataParallel and fairseq's wrappers of it."""
    while isinstance(getattr(model, "module", None), nn.Module):
        model = model.module
    return model
