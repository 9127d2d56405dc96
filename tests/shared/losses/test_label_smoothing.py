"""Oracles: torch's own cross_entropy(label_smoothing=...) and the written-out definition in numpy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from shared.errors import UserError
from shared.losses import label_smoothing_loss, label_smoothing_terms

SHAPES = [(1, 2), (3, 47), (31, 123), (4, 5, 17)]
ALPHAS = [0.0, 0.1, 0.5, 0.99]


def batch(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    logits = (3 * torch.randn(*shape, generator=generator)).to(dtype)
    return logits, torch.randint(shape[-1], shape[:-1], generator=generator)


def by_definition(logits: torch.Tensor, target: torch.Tensor, alpha: float) -> float:
    """Cross-entropy against (1 - alpha) * onehot + alpha / K, written out in numpy."""
    z = logits.double().reshape(-1, logits.shape[-1]).numpy()
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    smoothed = np.full_like(z, alpha / z.shape[1])
    smoothed[np.arange(len(z)), target.reshape(-1).numpy()] += 1 - alpha
    return float(-(smoothed * log_p).sum())


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definition(shape: tuple[int, ...], alpha: float) -> None:
    logits, target = batch(shape)
    assert float(label_smoothing_loss(logits, target, alpha)) == pytest.approx(
        by_definition(logits, target, alpha), rel=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_value_and_gradient_equal_torch(alpha: float, dtype: torch.dtype) -> None:
    logits, target = batch((31, 123), dtype)
    target[::4] = -100
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = label_smoothing_loss(ours, target, alpha)
    reference = F.cross_entropy(theirs, target, label_smoothing=alpha, reduction="sum")
    torch.testing.assert_close(loss, reference)
    (3 * loss).backward()
    (3 * reference).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_computed_in_fp32(dtype: torch.dtype) -> None:
    logits, target = batch((31, 123), dtype)
    loss = label_smoothing_loss(logits, target, 0.1)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(by_definition(logits.float(), target, 0.1), rel=1e-5)


def test_gradient_by_finite_differences() -> None:
    logits, target = batch((3, 7), torch.float64)
    target[1] = 2
    assert torch.autograd.gradcheck(
        lambda z: label_smoothing_loss(z, target, 0.1, ignore_index=2), logits.requires_grad_()
    )


def test_worked_by_hand() -> None:
    """Two classes, logits (ln 3, 0): p = (3/4, 1/4); alpha = .5 puts (3/4, 1/4) on them: the entropy of p."""
    logits = torch.tensor([[np.log(3.0), 0.0]])
    terms = label_smoothing_terms(logits, torch.tensor([0]), 0.5)
    assert float(terms.nll) == pytest.approx(np.log(4 / 3), rel=1e-6)
    assert float(terms.loss) == pytest.approx(0.75 * np.log(4 / 3) + 0.25 * np.log(4), rel=1e-6)


def test_agrees_with_fairseq_convention_at_the_stated_epsilon() -> None:
    """fairseq: gold 1 - eps, every other eps / (K - 1). Equal at eps = alpha (K - 1) / K."""
    logits, target = batch((31, 123), torch.float64)
    alpha, classes = 0.1, 123
    eps = alpha * (classes - 1) / classes
    log_p = torch.log_softmax(logits, dim=-1)
    gold = log_p[torch.arange(31), target]
    fairseq = -((1 - eps) * gold + eps / (classes - 1) * (log_p.sum(dim=-1) - gold)).sum()
    torch.testing.assert_close(label_smoothing_loss(logits, target, alpha), fairseq)


def test_all_ignored_is_a_connected_zero() -> None:
    logits, _ = batch((3, 47))
    logits.requires_grad_()
    loss = label_smoothing_loss(logits, torch.full((3,), -100), 0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("alpha", [-0.1, 1.0, 1.5, float("nan")])
def test_alpha_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(UserError, match=r"must be in \[0, 1\)"):
        label_smoothing_loss(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long), alpha)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="need targets"):
        label_smoothing_loss(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long), 0.1)
