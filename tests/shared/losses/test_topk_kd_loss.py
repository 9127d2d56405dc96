"""Distillation from the top K: the whole divergence, that of K + 1 outcomes, Tan et al.'s, and hand-worked values."""

import math
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.losses import TopK, kd_loss, top_k, topk_kd_loss
from shared.losses.topk import POLICIES, Tail

TEMPERATURES = [1.0, 2.0, 3.0, 8.0, 64.0]
CASES = [((3, 47), 1), ((3, 47), 2), ((3, 47), 46), ((31, 123), 16), ((4, 5, 17), 3)]


def test_classes_that_the_teacher_rules_out_are_not_in_the_tail(oracle: ModuleType) -> None:
    logits = oracle.words(3, 200)
    ruled_out = torch.cat([logits, torch.full((3, 50), -math.inf, dtype=torch.float64)], dim=-1)
    for ours, theirs in zip(top_k(ruled_out, 4).tail, top_k(logits, 4).tail, strict=True):
        torch.testing.assert_close(ours, theirs)
    student = torch.randn(3, 250, dtype=torch.float64, requires_grad=True)
    loss = topk_kd_loss(student, top_k(ruled_out, 4), 1.0)
    p, q = oracle.softmax(ruled_out.numpy()), oracle.softmax(student.detach().numpy())
    order = oracle.sorted_classes(ruled_out)
    p, q = np.take_along_axis(p, order, -1), np.take_along_axis(q, order, -1)
    p, q = (np.concatenate([x[:, :4], x[:, 4:].sum(axis=-1, keepdims=True)], axis=-1) for x in (p, q))
    assert loss.item() == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-9)
    assert bool(oracle.gradient(loss, student).isfinite().all())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_teacher_that_rules_out_the_whole_tail_is_served(oracle: ModuleType, policy: str) -> None:
    """Only 3 classes are possible and K = 5: both policies are then the divergence over those 3."""
    student, teacher = oracle.pair((4, 20))
    teacher[:, 3:] = -math.inf
    p, q = oracle.softmax(teacher[:, :3].numpy() / 2), oracle.softmax(student.numpy() / 2)[:, :3]
    student.requires_grad_()
    loss = topk_kd_loss(student, top_k(teacher, 5), 2.0, policy=policy)
    assert loss.item() == pytest.approx(4 * float((p * np.log(p / q)).sum()), rel=1e-9)
    expected = oracle.softmax(student.detach().numpy() / 2)
    expected[:, :3] -= p
    np.testing.assert_allclose(oracle.gradient(loss, student), 2 * expected, atol=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("temperature", [0.5, *TEMPERATURES])
def test_all_classes_are_the_whole_distillation(oracle: ModuleType, temperature: float, policy: str) -> None:
    student, teacher = oracle.pair((31, 123))
    student.requires_grad_()
    ours = topk_kd_loss(student, top_k(teacher, 123), temperature, policy=policy)
    whole = kd_loss(student, teacher, temperature)
    torch.testing.assert_close(ours, whole, rtol=1e-11, atol=0)
    torch.testing.assert_close(oracle.gradient(ours, student), oracle.gradient(whole, student), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("shape", "k"), CASES)
def test_tail_policy_is_the_divergence_of_the_outcomes(oracle: ModuleType, shape: tuple[int, ...], k: int) -> None:
    student, teacher = oracle.pair(shape)
    student.requires_grad_()
    ours, right = topk_kd_loss(student, top_k(teacher, k), 1.0), oracle.grouped_divergence(student, teacher, k, 1.0)
    torch.testing.assert_close(ours, right, rtol=1e-9, atol=0)
    torch.testing.assert_close(oracle.gradient(ours, student), oracle.gradient(right, student), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_policy_with_one_class_left_out_is_the_whole_distillation(oracle: ModuleType, temperature: float) -> None:
    student, teacher = oracle.pair((31, 123))
    student.requires_grad_()
    ours, whole = topk_kd_loss(student, top_k(teacher, 122), temperature), kd_loss(student, teacher, temperature)
    torch.testing.assert_close(ours, whole, rtol=1e-9, atol=0)
    torch.testing.assert_close(oracle.gradient(ours, student), oracle.gradient(whole, student), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_policy_is_close_to_the_outcomes_at_every_temperature(oracle: ModuleType, temperature: float) -> None:
    """Only the sketch is between them: under 1 % of value and gradient at K = 16."""
    teacher = oracle.words()
    student = (0.8 * teacher + 0.7 * oracle.words().roll(1, dims=0)).requires_grad_()
    ours = topk_kd_loss(student, top_k(teacher, 16), temperature)
    right = oracle.grouped_divergence(student, teacher, 16, temperature)
    assert ours.item() == pytest.approx(right.item(), rel=1e-2)
    mine, exact = oracle.gradient(ours, student), oracle.gradient(right, student)
    assert float((mine - exact).norm() / exact.norm()) < 1e-2


def test_tail_policy_worked_by_hand(oracle: ModuleType) -> None:
    """Teacher (1/2 | 1/4, 1/4), student (1/4 | 1/4, 1/2), K = 1, T = 1: p = (1/2, 1/2) and q = (1/4, 3/4)."""
    teacher, student = (torch.tensor([p]).log() for p in ([0.5, 0.25, 0.25], [0.25, 0.25, 0.5]))
    student.requires_grad_()
    loss = topk_kd_loss(student, top_k(teacher, 1), 1.0)
    assert loss.item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-6)
    # q - p of an outcome, shared among its classes by the student's own probabilities.
    assert oracle.gradient(loss, student).flatten().tolist() == pytest.approx([-0.25, 0.25 / 3, 0.5 / 3], rel=1e-5)


@given(st.integers(0, 2**31), st.integers(1, 12), st.floats(min_value=-50, max_value=50))
def test_tail_policy_is_a_lower_bound_and_blind_to_a_shift(seed: int, k: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (5 * torch.randn(3, 13, generator=generator, dtype=torch.float64) for _ in range(2))
    loss = topk_kd_loss(student, top_k(teacher, k), 1.0)
    assert -1e-9 <= float(loss) <= float(kd_loss(student, teacher, 1.0)) + 1e-9
    torch.testing.assert_close(topk_kd_loss(student + shift, top_k(teacher - shift, k), 1.0), loss)


@pytest.mark.parametrize("k", [1, 2, 46, 47])
def test_a_student_that_equals_the_teacher_has_no_loss_and_no_gradient(oracle: ModuleType, k: int) -> None:
    for dtype, near in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        student = oracle.pair((3, 47), dtype)[0].requires_grad_()
        loss = topk_kd_loss(student, top_k(student.detach(), k), 1.0)
        assert abs(loss.item()) < near
        assert float(oracle.gradient(loss, student).abs().max()) < near


def test_at_one_temperature_a_shift_of_the_kept_logits_changes_nothing(oracle: ModuleType) -> None:
    """Any constant may have been added to a row, its tail included."""
    student, teacher = oracle.pair((3, 47))
    kept = top_k(teacher, 5)
    tail = kept.tail
    shifted = TopK(kept.logits + 7, kept.ids, Tail(tail.log_sum_exp + 7, tail.classes, tail.mean + 7, tail.variance))
    for temperature in TEMPERATURES:
        torch.testing.assert_close(
            topk_kd_loss(student, shifted, temperature), topk_kd_loss(student, kept, temperature)
        )


@pytest.mark.parametrize("temperature", [0.5, *TEMPERATURES])
@pytest.mark.parametrize(("shape", "k"), CASES)
def test_renormalize_is_the_published_cross_entropy_but_for_a_constant(
    oracle: ModuleType, shape: tuple[int, ...], k: int, temperature: float
) -> None:
    """Tan et al. 2019: T^2 * [-sum_{k <= K} softmax_K(z / T)_k log p_student,T(k)]; ours is less by T^2 * entropy."""
    student, teacher = oracle.pair(shape)
    student.requires_grad_()
    order = oracle.sorted_classes(teacher)[..., :k]
    p = oracle.softmax(np.take_along_axis(teacher.numpy(), order, axis=-1) / temperature)
    log_q = torch.log(torch.softmax(student / temperature, dim=-1)).gather(-1, torch.from_numpy(order))
    cross_entropy = -(temperature**2) * (torch.from_numpy(p) * log_q).sum()
    entropy = -float((p * np.log(p)).sum())
    ours = topk_kd_loss(student, top_k(teacher, k), temperature, policy="renormalize")
    assert ours.item() == pytest.approx(cross_entropy.item() - temperature**2 * entropy, rel=1e-9)
    torch.testing.assert_close(
        oracle.gradient(ours, student), oracle.gradient(cross_entropy, student), rtol=1e-8, atol=1e-11
    )
