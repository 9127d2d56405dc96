"""Oracles: sums over all classes in numpy float64, a divergence of K + 1 outcomes in torch, hand-worked values."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.errors import UserError
from shared.losses import TopK, kd_loss, top_k, topk_kd_loss
from shared.losses.topk import POLICIES, Tail, split_log_mass, tail_log_mass

TEMPERATURES = [1.0, 2.0, 3.0, 8.0, 64.0]
CASES = [((3, 47), 1), ((3, 47), 2), ((3, 47), 46), ((31, 123), 16), ((4, 5, 17), 3)]
Array = npt.NDArray[np.float64]


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, scale: float = 3.0) -> list[Tensor]:
    """Logits of a student and of a teacher."""
    generator = torch.Generator().manual_seed(sum(shape))
    return [(scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype) for _ in range(2)]


def words(rows: int = 50, classes: int = 6000) -> Tensor:
    """Logits as a translation model has them: Zipf's law, noise, and up to five words that stand out."""
    generator = torch.Generator().manual_seed(0)
    rank = torch.arange(classes, dtype=torch.float64)
    likely = 5 * torch.rand(rows, 1, generator=generator, dtype=torch.float64) * (rank < 5)
    return likely - torch.log1p(rank) + 0.7 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)


def softmax(z: Array) -> Array:
    exps = np.exp(z - z.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def sorted_classes(logits: Tensor) -> npt.NDArray[np.int64]:
    """Class ids, most probable first."""
    return np.argsort(-logits.double().numpy(), axis=-1, kind="stable")


def true_tail_log_mass(logits: Tensor, k: int, temperature: float) -> Array:
    """log sum exp(z / T) over the classes outside the top k, z = log-probabilities."""
    probabilities = softmax(logits.double().numpy())
    rest = np.take_along_axis(probabilities, sorted_classes(logits)[..., k:], axis=-1)
    return np.log((rest ** (1 / temperature)).sum(axis=-1))


def grouped_divergence(student: Tensor, teacher: Tensor, k: int, temperature: float) -> Tensor:
    """T^2 KL over k + 1 outcomes, from all of both distributions, so that autograd gives the gradient as well."""
    order = torch.from_numpy(sorted_classes(teacher.detach()))
    p, q = (torch.softmax(z / temperature, dim=-1).gather(-1, order) for z in (teacher, student))
    p, q = (torch.cat([x[..., :k], x[..., k:].sum(dim=-1, keepdim=True)], dim=-1) for x in (p, q))
    return temperature**2 * (p * (p / q).log()).sum()


def gradient(loss: Tensor, student: Tensor) -> Tensor:
    return torch.autograd.grad(loss, student)[0]


@pytest.mark.parametrize(("shape", "k"), CASES)
def test_top_k_keeps_the_largest_and_sketches_the_others(shape: tuple[int, ...], k: int) -> None:
    logits = pair(shape)[0]
    found, log_probs, order = top_k(logits, k), np.log(softmax(logits.numpy())), sorted_classes(logits)
    np.testing.assert_array_equal(found.ids, order[..., :k])
    np.testing.assert_allclose(found.logits, np.take_along_axis(log_probs, order[..., :k], axis=-1), rtol=1e-12)
    rest = np.take_along_axis(log_probs, order[..., k:], axis=-1)
    np.testing.assert_array_equal(found.tail.classes, np.full(shape[:-1], shape[-1] - k))
    np.testing.assert_allclose(found.tail.log_sum_exp, np.log(np.exp(rest).sum(axis=-1)), rtol=1e-12)
    np.testing.assert_allclose(found.tail.mean, rest.mean(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(found.tail.variance, rest.var(axis=-1), rtol=1e-10, atol=1e-14)


def test_top_k_of_all_classes_has_an_empty_tail() -> None:
    tail = top_k(pair((3, 47))[0], 47).tail
    assert tail.classes.tolist() == [0, 0, 0]
    assert tail.mean.tolist() == tail.variance.tolist() == [0.0, 0.0, 0.0]
    assert tail_log_mass(tail, 3.0).tolist() == [-math.inf] * 3


def test_top_k_worked_by_hand() -> None:
    """Probabilities 4/8, 2/8, 1/8, 1/8 and K = 1: the tail is half of the mass, and log 1/8 + log(2)/3 on average."""
    found = top_k(torch.tensor([1 / 8, 4 / 8, 1 / 8, 2 / 8], dtype=torch.float64).log(), 1)
    assert found.ids.tolist() == [1]
    assert float(found.logits) == pytest.approx(math.log(1 / 2))
    assert [float(x) for x in found.tail] == pytest.approx(
        [math.log(1 / 2), 3, math.log(1 / 8) + math.log(2) / 3, 2 * math.log(2) ** 2 / 9]
    )


@pytest.mark.parametrize("k", [1, 2, 46])
def test_tail_mass_is_exact_at_temperature_one(k: int) -> None:
    logits = pair((3, 47))[0]
    np.testing.assert_allclose(tail_log_mass(top_k(logits, k).tail, 1.0), true_tail_log_mass(logits, k, 1.0), rtol=1e-9)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_mass_of_one_class_is_exact_at_every_temperature(temperature: float) -> None:
    logits = pair((3, 47))[0]
    found, smallest = tail_log_mass(top_k(logits, 46).tail, temperature), np.log(softmax(logits.numpy())).min(axis=-1)
    np.testing.assert_allclose(found, smallest / temperature, rtol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_mass_of_equal_classes_is_exact_at_every_temperature(temperature: float) -> None:
    logits = torch.tensor([[5.0, *[-1.0] * 20]], dtype=torch.float64)
    found = tail_log_mass(top_k(logits, 1).tail, temperature)
    np.testing.assert_allclose(found, true_tail_log_mass(logits, 1, temperature), rtol=1e-12)


def test_tail_mass_tends_to_the_number_of_classes() -> None:
    """At b = 1/T the true mass is log n + mean b + variance b^2 / 2 + O(b^3)."""
    logits = words(3)
    for temperature in (1e2, 1e3, 1e4):
        error = tail_log_mass(top_k(logits, 16).tail, temperature) - true_tail_log_mass(logits, 16, temperature)
        assert float(error.abs().max()) < 2.0 / temperature**3
    assert float(tail_log_mass(top_k(logits, 16).tail, 1e9)[0]) == pytest.approx(math.log(5984), abs=1e-7)


# Largest error over 50 rows in nats, by K; columns are T = 1, 2, 3, 8, 64. About twice what was seen.
BOUNDS = {
    1: [1e-9, 0.5, 0.2, 0.012, 2.5e-5],
    16: [1e-9, 1e-2, 5e-3, 4e-4, 8e-7],
    64: [1e-9, 4e-3, 1.2e-3, 6e-5, 1e-7],
    1024: [1e-9, 7e-4, 3e-4, 2e-5, 5e-8],
}


@pytest.mark.parametrize("k", BOUNDS)
def test_tail_mass_is_close_at_every_temperature(k: int) -> None:
    logits = words()
    for temperature, bound in zip(TEMPERATURES, BOUNDS[k], strict=True):
        found = tail_log_mass(top_k(logits, k).tail, temperature).numpy()
        assert np.abs(found - true_tail_log_mass(logits, k, temperature)).max() < bound, f"T = {temperature}"


def test_classes_that_the_teacher_rules_out_are_not_in_the_tail() -> None:
    logits = words(3, 200)
    ruled_out = torch.cat([logits, torch.full((3, 50), -math.inf, dtype=torch.float64)], dim=-1)
    for ours, theirs in zip(top_k(ruled_out, 4).tail, top_k(logits, 4).tail, strict=True):
        torch.testing.assert_close(ours, theirs)
    student = torch.randn(3, 250, dtype=torch.float64, requires_grad=True)
    loss = topk_kd_loss(student, top_k(ruled_out, 4), 1.0)
    p, q = softmax(ruled_out.numpy()), softmax(student.detach().numpy())
    order = sorted_classes(ruled_out)
    p, q = np.take_along_axis(p, order, -1), np.take_along_axis(q, order, -1)
    p, q = (np.concatenate([x[:, :4], x[:, 4:].sum(axis=-1, keepdims=True)], axis=-1) for x in (p, q))
    assert loss.item() == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-9)
    assert bool(gradient(loss, student).isfinite().all())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_teacher_that_rules_out_the_whole_tail_is_served(policy: str) -> None:
    """Only 3 classes are possible and K = 5: both policies are then the divergence over those 3."""
    student, teacher = pair((4, 20))
    teacher[:, 3:] = -math.inf
    p, q = softmax(teacher[:, :3].numpy() / 2), softmax(student.numpy() / 2)[:, :3]
    student.requires_grad_()
    loss = topk_kd_loss(student, top_k(teacher, 5), 2.0, policy=policy)
    assert loss.item() == pytest.approx(4 * float((p * np.log(p / q)).sum()), rel=1e-9)
    expected = softmax(student.detach().numpy() / 2)
    expected[:, :3] -= p
    np.testing.assert_allclose(gradient(loss, student), 2 * expected, atol=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("temperature", [0.5, *TEMPERATURES])
def test_all_classes_are_the_whole_distillation(temperature: float, policy: str) -> None:
    student, teacher = pair((31, 123))
    student.requires_grad_()
    ours = topk_kd_loss(student, top_k(teacher, 123), temperature, policy=policy)
    whole = kd_loss(student, teacher, temperature)
    torch.testing.assert_close(ours, whole, rtol=1e-11, atol=0)
    torch.testing.assert_close(gradient(ours, student), gradient(whole, student), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("shape", "k"), CASES)
def test_tail_policy_is_the_divergence_of_the_outcomes(shape: tuple[int, ...], k: int) -> None:
    student, teacher = pair(shape)
    student.requires_grad_()
    ours, oracle = topk_kd_loss(student, top_k(teacher, k), 1.0), grouped_divergence(student, teacher, k, 1.0)
    torch.testing.assert_close(ours, oracle, rtol=1e-9, atol=0)
    torch.testing.assert_close(gradient(ours, student), gradient(oracle, student), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_policy_with_one_class_left_out_is_the_whole_distillation(temperature: float) -> None:
    student, teacher = pair((31, 123))
    student.requires_grad_()
    ours, whole = topk_kd_loss(student, top_k(teacher, 122), temperature), kd_loss(student, teacher, temperature)
    torch.testing.assert_close(ours, whole, rtol=1e-9, atol=0)
    torch.testing.assert_close(gradient(ours, student), gradient(whole, student), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_policy_is_close_to_the_outcomes_at_every_temperature(temperature: float) -> None:
    """Only the sketch is between them: under 1 % of value and gradient at K = 16."""
    teacher = words()
    student = (0.8 * teacher + 0.7 * words().roll(1, dims=0)).requires_grad_()
    ours = topk_kd_loss(student, top_k(teacher, 16), temperature)
    oracle = grouped_divergence(student, teacher, 16, temperature)
    assert ours.item() == pytest.approx(oracle.item(), rel=1e-2)
    mine, right = gradient(ours, student), gradient(oracle, student)
    assert float((mine - right).norm() / right.norm()) < 1e-2


def test_tail_policy_worked_by_hand() -> None:
    """Teacher (1/2 | 1/4, 1/4), student (1/4 | 1/4, 1/2), K = 1, T = 1: p = (1/2, 1/2) and q = (1/4, 3/4)."""
    teacher, student = (torch.tensor([p]).log() for p in ([0.5, 0.25, 0.25], [0.25, 0.25, 0.5]))
    student.requires_grad_()
    loss = topk_kd_loss(student, top_k(teacher, 1), 1.0)
    assert loss.item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-6)
    # q - p of an outcome, shared among its classes by the student's own probabilities.
    assert gradient(loss, student).flatten().tolist() == pytest.approx([-0.25, 0.25 / 3, 0.5 / 3], rel=1e-5)


@given(st.integers(0, 2**31), st.integers(1, 12), st.floats(min_value=-50, max_value=50))
def test_tail_policy_is_a_lower_bound_and_blind_to_a_shift(seed: int, k: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (5 * torch.randn(3, 13, generator=generator, dtype=torch.float64) for _ in range(2))
    loss = topk_kd_loss(student, top_k(teacher, k), 1.0)
    assert -1e-9 <= float(loss) <= float(kd_loss(student, teacher, 1.0)) + 1e-9
    torch.testing.assert_close(topk_kd_loss(student + shift, top_k(teacher - shift, k), 1.0), loss)


@pytest.mark.parametrize("k", [1, 2, 46, 47])
def test_a_student_that_equals_the_teacher_has_no_loss_and_no_gradient(k: int) -> None:
    for dtype, near in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        student = pair((3, 47), dtype)[0].requires_grad_()
        loss = topk_kd_loss(student, top_k(student.detach(), k), 1.0)
        assert abs(loss.item()) < near
        assert float(gradient(loss, student).abs().max()) < near


def test_at_one_temperature_a_shift_of_the_kept_logits_changes_nothing() -> None:
    """Any constant may have been added to a row, its tail included."""
    student, teacher = pair((3, 47))
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
    shape: tuple[int, ...], k: int, temperature: float
) -> None:
    """Tan et al. 2019: T^2 * [-sum_{k <= K} softmax_K(z / T)_k log p_student,T(k)]; ours is less by T^2 * entropy."""
    student, teacher = pair(shape)
    student.requires_grad_()
    order = sorted_classes(teacher)[..., :k]
    p = softmax(np.take_along_axis(teacher.numpy(), order, axis=-1) / temperature)
    log_q = torch.log(torch.softmax(student / temperature, dim=-1)).gather(-1, torch.from_numpy(order))
    cross_entropy = -(temperature**2) * (torch.from_numpy(p) * log_q).sum()
    entropy = -float((p * np.log(p)).sum())
    ours = topk_kd_loss(student, top_k(teacher, k), temperature, policy="renormalize")
    assert ours.item() == pytest.approx(cross_entropy.item() - temperature**2 * entropy, rel=1e-9)
    torch.testing.assert_close(gradient(ours, student), gradient(cross_entropy, student), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("shape", "k"), CASES)
def test_split_log_mass(shape: tuple[int, ...], k: int, temperature: float) -> None:
    logits = pair(shape)[0]
    order = sorted_classes(logits.flip(-1))  # not the largest ones: any classes may be named
    top, rest = split_log_mass(logits, torch.from_numpy(order[..., :k].copy()), temperature)
    z = np.take_along_axis(logits.numpy(), order, axis=-1) / temperature
    np.testing.assert_allclose(top, z[..., :k], rtol=1e-12)
    np.testing.assert_allclose(rest, np.log(np.exp(z[..., k:]).sum(axis=-1, keepdims=True)), rtol=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_split_log_mass_by_finite_differences(temperature: float) -> None:
    logits = pair((2, 3, 7))[0].requires_grad_()
    ids = torch.tensor([[[0, 6], [5, 2], [3, 1]], [[1, 0], [4, 6], [2, 5]]])
    assert torch.autograd.gradcheck(lambda z: split_log_mass(z, ids, temperature), logits)


def test_split_log_mass_leaves_the_logits_alone() -> None:
    logits = pair((3, 47))[0].requires_grad_()
    before = logits.detach().clone()
    top, rest = split_log_mass(logits, top_k(before, 4).ids, 1.0)
    torch.autograd.grad((top.sum() + 2 * rest.sum()), logits)
    torch.testing.assert_close(logits.detach(), before, rtol=0, atol=0)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_gradient_by_finite_differences(temperature: float, policy: str) -> None:
    student, teacher = pair((3, 7))
    kept = top_k(teacher, 3)
    assert torch.autograd.gradcheck(
        lambda z: topk_kd_loss(z, kept, temperature, policy=policy), student.requires_grad_()
    )


def test_a_student_that_is_sure_of_the_top_keeps_a_true_tail() -> None:
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
    found = gradient(loss, student)[0].double()
    np.testing.assert_allclose(found[:2], [0.1, 0.0], atol=1e-6)
    np.testing.assert_allclose(found[2:], -0.1 * tail / tail.sum(), rtol=1e-5)


def test_fp32_rounds_a_row_by_no_more_than_the_whole_distillation() -> None:
    """`kd_loss` promises T^2 * 6e-8 nats a row."""
    teacher = words(4).float()
    student = teacher + 0.2 * torch.randn(teacher.shape, generator=torch.Generator().manual_seed(1))
    exact = grouped_divergence(student.double(), teacher.double(), 2000, 64.0)
    assert float(topk_kd_loss(student, top_k(teacher, 2000), 64.0)) == pytest.approx(float(exact), abs=4 * 64**2 * 6e-8)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_fp32(dtype: torch.dtype, policy: str) -> None:
    student, teacher = pair((31, 123), dtype)
    assert top_k(teacher, 16).logits.dtype == torch.float32
    student.requires_grad_()
    loss = topk_kd_loss(student, top_k(teacher, 16), 2.0, policy=policy)
    loss.backward()
    exact = student.detach().double().requires_grad_()
    right = topk_kd_loss(exact, top_k(teacher.double(), 16), 2.0, policy=policy)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(right.item(), rel=1e-5)
    torch.testing.assert_close(student.grad, gradient(right, exact).to(dtype))


@pytest.mark.parametrize("policy", POLICIES)
def test_kept_logits_may_be_stored_in_half_precision(policy: str) -> None:
    student, teacher = pair((31, 123), torch.float32)
    kept = top_k(teacher, 16)
    loss = topk_kd_loss(student, kept._replace(logits=kept.logits.half()), 2.0, policy=policy)
    assert float(loss) == pytest.approx(float(topk_kd_loss(student, kept, 2.0, policy=policy)), rel=2e-3)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_upstream_gradient_scales_the_gradient(policy: str) -> None:
    student, teacher = pair((3, 47))
    student.requires_grad_()
    once, fivefold = (c * topk_kd_loss(student, top_k(teacher, 4), 3.0, policy=policy) for c in (1, 5))
    torch.testing.assert_close(gradient(fivefold, student), 5 * gradient(once, student))


@pytest.mark.parametrize("k", [4, 47])
@pytest.mark.parametrize("policy", POLICIES)
def test_gradient_never_reaches_the_teacher(policy: str, k: int) -> None:
    student, teacher = (z.requires_grad_() for z in pair((3, 47)))
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


@pytest.mark.parametrize("k", [0, -1, 48])
def test_a_k_that_is_not_from_one_to_all_is_refused(k: int) -> None:
    with pytest.raises(UserError, match=rf"K is {k}; it must be from 1 to the number of classes, 47"):
        top_k(torch.zeros(3, 47), k)


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


@pytest.mark.parametrize("low", [-1e3, -1e4])
@pytest.mark.parametrize("temperature", [1.5, 2.0, 3.0])
def test_a_class_far_below_the_others_does_not_carry_the_tail_away(low: float, temperature: float) -> None:
    """Such a class (a finite mask) makes the logits' variance huge; the tail's mass is that of all the others."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 500, generator=generator, dtype=torch.float64)
    logits[0, 7] = low
    kept = top_k(logits, 4)
    rest = torch.log_softmax(logits, -1).scatter(-1, kept.ids, -math.inf)
    exact = (rest / temperature).logsumexp(-1)
    assert (tail_log_mass(kept.tail, temperature) - exact).abs().item() < 0.15
