"""The log-mass of named classes and of all others, as numpy adds it up."""

from types import ModuleType

import numpy as np
import pytest
import torch

from shared.losses import top_k
from shared.losses.topk import split_log_mass

TEMPERATURES = [1.0, 2.0, 3.0, 8.0, 64.0]
CASES = [((3, 47), 1), ((3, 47), 2), ((3, 47), 46), ((31, 123), 16), ((4, 5, 17), 3)]


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("shape", "k"), CASES)
def test_split_log_mass(oracle: ModuleType, shape: tuple[int, ...], k: int, temperature: float) -> None:
    logits = oracle.pair(shape)[0]
    order = oracle.sorted_classes(logits.flip(-1))  # not the largest ones: any classes may be named
    top, rest = split_log_mass(logits, torch.from_numpy(order[..., :k].copy()), temperature)
    z = np.take_along_axis(logits.numpy(), order, axis=-1) / temperature
    np.testing.assert_allclose(top, z[..., :k], rtol=1e-12)
    np.testing.assert_allclose(rest, np.log(np.exp(z[..., k:]).sum(axis=-1, keepdims=True)), rtol=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_split_log_mass_by_finite_differences(oracle: ModuleType, temperature: float) -> None:
    logits = oracle.pair((2, 3, 7))[0].requires_grad_()
    ids = torch.tensor([[[0, 6], [5, 2], [3, 1]], [[1, 0], [4, 6], [2, 5]]])
    assert torch.autograd.gradcheck(lambda z: split_log_mass(z, ids, temperature), logits)


def test_split_log_mass_leaves_the_logits_alone(oracle: ModuleType) -> None:
    logits = oracle.pair((3, 47))[0].requires_grad_()
    before = logits.detach().clone()
    top, rest = split_log_mass(logits, top_k(before, 4).ids, 1.0)
    torch.autograd.grad((top.sum() + 2 * rest.sum()), logits)
    torch.testing.assert_close(logits.detach(), before, rtol=0, atol=0)
