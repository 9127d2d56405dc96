"""Any logits: DIST against Huang et al.'s formula in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.errors import UserError
from shared.losses import dist_loss
from tests.hostile.logits import FINITE, KINDS, Array, Pair, log_softmax, pairs
from tests.hostile.properties import PROPERTY

FLOAT64 = (torch.float64,)
TAUS = st.sampled_from([1.0, 4.0]) | st.floats(1.0, 1000.0)
BEYOND = st.floats(0.0, 3.0)  # beta and gamma


def correlation(a: Array, b: Array, axis: int) -> Array:
    """Pearson's, with the authors' epsilon in the denominator."""
    a, b = (x - x.mean(axis=axis, keepdims=True) for x in (a, b))
    norms = np.sqrt((a**2).sum(axis=axis)) * np.sqrt((b**2).sum(axis=axis))
    return (a * b).sum(axis=axis) / (norms + 1e-8)


def formula(student: Tensor, teacher: Tensor, tau: float, beta: float, gamma: float) -> float:
    if not len(student):
        return 0.0
    ours, theirs = (np.exp(log_softmax(z.double().numpy() / tau)) for z in (student, teacher))
    inter, intra = (1.0 - correlation(ours, theirs, axis).mean() for axis in (1, 0))
    return float(tau**2 * (beta * inter + gamma * intra))


def rows_that_count(pair: Pair) -> tuple[Tensor, Tensor]:
    return pair.student[pair.mask].clone(), pair.teacher[pair.mask].clone()


@PROPERTY
@given(pairs(KINDS, dtypes=FLOAT64), TAUS, BEYOND, BEYOND)
def test_value(pair: Pair, tau: float, beta: float, gamma: float) -> None:
    student, teacher = rows_that_count(pair)
    found = dist_loss(student, teacher, tau=tau, beta=beta, gamma=gamma).item()
    assert found == pytest.approx(formula(student, teacher, tau, beta, gamma), rel=1e-6, abs=1e-6 * tau**2)


@PROPERTY
@given(pairs(KINDS), st.floats(1.0, 64.0))
def test_gradients_are_finite_in_every_dtype(pair: Pair, tau: float) -> None:
    """Rows, columns and batches without spread have none: one class, one row, equal rows, one class certain.

    At tau the gradient is of the order of tau^2, which fp16 holds up to 200 or so.
    """
    student, teacher = rows_that_count(pair)
    loss = dist_loss(student.requires_grad_(), teacher, tau=tau)
    (gradient,) = torch.autograd.grad(loss, student)
    assert bool(loss.isfinite())
    assert bool(gradient.isfinite().all())
    assert -1e-3 * tau**2 <= loss.item() <= 4.001 * tau**2


@PROPERTY
@given(pairs(("ordinary",), dtypes=FLOAT64, rows=2), TAUS, st.integers(0, 2**32 - 1))
def test_gradient_is_that_of_differences(pair: Pair, tau: float, seed: int) -> None:
    student, teacher = rows_that_count(pair)
    if min(student.shape) < 2:
        return
    direction = torch.randn(student.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    loss = dist_loss(student.requires_grad_(), teacher, tau=tau)
    (gradient,) = torch.autograd.grad(loss, student)
    step = 1e-6
    ends = [formula(student.detach() + sign * step * direction, teacher, tau, 1.0, 1.0) for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-3, abs=1e-4 * tau**2)


@PROPERTY
@given(pairs(FINITE, dtypes=FLOAT64), TAUS, st.floats(-50.0, 50.0), st.integers(0, 2**32 - 1))
def test_shifts_and_orders_do_not_matter(pair: Pair, tau: float, shift: float, seed: int) -> None:
    student, teacher = rows_that_count(pair)
    generator = torch.Generator().manual_seed(seed)
    rows, classes = (torch.randperm(n, generator=generator) for n in student.shape)
    other = dist_loss((student + shift)[rows][:, classes], (teacher - shift)[rows][:, classes], tau=tau).item()
    assert other == pytest.approx(dist_loss(student, teacher, tau=tau).item(), rel=1e-6, abs=1e-6 * tau**2)


@PROPERTY
@given(pairs(("ordinary",), dtypes=FLOAT64), TAUS)
def test_equal_logits_are_at_zero_by_the_bare_definition(pair: Pair, tau: float) -> None:
    """But for the vectors without spread, which correlate with nothing."""
    student, _ = rows_that_count(pair)
    if min(student.shape) < 2:
        return
    found = dist_loss(student, student, tau=tau, epsilon="clamp", eps=1e-300).item()
    assert found == pytest.approx(0.0, abs=1e-6 * tau**2)


@PROPERTY
@given(st.floats())
def test_taus_are_used_or_refused(tau: float) -> None:
    logits = torch.arange(6.0, dtype=torch.float64).view(2, 3)
    if 1e-9 <= tau <= 1e9:
        assert bool(dist_loss(logits, logits, tau=tau).isfinite())
    else:
        with pytest.raises(UserError, match="it must be above 0"):
            dist_loss(logits, logits, tau=tau)
