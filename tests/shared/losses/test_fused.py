"""What autograd is told of the fused loss; its values and gradients are those of tests/shared/losses/kernels."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from shared.errors import UserError
from shared.losses import fused, fused_terms, kd_loss
from shared.losses.fused import multiply
from shared.losses.kernels import chunked

GENERATOR = torch.Generator().manual_seed(0)
HIDDEN = torch.randn(6, 4, generator=GENERATOR)
WEIGHT = torch.randn(9, 4, generator=GENERATOR)
TEACHER = torch.randn(6, 9, generator=GENERATOR)
TARGET = torch.randint(9, (6,), generator=GENERATOR)


@pytest.fixture
def weight() -> Tensor:
    return WEIGHT.clone().requires_grad_()


def distil(logits: Tensor, **options: Any) -> Tensor:
    return fused_terms(logits, TEACHER.clone(), TARGET, temperature=2.0, **options).loss


def expected(upstream: float) -> Tensor:
    weight = WEIGHT.clone().requires_grad_()
    (upstream * kd_loss(HIDDEN @ weight.T, TEACHER, 2.0)).backward()
    assert weight.grad is not None
    return weight.grad


@pytest.mark.parametrize("overwrite", [None, "student", "teacher"])
@pytest.mark.parametrize("upstream", [1.0, 2.5, 0.0])
def test_an_upstream_gradient_scales(weight: Tensor, upstream: float, overwrite: Any) -> None:
    (upstream * distil(HIDDEN @ weight.T, overwrite=overwrite)).backward()
    torch.testing.assert_close(weight.grad, expected(upstream))


@pytest.mark.parametrize("scale", [1.0, 4096.0])
def test_small_gradients_in_fp16_are_left_for_the_loss_scaler(scale: float) -> None:
    """As autograd's: multiplied first, and rounded to fp16 then. Most are below its smallest number, 6e-8."""
    generator = torch.Generator().manual_seed(1)
    logits, teacher = (4 * torch.randn(3, 30_000, generator=generator).half() for _ in range(2))
    found, expected = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (scale * fused_terms(found, teacher, torch.zeros(3).long(), temperature=2.0).loss).backward()
    (scale * kd_loss(expected, teacher, 2.0)).backward()
    assert found.grad is not None
    assert expected.grad is not None
    torch.testing.assert_close(found.grad.float(), expected.grad.float(), rtol=2**-9, atol=2**-23)


@pytest.mark.parametrize("factor", [2.0**-24, 2.0**17])
def test_a_factor_beyond_fp16_multiplies_in_fp32(factor: float) -> None:
    gradient = torch.tensor([2.0**15, -(2.0**-10)], dtype=torch.float16)
    expected = (gradient.float() * factor).half()
    multiply(gradient, torch.tensor(factor))
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize("installed", [False, True])
def test_without_triton_a_gpu_gets_chunks(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "find_spec", lambda name: installed)
    found = fused.backend_of("auto", torch.empty(0, device="meta"))
    assert found is chunked.run  # not a GPU
    on_gpu = SimpleNamespace(device=SimpleNamespace(type="cuda"))
    assert (fused.backend_of("auto", on_gpu) is chunked.run) == (not installed)  # type: ignore[arg-type]


@pytest.mark.parametrize("overwrite", [None, "student", "teacher"])
def test_the_graph_can_be_walked_backward_once(weight: Tensor, overwrite: Any) -> None:
    loss = distil(HIDDEN @ weight.T, overwrite=overwrite)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="used already"):
        loss.backward()


