"""Every backend that runs on a CPU, against the definition in float64."""

from typing import Any

import pytest
import torch
from torch import Tensor

from shared.errors import UserError
from shared.losses import FusedTerms, fused, fused_terms
from shared.losses.kernels import chunked
from tests.shared.losses.kernels.definition import Case, draw, expected

SHAPES = [(1, 2), (3, 47), (31, 123), (5, 4001)]
WEIGHTS = [(1.0, 0.0), (0.9, 0.1), (0.0, 1.0)]
BACKENDS = ["eager", "chunked"]


@pytest.fixture(params=["whole", "chunks", "as on a GPU"], autouse=True)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all rows in a chunk, with one row or a few; and as where to look at a tensor would be to wait for it."""
    monkeypatch.setattr(chunked, "_CHUNK_ON_CPU", 1 << 17 if request.param == "whole" else 1 << 7)
    if request.param == "as on a GPU":
        for module in (chunked, fused):
            monkeypatch.setattr(module, "may_look", lambda tensor: False)


def terms_and_gradient(case: Case, dtype: torch.dtype, **options: Any) -> tuple[FusedTerms, Tensor]:
    leaf = case.student.to(dtype, copy=True).requires_grad_()
    given = leaf.clone() if options.get("overwrite") else leaf
    if options.get("overwrite") == "memory":
        options["overwrite"] = torch.full_like(given, float("nan")).detach()
    options = {"mask": case.mask} | options
    terms = fused_terms(given, case.teacher.to(dtype, copy=True), case.target, **case.weights, **options)
    terms.loss.backward()
    assert leaf.grad is not None
    return terms, leaf.grad


def check(terms: FusedTerms, gradient: Tensor, case: Case, tolerance: float) -> None:
    values, exact = expected(case)
    rows = len(case.target)
    # The divergence's own rounding: see `kd_loss`.
    rounding = {"kd": case.weights["temperature"] ** 2 * tolerance * rows, "loss": 0.0}
    rounding["loss"] = case.weights["kd_weight"] * rounding["kd"]
    for name, value in values.items():
        found = getattr(terms, name).item()
        assert found == pytest.approx(value, rel=10 * tolerance, abs=tolerance * rows + rounding.get(name, 0.0)), name
    size = case.weights["temperature"] * case.weights["kd_weight"] + case.weights["hard_weight"]  # of one part of it
    torch.testing.assert_close(gradient.double(), exact, rtol=10 * tolerance, atol=size * tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mask", ["all", "some", "none"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 3.0, 64.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definition(
    shape: tuple[int, int], weights: tuple[float, float], alpha: float, temperature: float, mask: str, backend: str
) -> None:
    kd_weight, hard_weight = weights
    case = draw(*shape, mask, temperature=temperature, alpha=alpha, kd_weight=kd_weight, hard_weight=hard_weight)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        rounded = case._replace(student=case.student.to(dtype), teacher=case.teacher.to(dtype))
        check(*terms_and_gradient(rounded, dtype, backend=backend), rounded, tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "digit"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_half_precision_is_computed_in_fp32(dtype: torch.dtype, digit: float, backend: str) -> None:
    """Of the rounded logits; only the gradient is rounded once more, to the logits' own type."""
    case = draw(31, 123, "some", temperature=2.0, alpha=0.1, kd_weight=0.9, hard_weight=0.1)
    case = case._replace(student=case.student.to(dtype), teacher=case.teacher.to(dtype))
    terms, gradient = terms_and_gradient(case, dtype, backend=backend)
    values, exact = expected(case)
    assert terms.loss.dtype == torch.float32
    assert gradient.dtype == dtype
    assert terms.loss.item() == pytest.approx(values["loss"], rel=1e-5)
    torch.testing.assert_close(gradient.double(), exact, rtol=digit, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mask", ["all", "some"])
def test_the_memory_makes_no_difference(mask: str, backend: str) -> None:
    case = draw(31, 123, mask, temperature=2.0, alpha=0.1, kd_weight=0.9, hard_weight=0.1)
    one = terms_and_gradient(case, torch.float32, backend=backend)
    for overwrite in ("student", "teacher", "memory"):
        other = terms_and_gradient(case, torch.float32, backend=backend, overwrite=overwrite)
        assert torch.equal(one[1], other[1])
        assert torch.equal(torch.stack(one[0]), torch.stack(other[0]))


@pytest.mark.parametrize("weights", [*WEIGHTS, (0.0, 0.0)])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_without_statistics_loss_and_gradient_are_the_same(temperature: float, weights: tuple[float, float]) -> None:
    kd_weight, hard_weight = weights
    case = draw(31, 123, "some", temperature=temperature, alpha=0.1, kd_weight=kd_weight, hard_weight=hard_weight)
    one, other = (terms_and_gradient(case, torch.float32, statistics=value) for value in (False, True))
    torch.testing.assert_close(one[0].loss, other[0].loss)
    torch.testing.assert_close(one[1], other[1])
    assert one[0].teacher_entropy == 0.0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_classes_that_are_ruled_out(temperature: float, weights: tuple[float, float], backend: str) -> None:
    """By the teacher; by both; and at the edge, by logits that leave a probability of 0."""
    kd_weight, hard_weight = weights
    case = draw(5, 9, "all", temperature=temperature, alpha=0.0, kd_weight=kd_weight, hard_weight=hard_weight)
    case.target.fill_(1)
    case.teacher[:, 3] = -torch.inf
    case.teacher[:3, 4], case.student[:3, 4] = -torch.inf, -torch.inf
    case.teacher[:, 5] = -1e4
    check(*terms_and_gradient(case, torch.float32, backend=backend), case, 1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [1e3, 1e4])
def test_extreme_logits(scale: float, backend: str) -> None:
    case = draw(5, 40, "all", temperature=2.0, alpha=0.1, kd_weight=0.9, hard_weight=0.1)
    case = case._replace(student=(scale * case.student).float(), teacher=(scale * case.teacher).float())
    terms, gradient = terms_and_gradient(case, torch.float32, backend=backend)
    values, exact = expected(case)
    assert terms.loss.item() == pytest.approx(values["loss"], rel=1e-5)
    torch.testing.assert_close(gradient.double(), exact, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0, 64.0])
