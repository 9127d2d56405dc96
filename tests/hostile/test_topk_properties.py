"""Any logits, K and T: distillation from a teacher's top K against its definition in float64."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.losses import kd_loss, top_k, topk_kd_loss
from tests.hostile.logits import TEMPERATURES, Array, Pair, expectation, log_softmax, pairs
from tests.hostile.properties import PROPERTY

FLOAT64 = (torch.float64,)
POLICIES = st.sampled_from(["tail", "renormalize"])


def tail_log_mass(logits: Array, temperature: float) -> float:
    """DESIGN.md: the cubic through log-sum-exp at b = 1 and value, slope and curvature at b = 0, kept convex."""
    inside = logits[np.isfinite(logits)]
    if not len(inside):
        return -np.inf
    b = 1.0 / temperature
    at_zero, at_one, slope = np.log(len(inside)), np.logaddexp.reduce(inside), inside.mean()
    third = at_one - at_zero - slope - inside.var() / 2
    cubic = at_zero + slope * b + inside.var() / 2 * b**2 + third * b**3
    return min(max(cubic, at_zero + slope * b), (1 - b) * at_zero + b * at_one)


def expected(pair: Pair, ids: Array, temperature: float, policy: str) -> float:
    """T^2 KL, row by row, from all of both distributions."""
    total = 0.0
    for row in range(len(ids)):
        student, teacher = (z[row].double().numpy() for z in (pair.student, pair.teacher))
        kept = np.isin(np.arange(pair.classes), ids[row])
        log_q = log_softmax(student / temperature)
        top = log_softmax(teacher)[kept] / temperature
        ours, theirs = log_q[kept], top
        if policy == "tail" and not kept.all():
            rest = log_q[~kept]
            ours = np.append(ours, np.logaddexp.reduce(rest))
            theirs = np.append(theirs, tail_log_mass(log_softmax(teacher)[~kept], temperature))
        log_p = log_softmax(theirs)
        with np.errstate(invalid="ignore"):
            total += temperature**2 * expectation(np.exp(log_p), log_p - ours)
    return total


@PROPERTY
@given(pairs(dtypes=FLOAT64), st.data(), TEMPERATURES, POLICIES)
def test_value_and_gradient(pair: Pair, data: st.DataObject, temperature: float, policy: str) -> None:
    """The gradient is finite where the value is, and that of differences of the value."""
    pair = pair._replace(student=pair.student[pair.mask], teacher=pair.teacher[pair.mask])
    k = data.draw(st.integers(1, pair.classes))
    kept = top_k(pair.teacher, k)
    student = pair.student.clone().requires_grad_()
    loss = topk_kd_loss(student, kept, temperature, policy=policy)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(loss, student)
    value = expected(pair, kept.ids.numpy(), temperature, policy)
    tolerance = temperature**2 * 1e-10 * pair.spread
    assert loss.item() == pytest.approx(value, rel=1e-8, abs=tolerance)
    if np.isfinite(value) and pair.spread < 100.0:
        assert bool(gradient.isfinite().all())
        direction = torch.randn(student.shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        direction = direction.masked_fill(pair.student == -torch.inf, 0.0)
        step = 1e-5
        ends = [
            topk_kd_loss(pair.student + sign * step * direction, kept, temperature, policy=policy).item()  # type: ignore[arg-type]
            for sign in (1, -1)
        ]
        along = float((gradient * direction).sum())
        assert along == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-5 * temperature**2)


@PROPERTY
@given(pairs(), st.data(), TEMPERATURES, POLICIES)
def test_never_nan_and_never_below_zero(pair: Pair, data: st.DataObject, temperature: float, policy: str) -> None:
    student = pair.student[pair.mask].clone().requires_grad_()
    kept = top_k(pair.teacher[pair.mask], data.draw(st.integers(1, pair.classes)))
    loss = topk_kd_loss(student, kept, temperature, policy=policy)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() >= -(temperature**2) * 16 * pair.eps * (1 + pair.spread / temperature) * max(1, len(student))
    assert loss.item() == np.inf or bool(gradient.isfinite().all())


@PROPERTY
@given(pairs(("ordinary", "ties", "teacher rules out"), dtypes=FLOAT64), st.data())
def test_grouping_never_raises_a_divergence(pair: Pair, data: st.DataObject) -> None:
    """At T = 1, where the tail's mass is exact, and equal with all classes kept."""
    student, teacher = pair.student[pair.mask], pair.teacher[pair.mask]
    k = data.draw(st.integers(1, pair.classes))
    whole = kd_loss(student, teacher, 1.0).item()
    assert topk_kd_loss(student, top_k(teacher, k), 1.0).item() <= whole + 1e-9
    assert topk_kd_loss(student, top_k(teacher, pair.classes), 1.0).item() == pytest.approx(whole, abs=1e-9)


@PROPERTY
@given(pairs(dtypes=FLOAT64), st.integers(-3, 12))
def test_the_top_k_are_the_largest(pair: Pair, k: int) -> None:
    teacher = pair.teacher[pair.mask]
    if not 1 <= k <= pair.classes:
        with pytest.raises(UserError, match=f"it must be from 1 to the number of classes, {pair.classes}"):
            top_k(teacher, k)
        return
    kept = top_k(teacher, k)
    log_p = log_softmax(teacher.numpy())
    np.testing.assert_allclose(kept.logits.numpy(), -np.sort(-log_p, axis=1)[:, :k], atol=1e-9)
    np.testing.assert_allclose(np.take_along_axis(log_p, kept.ids.numpy(), axis=1), kept.logits.numpy(), atol=1e-9)
    mass = np.exp(kept.logits.numpy()).sum(axis=1) + np.exp(kept.tail.log_sum_exp.numpy())
    np.testing.assert_allclose(mass, 1.0, atol=1e-9)


@PROPERTY
@given(st.floats(1e-3, 0.999), pairs(("ordinary",), rows=1))
def test_the_tail_is_not_extrapolated_below_one(temperature: float, pair: Pair) -> None:
    assume(pair.classes > 1)
    student, teacher = torch.zeros(1, pair.classes), torch.zeros(1, pair.classes)
    with pytest.raises(UserError, match="a top-K teacher serves 1 and above"):
        topk_kd_loss(student, top_k(teacher, 1), temperature)
