"""Losses whose forward pass has computed their gradient: a number to autograd, without a graph of its own."""

import torch


def check_no_second_derivative(loss: str) -> None:
    """For the backward pass of `loss`. Raises RuntimeError where autograd wants a graph of the gradient.

    torch's `once_differentiable` raises only where the upstream gradient has a graph. That of a plain loss has none:
    what is made of the gradient would lack a term, in silence.
    """
    if torch.is_grad_enabled():  # in a backward pass: with create_graph=True alone
        raise RuntimeError(
            f"the gradient of {loss} has no gradient of its own (create_graph=True); "
            "take kd_loss and label_smoothing_loss"
        )