def test_a_student_that_is_its_teacher_has_no_gradient(temperature: float) -> None:
    """Exactly none: Adam would make a step of any other."""
    case = draw(5, 40, "all", temperature=temperature, alpha=0.0, kd_weight=0.9, hard_weight=0.0)
    case = case._replace(teacher=case.student.clone())
    terms, gradient = terms_and_gradient(case, torch.float32, backend="chunked")
    assert terms.kd == 0.0
    assert not gradient.any()


@pytest.mark.parametrize("backend", ["eager", "chunked"])
@pytest.mark.parametrize(("scale", "temperature"), [(1e8, 0.01), (1e10, 1.0), (1e10, 2.0), (1e12, 1.7), (1e30, 64.0)])
def test_logits_beyond_what_float32_tells_apart(scale: float, temperature: float, backend: str) -> None:
    """As of a model that has diverged: the loss is large, but a number."""
    case = draw(5, 40, "all", temperature=temperature, alpha=0.1, kd_weight=0.9, hard_weight=0.1)
    case = case._replace(student=(scale * case.student).float(), teacher=(scale * case.teacher).float())
    terms, gradient = terms_and_gradient(case, torch.float32, backend=backend)
    values, exact = expected(case)
    for name in FusedTerms._fields:
        assert getattr(terms, name).item() == pytest.approx(values[name], rel=1e-5, abs=1e-5), name
    torch.testing.assert_close(gradient.double(), exact, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("temperature", "backend"), [(64.0, "eager"), (64.0, "chunked"), (3.0, "chunked")])
def test_a_shift_of_all_logits_changes_nothing(temperature: float, backend: str) -> None:
    """Exact sums of multiples of 1/4, so that only the loss rounds (eager: where T is a power of 2)."""
    case = draw(5, 40, "all", temperature=temperature, alpha=0.1, kd_weight=0.9, hard_weight=0.1)
    case = case._replace(student=(4 * case.student).round() / 4, teacher=(4 * case.teacher).round() / 4)
    moved = case._replace(student=case.student + 1e5, teacher=case.teacher - 1e5)
    one, other = (terms_and_gradient(given, torch.float32, backend=backend) for given in (case, moved))
    torch.testing.assert_close(one[1], other[1])
    for name in FusedTerms._fields:
        rounding = 100 * (temperature**2 if name in ("loss", "kd") else 1) * 6e-8
        assert getattr(other[0], name).item() == pytest.approx(getattr(one[0], name).item(), abs=rounding), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_part_of_weight_0_may_be_infinite(backend: str) -> None:
    """Smoothing puts weight on the class that the student rules out."""
    case = draw(5, 9, "all", temperature=2.0, alpha=0.1, kd_weight=1.0, hard_weight=0.0)
    case.student[:, 3], case.teacher[:, 3] = -torch.inf, -torch.inf
    terms, gradient = terms_and_gradient(case, torch.float32, backend=backend)
    assert terms.smoothed == torch.inf
    assert terms.loss.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtypes", [(torch.float32, torch.float64), (torch.float64, torch.float32)])
def test_a_teacher_of_another_dtype(dtypes: tuple[torch.dtype, torch.dtype]) -> None:
    case = draw(31, 123, "some", temperature=3.0, alpha=0.1, kd_weight=0.9, hard_weight=0.1)
    student, teacher = case.student.float().to(dtypes[0]), case.teacher.float().to(dtypes[1])
    terms = fused_terms(student, teacher, case.target, mask=case.mask, **case.weights)
    values, _ = expected(case._replace(student=student, teacher=teacher))
    for name, value in values.items():
        assert getattr(terms, name).item() == pytest.approx(value, rel=1e-5), name


def test_unknown_backend() -> None:
    case = draw(1, 2, "all", temperature=2.0)
    with pytest.raises(UserError, match="backend 'fast' is unknown; choose from auto, eager, chunked, triton"):
        fused_terms(case.student, case.teacher, case.target, temperature=2.0, backend="fast")  # type: ignore[arg-type]
