"""Oracles: numpy's corrcoef in float64, its finite differences, an independent composition in torch, values by hand.

The other choices (epsilon, tau_squared, dense logits) are in test_dist_choices.py, several ranks in test_dist_ranks.py.
"""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.errors import UserError
from shared.losses import dist_loss
from shared.losses.dist import Epsilon

SHAPES = [(2, 3), (3, 47), (31, 123), (64, 10)]
TAUS = [1.0, 2.0, 4.0]
Array = npt.NDArray[np.float64]


def pair(shape: tuple[int, int], dtype: torch.dtype = torch.float64, scale: float = 1.5) -> list[Tensor]:
    """Logits of a student and of a teacher."""
    generator = torch.Generator().manual_seed(sum(shape))
    return [(scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype) for _ in range(2)]


def softmax(logits: Tensor, tau: float) -> Array:
    exps = np.exp(logits.detach().double().numpy() / tau)
    return exps / exps.sum(axis=1, keepdims=True)


def correlations(student: Array, teacher: Array) -> Array:
    """Pearson's correlation of each row of one with the same row of the other."""
    return np.array([np.corrcoef(one, other)[0, 1] for one, other in zip(student, teacher, strict=True)])


def by_definition(student: Tensor, teacher: Tensor, tau: float, beta: float = 1.0, gamma: float = 1.0) -> float:
    p, q = softmax(teacher, tau), softmax(student, tau)
    inter, intra = 1 - correlations(q, p).mean(), 1 - correlations(q.T, p.T).mean()
    return float(tau**2 * (beta * inter + gamma * intra))


def by_distance(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """The same in torch another way: 1 - rho is half the squared distance of the standardized vectors."""
    terms = []
    for dim in (1, 0):
        units = [torch.softmax(z / tau, dim=1) for z in (student, teacher)]
        units = [x - x.mean(dim=dim, keepdim=True) for x in units]
        units = [torch.nn.functional.normalize(x, dim=dim) for x in units]
        terms.append((units[0] - units[1]).square().sum(dim=dim).mean() / 2)
    return tau**2 * (terms[0] + terms[1])


# rho is <a, b> / (|a| |b| + 1e-8): against corrcoef's rho it is smaller by about 1e-8 / (|a| |b|).
@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definition(shape: tuple[int, int], tau: float) -> None:
    student, teacher = pair(shape)
    expected = by_definition(student, teacher, tau)
    assert float(dist_loss(student, teacher, tau=tau, eps=0.0)) == pytest.approx(expected, rel=1e-9)
    assert float(dist_loss(student, teacher, tau=tau)) == pytest.approx(expected, rel=2e-4)
    assert float(dist_loss(student.float(), teacher.float(), tau=tau)) == pytest.approx(expected, rel=2e-4)


def test_the_epsilon_is_added_to_the_product_of_the_norms() -> None:
    """Of 3,000 classes each gets about 3e-4: against corrcoef, the columns' correlations shrink visibly."""
    student, teacher = pair((4, 3000), scale=0.1)
    p, q = softmax(teacher, 1.0), softmax(student, 1.0)
    norms = [np.linalg.norm(x - x.mean(axis=0), axis=0) for x in (q, p)]
    product = norms[0] * norms[1]
    expected = 1 - (correlations(q.T, p.T) * product / (product + 1e-8)).mean()
    assert float(dist_loss(student, teacher, beta=0.0)) == pytest.approx(expected, rel=1e-9)
    assert float(dist_loss(student, teacher, beta=0.0)) != pytest.approx(1 - correlations(q.T, p.T).mean(), rel=1e-5)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.5, 3.0)])
