"""Any logits, targets, dtypes and layouts: label-smoothed cross-entropy against its formula in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.losses import label_smoothing_loss
from tests.hostile.logits import Array, Pair, close_gradient, expectation, log_softmax, pairs
from tests.hostile.properties import PROPERTY

ALPHAS = st.sampled_from([0.0, 0.1, 0.5]) | st.floats(1e-6, 0.999)
IGNORED = -100


def smoothed(targets: Array, alpha: float) -> Array:
    """(1 - alpha) t + alpha / K times what t sums to, 1 where it is a label."""
    return (1.0 - alpha) * targets + alpha / targets.shape[1]


def expected_terms(pair: Pair, targets: Array, alpha: float) -> tuple[float, Array]:
    """Value and gradient over the rows that count."""
    log_q = log_softmax(pair.student.detach()[pair.mask].double().numpy())
    weights = smoothed(targets, alpha)
    return -expectation(weights, log_q), weights.sum(axis=1, keepdims=True) * np.exp(log_q) - weights


def check(pair: Pair, found: torch.Tensor, gradient: torch.Tensor, value: float, slope: Array) -> None:
    tolerance = 8 * pair.eps * pair.spread * max(1, len(pair.mask)) * pair.classes
    assert found.item() == pytest.approx(value, rel=1e-5, abs=tolerance)
    assert not bool(gradient[~pair.mask].any())
    close_gradient(gradient[pair.mask], slope, pair, 1.0)


@PROPERTY
@given(pairs(), ALPHAS)
def test_value_and_gradient(pair: Pair, alpha: float) -> None:
    """Infinite where weight is on a class that is ruled out; rows that are ignored may hold NaN."""
    student = pair.student.requires_grad_()
    target = pair.target.masked_fill(~pair.mask, IGNORED)
    loss = label_smoothing_loss(student, target, alpha)
    (gradient,) = torch.autograd.grad(loss, student)
    one_hot = np.eye(pair.classes)[pair.target[pair.mask].numpy()]
    check(pair, loss, gradient, *expected_terms(pair, one_hot, alpha))


@PROPERTY
@given(pairs(), ALPHAS)
def test_soft_targets(pair: Pair, alpha: float) -> None:
    student = pair.student[pair.mask].requires_grad_()
    kept = pair._replace(student=student, mask=torch.ones(len(student), dtype=torch.bool))
    targets = torch.from_numpy(np.exp(log_softmax(pair.teacher[pair.mask].double().numpy())))
    loss = label_smoothing_loss(student, targets, alpha)
    (gradient,) = torch.autograd.grad(loss, student)
    check(kept, loss, gradient, *expected_terms(kept, targets.numpy(), alpha))


@PROPERTY
@given(pairs(("ordinary", "extreme", "ties"), dtypes=(torch.float64, torch.float32)), ALPHAS)
def test_equals_torch_and_the_sum_of_rows(pair: Pair, alpha: float) -> None:
    target = pair.target.masked_fill(~pair.mask, IGNORED)
    loss = label_smoothing_loss(pair.student, target, alpha).item()
    whole = torch.nn.functional.cross_entropy(
        pair.student.double(), target, label_smoothing=alpha, reduction="sum", ignore_index=IGNORED
    ).item()
    rows = [
        label_smoothing_loss(pair.student[row : row + 1], target[row : row + 1], alpha, ignore_index=None).item()
        for row in pair.mask.nonzero().flatten().tolist()
    ]
    tolerance = 8 * pair.eps * pair.spread * max(1, len(pair.mask)) * pair.classes
    assert loss == pytest.approx(whole, rel=1e-5, abs=tolerance)
    assert loss == pytest.approx(sum(rows), rel=1e-5, abs=tolerance)
    assert loss >= -tolerance


@PROPERTY
@given(st.floats())
def test_alphas_are_used_or_refused(alpha: float) -> None:
    logits, target = torch.zeros(2, 4, dtype=torch.float64), torch.tensor([0, 3])
    if 0.0 <= alpha < 1.0:
        assert label_smoothing_loss(logits, target, alpha).item() == pytest.approx(2 * np.log(4))
    else:
        with pytest.raises(UserError, match=r"it must be in \[0, 1\)"):
            label_smoothing_loss(logits, target, alpha)