@pytest.mark.parametrize("overwrite", [None, "student", "teacher"])
def test_a_gradient_of_the_gradient_is_refused(weight: Tensor, overwrite: Any) -> None:
    """It would lack the second derivative in silence: an upstream gradient of 1 has no graph."""
    loss = distil(HIDDEN @ weight.T, overwrite=overwrite)
    with pytest.raises(RuntimeError, match="create_graph"):
        torch.autograd.grad(loss, weight, create_graph=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_waits_for_a_device(dtype: torch.dtype) -> None:
    """A tensor of the device "meta" holds nothing: whatever looked at a value would raise."""
    student, teacher = (torch.zeros(6, 9, dtype=dtype, device="meta") for _ in range(2))
    target, mask = TARGET.to("meta"), torch.ones(6, dtype=torch.bool, device="meta")
    options: dict[str, Any] = {"temperature": 2.0, "alpha": 0.1, "kd_weight": 0.9, "hard_weight": 0.1, "mask": mask}
    student.requires_grad_()
    fused_terms(student, teacher, target, **options).loss.backward()
    assert student.grad is not None
    assert student.grad.shape == (6, 9)
    with torch.no_grad():
        fused_terms(student, teacher, target, **options)


def test_logits_with_other_users_before_are_not_overwritten_unnoticed(weight: Tensor) -> None:
    """The square keeps the logits for its backward pass."""
    logits = HIDDEN @ weight.T
    other = logits.square().sum()
    loss = distil(logits, overwrite="student")
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (loss + other).backward()


def test_logits_with_other_users_after_are_not_overwritten_unnoticed(weight: Tensor) -> None:
    logits = HIDDEN @ weight.T
    loss = distil(logits, overwrite="student")
    with pytest.raises(RuntimeError, match="overwritten by their gradient"):
        (loss + logits.sum()).backward()


def test_what_cannot_be_overwritten_is_refused(weight: Tensor) -> None:
    leaf = TEACHER.clone().requires_grad_()
    with pytest.raises(ValueError, match="student's logits cannot hold the gradient: they are a leaf, or a view"):
        distil(leaf, overwrite="student")
    assert torch.equal(leaf, TEACHER)
    with pytest.raises(ValueError, match="they are a leaf, or a view"):
        distil((HIDDEN @ weight.T).view(6, 9), overwrite="student")
    with pytest.raises(ValueError, match="teacher's logits cannot hold the gradient: they are a leaf"):
        fused_terms(HIDDEN @ weight.T, leaf, TARGET, temperature=2.0, overwrite="teacher")
    with torch.inference_mode():
        teacher = TEACHER.clone()
    with pytest.raises(ValueError, match="inference mode"):
        fused_terms(HIDDEN @ weight.T, teacher, TARGET, temperature=2.0, overwrite="teacher")
    with pytest.raises(ValueError, match="student's logits cannot hold the gradient"):
        distil((weight @ HIDDEN.T).T, overwrite="student")
    with pytest.raises(ValueError, match=r"want contiguous torch\.float64"):
        distil(HIDDEN.double() @ weight.double().T, overwrite="teacher")
    with pytest.raises(UserError, match="overwrite 'both' is unknown; choose from student, teacher, or None"):
        distil(HIDDEN @ weight.T, overwrite="both")


@pytest.mark.parametrize("overwrite", ["student", "teacher"])
def test_the_gradient_has_the_memory_of_logits(weight: Tensor, overwrite: Any) -> None:
    logits, teacher = HIDDEN @ weight.T, TEACHER.clone()
    where: list[int] = []
    logits.register_hook(lambda gradient: where.append(gradient.data_ptr()))
    fused_terms(logits, teacher, TARGET, temperature=2.0, overwrite=overwrite).loss.backward()
    assert where == [{"student": logits, "teacher": teacher}[overwrite].data_ptr()]


def test_the_gradient_has_the_memory_that_is_given_step_after_step(weight: Tensor) -> None:
    kept = torch.full_like(TEACHER, float("nan"))
    for step in (1.0, 2.0):
        logits = step * HIDDEN @ weight.T
        gradients: list[Tensor] = []
        logits.register_hook(gradients.append)
        distil(logits, overwrite=kept).backward()
        assert gradients[0].data_ptr() == kept.data_ptr()
        leaf = logits.detach().requires_grad_()
        distil(leaf).backward()
        assert torch.equal(kept, leaf.grad)  # type: ignore[arg-type]


def test_memory_that_is_written_to_before_the_backward_pass_is_no_gradient(weight: Tensor) -> None:
    kept = torch.empty_like(TEACHER)
    first, second = (distil(HIDDEN @ weight.T, overwrite=kept) for _ in range(2))
    second.backward()
    with pytest.raises(RuntimeError, match="was written to before the backward pass"):
        first.backward()


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        (lambda _: torch.empty(2, 3), "want a contiguous one of"),
        (lambda logits: torch.empty_like(logits, dtype=torch.float64), "want a contiguous one of"),
        (lambda _: torch.empty(9, 6).T, "want a contiguous one of"),
        (lambda logits: torch.empty_like(logits).detach().requires_grad_(), "wants a gradient itself"),
        (lambda logits: logits.detach(), "say overwrite='student'"),
        (lambda _: TEACHER[:], "say overwrite='teacher'"),
    ],
)
def test_memory_that_cannot_hold_the_gradient_is_refused(weight: Tensor, memory: Any, message: str) -> None:
    logits = HIDDEN @ weight.T
    before = TEACHER.clone()
    with pytest.raises(ValueError, match=message):
        fused_terms(logits, TEACHER, TARGET, temperature=2.0, overwrite=memory(logits))
    assert torch.equal(TEACHER, before)


