"""Distillation from the top K in a training: gradients, rounding, half precision, empty batches, refusals."""

import math
from types import ModuleType

import numpy as np
import pytest
import torch

from shared.errors import UserError
from shared.losses import TopK, top_k, topk_kd_loss
from shared.losses.topk import POLICIES, Tail, split_log_mass


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_gradient_by_finite_differences(oracle: ModuleType, temperature: float, policy: str) -> None:
    student, teacher = oracle.pair((3, 7))
    kept = top_k(teacher, 3)
    assert torch.autograd.gradcheck(
        lambda z: topk_kd_loss(z, kept, temperature, policy=policy), student.requires_grad_()
    )


def test_a_student_that_is_sure_of_the_top_keeps_a_true_tail(oracle: ModuleType) -> None:
    """1 - (mass of the top) is all rounding in fp32 when the tail holds 1e-9; the tail summed by itself is not."""
    tail = torch.linspace(1.0, 2.0, 45, dtype=torch.float64)
    q = torch.cat([torch.tensor([0.7, 0.3], dtype=torch.float64) * (1 - 1e-9), 1e-9 * tail / tail.sum()])
    student = q.log().float().unsqueeze(0).requires_grad_()
    teacher = torch.cat([torch.tensor([0.6, 0.3]), torch.full((45,), 0.1 / 45)]).log().unsqueeze(0)
    kept = top_k(teacher, 2)
    _, rest = split_log_mass(student, kept.ids, 1.0)
    assert rest.item() == pytest.approx(math.log(1e-9), rel=1e-6)
    loss = topk_kd_loss(student, kept, 1.0)
    expected = sum(p * math.log(p / s) for p, s in ((0.6, 0.7 * (1 - 1e-9)), (0.3, 0.3 * (1 - 1e-9)), (0.1, 1e-9)))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    found = oracle.gradient(loss, student)[0].double()
    np.testing.assert_allclose(found[:2], [0.1, 0.0], atol=1e-6)
    np.testing.assert_allclose(found[2:], -0.1 * tail / tail.sum(), rtol=1e-5)


def test_fp32_rounds_a_row_by_no_more_than_the_whole_distillation(oracle: ModuleType) -> None:
    """`kd_loss` promises T^2 * 6e-8 nats a row."""
    teacher = oracle.words(4).float()
    student = teacher + 0.2 * torch.randn(teacher.shape, generator=torch.Generator().manual_seed(1))
    exact = oracle.grouped_divergence(student.double(), teacher.double(), 2000, 64.0)
    assert float(topk_kd_loss(student, top_k(teacher, 2000), 64.0)) == pytest.approx(float(exact), abs=4 * 64**2 * 6e-8)


def test_rounding_of_the_normalizers_cancels_in_fp32(oracle: ModuleType) -> None:
    """T^2 would else multiply an error that all log-probabilities of a row share: 3e-3 nats here; 4e-6 were seen."""
    teacher = oracle.words().float()
    student = teacher + 0.2 * torch.randn(teacher.shape, generator=torch.Generator().manual_seed(1))
    kept = top_k(teacher, 16)
    same = TopK(kept.logits.double(), kept.ids, Tail(*(part.double() for part in kept.tail)))
    exact = float(topk_kd_loss(student.double(), same, 64.0))
    assert float(topk_kd_loss(student, kept, 64.0)) == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_fp32(oracle: ModuleType, dtype: torch.dtype, policy: str) -> None:
    student, teacher = oracle.pair((31, 123), dtype)
    assert top_k(teacher, 16).logits.dtype == torch.float32
    student.requires_grad_()
    loss = topk_kd_loss(student, top_k(teacher, 16), 2.0, policy=policy)
    loss.backward()
    exact = student.detach().double().requires_grad_()
    right = topk_kd_loss(exact, top_k(teacher.double(), 16), 2.0, policy=policy)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(right.item(), rel=1e-5)
    torch.testing.assert_close(student.grad, oracle.gradient(right, exact).to(dtype))


@pytest.mark.parametrize("policy", POLICIES)
def test_kept_logits_may_be_stored_in_half_precision(oracle: ModuleType, policy: str) -> None:
    student, teacher = oracle.pair((31, 123), torch.float32)
    kept = top_k(teacher, 16)
    loss = topk_kd_loss(student, kept._replace(logits=kept.logits.half()), 2.0, policy=policy)
    assert float(loss) == pytest.approx(float(topk_kd_loss(student, kept, 2.0, policy=policy)), rel=2e-3)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_upstream_gradient_scales_the_gradient(oracle: ModuleType, policy: str) -> None:
    student, teacher = oracle.pair((3, 47))
    student.requires_grad_()
    once, fivefold = (c * topk_kd_loss(student, top_k(teacher, 4), 3.0, policy=policy) for c in (1, 5))
    torch.testing.assert_close(oracle.gradient(fivefold, student), 5 * oracle.gradient(once, student))


@pytest.mark.parametrize("k", [4, 47])
@pytest.mark.parametrize("policy", POLICIES)
def test_gradient_never_reaches_the_teacher(oracle: ModuleType, policy: str, k: int) -> None:
    student, teacher = (z.requires_grad_() for z in oracle.pair((3, 47)))
    topk_kd_loss(student, top_k(teacher, k), 2.0, policy=policy).backward()
    assert student.grad is not None
    assert teacher.grad is None


@pytest.mark.parametrize("k", [4, 47])
@pytest.mark.parametrize("policy", POLICIES)
def test_an_empty_batch_is_a_connected_zero(policy: str, k: int) -> None:
    student = torch.zeros(0, 47, requires_grad=True)
    loss = topk_kd_loss(student, top_k(torch.zeros(0, 47), k), 2.0, policy=policy)
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad is not None
    assert student.grad.shape == (0, 47)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float, policy: str) -> None:
    with pytest.raises(UserError, match="above 0"):
        topk_kd_loss(torch.zeros(2, 5), top_k(torch.zeros(2, 5), 2), temperature, policy=policy)


def test_the_tail_does_not_serve_temperatures_below_one() -> None:
    with pytest.raises(UserError, match="serves 1 and above"):
        topk_kd_loss(torch.zeros(2, 5), top_k(torch.zeros(2, 5), 2), 0.99)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UserError, match="'drop' is unknown; choose from tail, renormalize"):
        topk_kd_loss(torch.zeros(2, 5), top_k(torch.zeros(2, 5), 2), 1.0, policy="drop")  # type: ignore[arg-type]


def test_shapes_that_do_not_fit_are_refused() -> None:
    kept = top_k(torch.zeros(2, 5), 2)
    for student, topk in ((torch.zeros(3, 5), kept), (torch.zeros(2, 5), kept._replace(ids=kept.ids[:, :1]))):
        with pytest.raises(ValueError, match="do not fit"):
            topk_kd_loss(student, topk, 1.0)