def test_beta_weighs_the_rows_and_gamma_the_columns(weights: tuple[float, float]) -> None:
    student, teacher = pair((31, 11))
    found = dist_loss(student, teacher, tau=2.0, beta=weights[0], gamma=weights[1], eps=0.0)
    assert float(found) == pytest.approx(by_definition(student, teacher, 2.0, *weights), rel=1e-9)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_that_of_the_distance_of_standardized_vectors(shape: tuple[int, int], tau: float) -> None:
    student, teacher = pair(shape)
    student.requires_grad_()
    (ours,) = torch.autograd.grad(5 * dist_loss(student, teacher, tau=tau, eps=0.0), student)
    (oracle,) = torch.autograd.grad(5 * by_distance(student, teacher, tau), student)
    torch.testing.assert_close(ours, oracle, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("epsilon", ["add", "clamp"])
def test_gradient_by_finite_differences(epsilon: Epsilon) -> None:
    student, teacher = pair((4, 6))
    assert torch.autograd.gradcheck(lambda z: dist_loss(z, teacher, tau=2.0, epsilon=epsilon), student.requires_grad_())


@pytest.mark.parametrize("tau", TAUS)
def test_gradient_equals_the_finite_differences_of_the_definition(tau: float) -> None:
    student, teacher = pair((4, 6))
    (ours,) = torch.autograd.grad(dist_loss(student.requires_grad_(), teacher, tau=tau, eps=0.0), student)
    step = 1e-5
    for place in np.ndindex(*student.shape):
        moved = torch.zeros_like(student)
        moved[place] = step
        above, below = (by_definition(student + sign * moved, teacher, tau) for sign in (1, -1))
        assert float(ours[place]) == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


def test_worked_by_hand() -> None:
    """Rows agree in order: rho of the rows 1. Of the two classes' columns, teacher and student run against each other:
    rho -1. Two classes: (0.9, 0.1), (0.8, 0.2) against (0.7, 0.3), (0.8, 0.2)."""
    teacher, student = (torch.tensor(p).log() for p in ([[0.9, 0.1], [0.8, 0.2]], [[0.7, 0.3], [0.8, 0.2]]))
    assert float(dist_loss(student, teacher, gamma=0.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(dist_loss(student, teacher, beta=0.0)) == pytest.approx(2.0, abs=1e-5)
    assert float(dist_loss(2 * student, 2 * teacher, tau=2.0)) == pytest.approx(8.0, abs=1e-4)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_identical_logits_are_at_zero(dtype: torch.dtype, tau: float) -> None:
    """All that is left is the epsilon: 1 - rho = 1e-8 / (|a|^2 + 1e-8)."""
    student = pair((64, 10), dtype)[0].requires_grad_()
    loss = dist_loss(student, student.detach().clone(), tau=tau)
    loss.backward()
    p = softmax(student, tau)
    squares = [((p - p.mean(axis=axis, keepdims=True)) ** 2).sum(axis=axis) for axis in (1, 0)]
    left = tau**2 * sum(float((1e-8 / square).mean()) for square in squares)
    assert left < tau**2 * 2e-6
    assert loss.item() == pytest.approx(left, rel=1e-4, abs=1e-12 if dtype == torch.float64 else tau**2 * 5e-7)
    assert student.grad is not None
    assert float(student.grad.abs().max()) < 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_fp32(dtype: torch.dtype) -> None:
    student, teacher = pair((31, 123), dtype)
    loss = dist_loss(student, teacher, tau=4.0)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(by_definition(student, teacher, 4.0), rel=2e-4)


@given(st.integers(0, 2**31), st.floats(min_value=0.05, max_value=1.0))
def test_rho_of_rows_does_not_see_a_positive_affine_map(seed: int, keep: float) -> None:
    """Mixing a row's probabilities with the uniform distribution, m p + (1 - m) / C, leaves its correlations alone."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(5, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    mixed = (keep * torch.softmax(teacher, dim=1) + (1 - keep) / 7).log()
    torch.testing.assert_close(
        dist_loss(student, mixed, gamma=0.0, eps=0.0), dist_loss(student, teacher, gamma=0.0, eps=0.0)
    )


@given(st.integers(0, 2**31), st.floats(min_value=0.05, max_value=1.0))
def test_rho_of_columns_does_not_see_a_positive_affine_map(seed: int, keep: float) -> None:
    """Mixing every row with one and the same distribution r is m p + (1 - m) r_j on column j: another shift a class."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher, other = (torch.randn(5, 7, generator=generator, dtype=torch.float64) for _ in range(3))
    mixed = (keep * torch.softmax(student, dim=1) + (1 - keep) * torch.softmax(other[0], dim=0)).log()
    before = dist_loss(student, teacher, beta=0.0, eps=0.0)
    torch.testing.assert_close(dist_loss(mixed, teacher, beta=0.0, eps=0.0), before)


@given(st.integers(0, 2**31))
def test_order_of_rows_and_shifts_change_nothing_and_the_range_is_kept(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (3 * torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    loss = dist_loss(student, teacher)
    order = torch.randperm(6, generator=generator)
    torch.testing.assert_close(dist_loss(student[order] + 3.0, teacher[order] - 40.0), loss)
    assert -1e-9 <= float(loss) <= 4.0


def test_a_batch_of_one_row_has_no_columns_to_correlate() -> None:
    """A column of one value has no spread: its rho is 0, and it has no gradient."""
    student, teacher = pair((1, 47))
    student.requires_grad_()
    loss = dist_loss(student, teacher, tau=2.0)
    rows = 1 - correlations(softmax(student, 2.0), softmax(teacher, 2.0))[0]
    assert loss.item() == pytest.approx(4 * (rows + 1.0), rel=1e-5)
    (both,) = torch.autograd.grad(loss, student)
    (inter,) = torch.autograd.grad(dist_loss(student, teacher, tau=2.0, gamma=0.0), student)
    assert bool(both.isfinite().all())
    torch.testing.assert_close(both, inter)


def test_a_teacher_that_does_not_tell_classes_apart_gives_no_gradient() -> None:
    student = pair((3, 5))[0].requires_grad_()
    loss = dist_loss(student, torch.zeros(3, 5, dtype=torch.float64))
    loss.backward()
    assert loss.item() == pytest.approx(2.0)
    assert student.grad is not None
    assert not student.grad.any()


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("epsilon", ["add", "clamp"])
def test_a_student_that_does_not_tell_classes_apart_has_a_huge_gradient(epsilon: Epsilon, tau: float) -> None:
    """Row 1 of 3 is uniform: rho's gradient by its centred a is b / eps (with the clamp of a unit b), and the softmax's
    slope there, 1 / (4 tau), takes it to the logits."""
    student, teacher = pair((3, 4))
    student[1] = 0.0
    student.requires_grad_()
    (gradient,) = torch.autograd.grad(dist_loss(student, teacher, tau=tau, gamma=0.0, epsilon=epsilon), student)
    b = softmax(teacher, tau)[1] - 1 / 4
    by_a = b / 1e-8 if epsilon == "add" else b / (1e-8 * np.linalg.norm(b))
    np.testing.assert_allclose(gradient[1].numpy(), -(tau**2) / 3 * by_a / (4 * tau), rtol=1e-9)
    assert float(gradient[1].abs().max()) > 1e5
    assert float(gradient[[0, 2]].abs().max()) < 10


@pytest.mark.parametrize("epsilon", ["add", "clamp"])
def test_columns_of_equal_rows_have_a_huge_gradient_too(epsilon: Epsilon) -> None:
    teacher = pair((4, 4))[1]
    student = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    loss = dist_loss(student, teacher, beta=0.0, epsilon=epsilon)
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 1.0
    assert bool(gradient.isfinite().all())
    assert float(gradient.abs().max()) > 1e5


@pytest.mark.parametrize("epsilon", ["add", "clamp"])
def test_that_gradient_is_finite_in_fp32_and_in_fp16_where_rows_and_classes_are_many(epsilon: Epsilon) -> None:
    def largest(shape: tuple[int, int], dtype: torch.dtype) -> float:
        student = torch.zeros(shape, dtype=dtype, requires_grad=True)
        loss = dist_loss(student, pair(shape, dtype)[1], epsilon=epsilon)
        return float(torch.autograd.grad(loss, student)[0].abs().max())

    few, many = (4, 10), (128, 1000)
    assert 65504 < largest(few, torch.float32) < float("inf")
    assert largest(few, torch.float16) == float("inf")
    assert 1 < largest(many, torch.float32) < 65504
    assert 1 < largest(many, torch.float16) < 65504


def test_the_intra_class_term_depends_on_the_batch() -> None:
    """Two halves' mean is not the whole batch's value; without the columns it is."""
    student, teacher = pair((8, 5))

    def halves(gamma: float) -> float:
        return sum(float(dist_loss(student[h], teacher[h], gamma=gamma)) for h in (slice(4), slice(4, 8))) / 2

    assert halves(0.0) == pytest.approx(float(dist_loss(student, teacher, gamma=0.0)), rel=1e-9)
    assert halves(1.0) != pytest.approx(float(dist_loss(student, teacher)), rel=1e-2)


def test_an_empty_batch_is_a_connected_zero() -> None:
    student = torch.zeros(0, 47, requires_grad=True)
    loss = dist_loss(student, torch.zeros(0, 47))
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad is not None


def test_gradient_never_reaches_the_teacher() -> None:
    student, teacher = (z.requires_grad_() for z in pair((3, 47)))
    dist_loss(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan"), float("inf")])
def test_a_tau_that_is_not_above_zero_is_refused(tau: float) -> None:
    with pytest.raises(UserError, match="it must be above 0"):
        dist_loss(torch.zeros(2, 3), torch.zeros(2, 3), tau=tau)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2, 3), (3, 3)), ((2, 3, 4), (2, 3, 4)), ((3,), (3,))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"want two \[N, C\]"):
        dist_loss(*(torch.zeros(shape) for shape in shapes))
