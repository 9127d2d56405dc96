"""Any logits, masks, dtypes and layouts: temperature distillation against its formula in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.losses import kd_loss
from tests.hostile.logits import FINITE, TEMPERATURES, Array, Pair, close_gradient, divergence, pairs, slope
from tests.hostile.properties import PROPERTY


def of_rows(pair: Pair) -> tuple[Array, Array]:
    """What counts, in float64."""
    return pair.student[pair.mask].double().numpy(), pair.teacher[pair.mask].double().numpy()


def value_tolerance(pair: Pair, temperature: float) -> float:
    """T^2 times the rounding of log-probabilities, which are as large as the logits / T, for every class."""
    return len(pair.mask) * temperature**2 * 8 * pair.eps * (1.0 + pair.spread / temperature) * pair.classes**0.5


@PROPERTY
@given(pairs(), TEMPERATURES)
def test_value_and_gradient(pair: Pair, temperature: float) -> None:
    """Infinite where a class that the teacher has is ruled out; rows that do not count may hold NaN."""
    student = pair.student.requires_grad_()
    loss = kd_loss(student, pair.teacher, temperature, mask=pair.mask)
    (gradient,) = torch.autograd.grad(loss, student)
    ours, theirs = of_rows(pair._replace(student=student.detach()))
    smallest = 0.0 if loss.dtype == torch.float64 else 1e-37
    expected = divergence(ours, theirs, temperature, smallest)
    assert loss.dtype == (torch.float64 if student.dtype == torch.float64 else torch.float32)
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=value_tolerance(pair, temperature))
    assert not bool(gradient[~pair.mask].any())
    close_gradient(gradient[pair.mask], slope(ours, theirs, temperature), pair, temperature)


@PROPERTY
@given(pairs(("student rules out",), rows=1), st.floats(1.0, 1000.0))
def test_an_infinite_divergence_is_never_a_number(pair: Pair, temperature: float) -> None:
    ruled_out = pair.student[pair.mask] == -torch.inf
    loss = kd_loss(pair.student, pair.teacher, temperature, mask=pair.mask)
    assert bool(loss == torch.inf) == bool(ruled_out.any())
    assert not bool(loss.isnan())


@PROPERTY
@given(pairs(("ordinary", "extreme", "ties", "both rule out")), TEMPERATURES)
def test_equal_logits_are_at_zero(pair: Pair, temperature: float) -> None:
    student = pair.student.requires_grad_()
    loss = kd_loss(student, student.detach(), temperature, mask=pair.mask)
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0.0
    assert float(gradient.abs().nan_to_num(torch.inf).sum()) <= temperature * 1e-6 * len(pair.mask) * pair.classes


@PROPERTY
@given(pairs(), TEMPERATURES)
def test_no_divergence_is_below_zero_and_rows_add_up(pair: Pair, temperature: float) -> None:
    total = kd_loss(pair.student, pair.teacher, temperature, mask=pair.mask).item()
    rows = [
        kd_loss(pair.student[row : row + 1], pair.teacher[row : row + 1], temperature).item()
        for row in pair.mask.nonzero().flatten().tolist()
    ]
    tolerance = value_tolerance(pair, temperature)
    assert min([0.0, *rows]) >= -tolerance
    assert total == pytest.approx(sum(rows), rel=1e-5, abs=tolerance)


@PROPERTY
@given(pairs(FINITE, dtypes=(torch.float64,)), TEMPERATURES, st.floats(-100.0, 100.0), st.integers(0, 2**32 - 1))
def test_shifts_and_orders_do_not_matter(pair: Pair, temperature: float, shift: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, classes = (torch.randperm(n, generator=generator) for n in (len(pair.mask), pair.classes))
    expected = kd_loss(pair.student, pair.teacher, temperature, mask=pair.mask).item()
    found = kd_loss(
        (pair.student + shift)[rows][:, classes], (pair.teacher - shift)[rows][:, classes], temperature,
        mask=pair.mask[rows],
    ).item()  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-9, abs=value_tolerance(pair, temperature))


@PROPERTY
@given(st.floats(), st.integers(0, 3))
def test_temperatures_are_used_or_refused(temperature: float, rows: int) -> None:
    logits = torch.zeros(rows, 4, dtype=torch.float64)
    if 1e-9 <= temperature <= 1e9:
        assert kd_loss(logits, logits, temperature).item() == 0.0
    else:
        with pytest.raises(UserError, match="it must be a finite number above 0"):
            kd_loss(logits, logits, temperature)


@PROPERTY
@given(st.lists(st.integers(0, 3), max_size=3), st.lists(st.integers(0, 3), max_size=3))
def test_shapes_fit_or_are_refused(ours: list[int], theirs: list[int]) -> None:
    student, teacher = torch.zeros(*ours, 2), torch.zeros(*theirs, 2)
    if ours == theirs:
        assert kd_loss(student, teacher, 2.0).shape == ()
    else:
        with pytest.raises(ValueError, match="differ in shape"):
            kd_loss(student, teacher, 2.0)