def test_the_students_logits_stay_where_the_teachers_are_overwritten(weight: Tensor) -> None:
    logits = HIDDEN @ weight.T
    before = logits.detach().clone()
    (distil(logits, overwrite="teacher") + logits.square().sum()).backward()
    assert torch.equal(logits, before)


def test_only_the_loss_has_a_gradient(weight: Tensor) -> None:
    loss, *sums = fused_terms(HIDDEN @ weight.T, TEACHER, TARGET, temperature=2.0)
    assert loss.requires_grad
    assert not any(term.requires_grad for term in sums)


@pytest.mark.parametrize("leading", [(2, 3), (6, 1), (1, 2, 3)])
def test_any_leading_shape(weight: Tensor, leading: tuple[int, ...]) -> None:
    logits = (HIDDEN @ weight.T).view(*leading, 9)
    mask = torch.ones(leading, dtype=torch.bool)
    teacher, target = TEACHER.view(*leading, 9), TARGET.view(leading)
    fused_terms(logits, teacher, target, temperature=2.0, mask=mask).loss.backward()
    torch.testing.assert_close(weight.grad, expected(1.0))


def test_strided_logits(weight: Tensor) -> None:
    teacher = TEACHER.T.contiguous().T
    logits = (weight @ HIDDEN.T).T
    fused_terms(logits, teacher, TARGET, temperature=2.0).loss.backward()
    torch.testing.assert_close(weight.grad, expected(1.0))


def test_the_teacher_has_no_gradient(weight: Tensor) -> None:
    teacher = TEACHER.clone().requires_grad_()
    fused_terms(HIDDEN @ weight.T, teacher, TARGET, temperature=2.0).loss.backward()
    assert teacher.grad is None


@pytest.mark.parametrize("wanted", [False, True])
def test_no_gradient_is_computed_where_none_is_wanted(
    weight: Tensor, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    real = chunked.run
    monkeypatch.setattr(chunked, "run", lambda *args: given.append(args[5]) or real(*args))  # type: ignore[func-returns-value]
    with torch.set_grad_enabled(wanted):
        loss = distil(HIDDEN @ weight.T)
    assert loss.requires_grad == wanted
    assert [gradient is not None for gradient in given] == [wanted]
    distil(HIDDEN @ WEIGHT.T)
    assert given[-1] is None


def test_no_rows_give_a_connected_zero(weight: Tensor) -> None:
    terms = fused_terms(HIDDEN[:0] @ weight.T, TEACHER[:0], TARGET[:0], temperature=2.0)
    terms.loss.backward()
    assert terms.loss == 0.0
    assert torch.equal(weight.grad, torch.zeros(9, 4))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"teacher": TEACHER[:, :8]}, "want student and teacher"),
        ({"target": TARGET[:5]}, "want student and teacher"),
        ({"mask": torch.ones(5, dtype=torch.bool)}, "want student and teacher"),
        ({"target": TARGET.int()}, "want an int64 target"),
        ({"mask": torch.ones(6)}, "a bool mask"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Tensor], message: str) -> None:
    teacher, target = given.get("teacher", TEACHER), given.get("target", TARGET)
    with pytest.raises(ValueError, match=message):
        fused_terms(TEACHER, teacher, target, temperature=2.0, mask=given.get("mask"))


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": 2.0, "alpha": 1.0},
        {"temperature": 2.0, "kd_weight": -0.1},
        {"temperature": 2.0, "hard_weight": float("inf")},
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError):
        fused_terms(TEACHER, TEACHER, TARGET, **options)
