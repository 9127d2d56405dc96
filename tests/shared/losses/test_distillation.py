"""Oracles: the divergence written out in numpy float64, and hand-worked values."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.losses import kd_loss

TEMPERATURES = [1.0, 2.0, 3.0, 8.0, 64.0]


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, scale: float = 3.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    return [(scale * torch.randn(*shape, generator=generator)).to(dtype) for _ in range(2)]


def softmax(z: np.ndarray) -> np.ndarray:
    exps = np.exp(z - z.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def by_definition(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> float:
    p = softmax(teacher.double().numpy() / temperature)
    q = softmax(student.double().numpy() / temperature)
    return float(temperature**2 * (p * np.log(p / q)).sum())


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("shape", [(1, 2), (3, 47), (31, 123), (4, 5, 17)])
def test_equals_the_definition(shape: tuple[int, ...], temperature: float) -> None:
    student, teacher = pair(shape)
    rounding = temperature**2 * 6e-8 * student[..., 0].numel()  # the docstring's bound, in fp32
    assert float(kd_loss(student, teacher, temperature)) == pytest.approx(
        by_definition(student, teacher, temperature), rel=1e-5, abs=rounding
    )
    assert float(kd_loss(student.double(), teacher.double(), temperature)) == pytest.approx(
        by_definition(student, teacher, temperature), rel=1e-9
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_identical_logits_have_no_divergence_and_no_gradient(temperature: float, dtype: torch.dtype) -> None:
    student, _ = pair((31, 123), dtype)
    student.requires_grad_()
    loss = kd_loss(student, student.detach().clone(), temperature)
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad is not None
    assert float(student.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_bf16_logits_are_computed_in_fp32(temperature: float) -> None:
    student, teacher = pair((31, 123), torch.bfloat16)
    loss = kd_loss(student, teacher, temperature)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(by_definition(student, teacher, temperature), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradient_is_t_times_the_difference_of_probabilities(temperature: float, dtype: torch.dtype) -> None:
    """d/dz_s of T^2 KL(p || q) with q = softmax(z_s / T) is T (q - p)."""
    student, teacher = pair((31, 123), dtype)
    student.requires_grad_()
    (5 * kd_loss(student, teacher, temperature)).backward()
    expected = temperature * (
        softmax(student.detach().double().numpy() / temperature) - softmax(teacher.double().numpy() / temperature)
    )
    torch.testing.assert_close(student.grad, torch.from_numpy(5 * expected).to(dtype), rtol=1e-4, atol=1e-5)


def test_gradient_by_finite_differences() -> None:
    student, teacher = pair((3, 7), torch.float64)
    mask = torch.tensor([True, False, True])
    assert torch.autograd.gradcheck(lambda z: kd_loss(z, teacher, 2.0, mask=mask), student.requires_grad_())


def test_worked_by_hand() -> None:
    """p = (3/4, 1/4), q = (1/2, 1/2), T = 1: 3/4 ln(3/2) + 1/4 ln(1/2). Logits doubled at T = 2: four times that."""
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(kd_loss(student, teacher, 1.0)) == pytest.approx(divergence, rel=1e-6)
    assert float(kd_loss(2 * student, 2 * teacher, 2.0)) == pytest.approx(4 * divergence, rel=1e-6)


def test_high_temperature_limit_is_squared_distance_of_centred_logits() -> None:
    """Hinton et al. 2015, equation 4: as T grows, T^2 KL tends to |z_t - z_s|^2 / (2 K) for centred logits."""
    student, teacher = pair((5, 11), torch.float64, scale=1.0)
    difference = (teacher - teacher.mean(-1, keepdim=True)) - (student - student.mean(-1, keepdim=True))
    limit = float(difference.square().sum()) / (2 * 11)
    assert float(kd_loss(student, teacher, 1e4)) == pytest.approx(limit, rel=1e-3)


def test_masked_rows_count_nothing() -> None:
    student, teacher = pair((4, 5, 17))
    mask = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    expected = by_definition(student[mask], teacher[mask], 3.0)
    assert float(kd_loss(student, teacher, 3.0, mask=mask)) == pytest.approx(expected, rel=1e-4)


def test_fp32_is_exact_enough_where_models_nearly_agree_at_high_temperature() -> None:
    """Summing p (log p - log q) alone is 2 % off here: T^2 times the rounding of the normalizers."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(4, 6000, generator=generator)
    student = teacher + 0.4 * torch.randn(4, 6000, generator=generator)
    assert float(kd_loss(student, teacher, 64.0)) == pytest.approx(by_definition(student, teacher, 64.0), rel=2e-3)


def test_masked_rows_may_hold_anything() -> None:
    student, teacher = pair((3, 47))
    student[1], teacher[1] = math.nan, math.inf
    student.requires_grad_()
    kd_loss(student, teacher, 2.0, mask=torch.tensor([True, False, True])).backward()
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


@pytest.mark.parametrize("mask", [torch.ones(3), torch.ones(2, dtype=torch.bool)])
def test_a_mask_that_does_not_fit_is_refused(mask: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="want a bool mask"):
        kd_loss(torch.zeros(3, 4), torch.zeros(3, 4), 1.0, mask=mask)


def test_all_masked_is_a_connected_zero() -> None:
    student, teacher = pair((3, 47))
    student.requires_grad_()
    loss = kd_loss(student, teacher, 2.0, mask=torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad is not None
    assert not student.grad.any()


def test_gradient_never_reaches_the_teacher() -> None:
    student, teacher = pair((3, 47))
    teacher.requires_grad_()
    kd_loss(student.requires_grad_(), teacher, 2.0).backward()
    assert teacher.grad is None


def test_classes_the_teacher_rules_out_count_nothing() -> None:
    student, teacher = pair((3, 5), torch.float64)
    ruled_out = teacher.clone()
    ruled_out[:, 4] = -math.inf
    student.requires_grad_()
    loss = kd_loss(student, ruled_out, 2.0)
    loss.backward()
    p = softmax(teacher[:, :4].numpy() / 2)
    q = softmax(student.detach().numpy() / 2)[:, :4]
    assert loss.item() == pytest.approx(4 * float((p * np.log(p / q)).sum()), rel=1e-9)
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


@given(st.floats(min_value=0.5, max_value=64), st.integers(0, 2**31), st.floats(min_value=-50, max_value=50))
def test_divergence_is_non_negative_and_blind_to_a_shift(temperature: float, seed: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (5 * torch.randn(3, 13, generator=generator, dtype=torch.float64) for _ in range(2))
    loss = kd_loss(student, teacher, temperature)
    assert float(loss) >= -1e-9
    torch.testing.assert_close(kd_loss(student + shift, teacher - shift, temperature), loss)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    with pytest.raises(UserError, match="above 0"):
        kd_loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        kd_loss(torch.zeros(2, 3), torch.zeros(2, 4), 1.0)
