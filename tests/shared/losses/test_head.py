"""The head's loss, against the same loss of its logits in float64."""

from typing import Any

import pytest
import torch
from torch import Tensor

from shared.losses import Head, fused, fused_terms, head, head_terms
from shared.losses.kernels import chunked

WEIGHTS = {"temperature": 2.0, "alpha": 0.1, "kd_weight": 0.9, "hard_weight": 0.1}


def inputs(dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    """Student (hidden [2, 7, 4], weight [9, 4], bias [9]), teacher (d = 5), targets and mask [2, 7]."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (
        [torch.randn(*shape, generator=generator).to(dtype) for shape in ((2, 7, d), (9, d), (9,))] for d in (4, 5)
    )
    return student, teacher, torch.randint(9, (2, 7), generator=generator), torch.rand(2, 7, generator=generator) < 0.6


@pytest.fixture(params=[1 << 23, 9, 18])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows at once, one, and two."""
    monkeypatch.setattr(head, "_CHUNK_ON_CPU", request.param)


def gradients_of(student: list[Tensor], loss: Tensor) -> list[Tensor]:
    (2.5 * loss).backward()
    return [tensor.grad for tensor in student if tensor.grad is not None]


def leaves(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.clone().requires_grad_() for tensor in tensors]


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_the_loss_of_the_logits(bias: bool, masked: bool) -> None:
    student, teacher, target, mask = inputs()
    options: dict[str, Any] = WEIGHTS | {"mask": mask if masked else None}
    student, teacher = (tensors[: 2 + bias] for tensors in (student, teacher))
    one, other = leaves(student), leaves(student)
    terms = head_terms(Head(*one), Head(*teacher), target, **options)
    expected = fused_terms(Head(*other).logits(), Head(*teacher).logits(), target, backend="eager", **options)
    torch.testing.assert_close(torch.stack([*terms]), torch.stack([*expected]))
    for found, exact in zip(gradients_of(one, terms.loss), gradients_of(other, expected.loss), strict=True):
        torch.testing.assert_close(found, exact)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_fp32(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 1,400 chunks of a row."""
    monkeypatch.setattr(head, "_CHUNK_ON_CPU", 1)
    student, teacher, target, _ = inputs(dtype)
    for tensors in (student, teacher):
        tensors[0] = tensors[0].repeat(1, 100, 1)
    target = target.repeat(1, 100)
    one, other = leaves(student), leaves([tensor.float() for tensor in student])
    terms = head_terms(Head(*one), Head(*teacher), target, **WEIGHTS)
    logits = Head(*(tensor.float() for tensor in teacher)).logits()
    expected = fused_terms(Head(*other).logits(), logits, target, **WEIGHTS)
    for found, exact in zip(gradients_of(one, terms.loss), gradients_of(other, expected.loss), strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found.float(), exact, rtol=0.02, atol=0.02 * float(exact.abs().max()))


def test_under_autocast_it_is_what_a_linear_layer_would_be() -> None:
    student, teacher, target, _ = inputs(torch.float32)
    one, other = leaves(student), leaves(student)
    of_teacher = Head(*teacher).logits()  # in its own precision: --teacher-dtype says which
    with torch.autocast("cpu", torch.bfloat16):
        terms = head_terms(Head(*one), Head(*teacher), target, **WEIGHTS)
        expected = fused_terms(Head(*other).logits(), of_teacher, target, **WEIGHTS)
    assert terms.loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    for found, exact in zip(gradients_of(one, terms.loss), gradients_of(other, expected.loss), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, exact, rtol=0.02, atol=0.01 * float(exact.abs().max()))


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
def test_only_the_gradients_that_are_wanted(wanted: tuple[bool, bool]) -> None:
    student, teacher, target, _ = inputs()
    hidden, weight = (tensor.requires_grad_(want) for tensor, want in zip(student[:2], wanted, strict=True))
    loss = head_terms(Head(hidden, weight), Head(*teacher), target, **WEIGHTS).loss
    assert loss.requires_grad == any(wanted)
    if any(wanted):
        loss.backward()
    assert (hidden.grad is not None, weight.grad is not None) == wanted


def test_without_gradient_nothing_is_kept() -> None:
    student, teacher, target, _ = inputs()
    one = leaves(student)
    with torch.no_grad():
        terms = head_terms(Head(*one), Head(*teacher), target, **WEIGHTS)
    assert not terms.loss.requires_grad
    assert terms.loss == head_terms(Head(*one), Head(*teacher), target, **WEIGHTS).loss


def test_the_graph_can_be_walked_backward_once() -> None:
    student, teacher, target, _ = inputs()
    loss = head_terms(Head(*leaves(student)), Head(*teacher), target, **WEIGHTS).loss
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="used already"):
        loss.backward()


def test_a_gradient_of_the_gradient_is_refused() -> None:
    student, teacher, target, _ = inputs()
    one = leaves(student)
    loss = head_terms(Head(*one), Head(*teacher), target, **WEIGHTS).loss
    with pytest.raises(RuntimeError, match="create_graph"):
        torch.autograd.grad(loss, one, create_graph=True)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("looks", [True, False], ids=["on a CPU", "as on a GPU"])
def test_rows_that_do_not_count_may_hold_anything(looks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher, target, mask = inputs()
    clean = leaves(student)
    head_terms(Head(*clean), Head(*teacher), target, mask=mask, **WEIGHTS).loss.backward()
    for module in (head, fused, chunked):
        monkeypatch.setattr(module, "may_look", lambda tensor: looks)
    for tensors in (student, teacher):
        tensors[0] = tensors[0].masked_fill(~mask.unsqueeze(-1), float("nan"))
    ill = leaves(student)
    head_terms(Head(*ill), Head(*teacher), target, mask=mask, **WEIGHTS).loss.backward()
    for one, other in zip(ill, clean, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_no_row_that_counts_is_a_connected_zero() -> None:
    student, teacher, target, mask = inputs()
    one = leaves(student)
    loss = head_terms(Head(*one), Head(*teacher), target, mask=torch.zeros_like(mask), **WEIGHTS).loss
    loss.backward()
    assert loss == 0.0
    assert all(torch.equal(tensor.grad, torch.zeros_like(tensor)) for tensor in one)


def test_what_does_not_fit_is_refused() -> None:
    student, teacher, target, mask = inputs()
    with pytest.raises(ValueError, match="9 classes and the teacher 8"):
        head_terms(Head(*student), Head(teacher[0], teacher[1][:8], teacher[2][:8]), target, **WEIGHTS)
    with pytest.raises(ValueError, match="want hidden states"):
        head_terms(Head(*student), Head(*teacher), target[:1], **WEIGHTS)
    with pytest.raises(ValueError, match="bool mask"):
        head_terms(Head(*student), Head(*teacher), target, mask=mask.int(), **WEIGHTS)
