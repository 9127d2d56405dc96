"""Any logits, weights, masks, dtypes, layouts and chunks: the fused losses against their definition in float64."""

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.losses import FusedTerms, Head, fused_terms, head, head_terms
from shared.losses.kernels import chunked
from tests.hostile.logits import FINITE, TEMPERATURES, Pair, close_gradient, laid_out, pairs
from tests.hostile.properties import PROPERTY
from tests.shared.losses.kernels.definition import Case, expected

WEIGHTS = st.fixed_dictionaries(
    {
        "temperature": TEMPERATURES,
        "alpha": st.sampled_from([0.0, 0.1]) | st.floats(1e-6, 0.999),
        "kd_weight": st.sampled_from([0.0, 1.0]) | st.floats(1e-3, 10.0),
        "hard_weight": st.sampled_from([0.0, 1.0]) | st.floats(1e-3, 10.0),
    }
)
BACKENDS = st.sampled_from(["eager", "chunked"])
CHUNKS = st.sampled_from([1, 10, 1 << 18])  # logits of a chunk
TERMS = ("loss", "kd", "smoothed", "nll", "teacher_nll", "teacher_entropy")


def definition(pair: Pair, weights: dict[str, float]) -> tuple[dict[str, float], Tensor]:
    with np.errstate(divide="ignore"):
        return expected(Case(pair.student.detach(), pair.teacher, pair.target, pair.mask, weights))


def check_terms(found: FusedTerms, wanted: dict[str, float], pair: Pair, weights: dict[str, float]) -> None:
    """Within the rounding of log-probabilities that are as large as the logits; at T, T^2 / T as much."""
    t = weights["temperature"]
    rounding = 8 * pair.eps * max(1, len(pair.mask)) * pair.classes
    of_hard, of_kd = rounding * pair.spread, rounding * (t**2 + t * pair.spread)
    tolerances = dict.fromkeys(TERMS, 4 * of_hard) | {"kd": of_kd}
    tolerances["loss"] = weights["kd_weight"] * of_kd + weights["hard_weight"] * tolerances["smoothed"]
    for name in TERMS:
        assert getattr(found, name).item() == pytest.approx(wanted[name], rel=2e-5, abs=tolerances[name]), name


def largest_slope(weights: dict[str, float]) -> float:
    return weights["kd_weight"] * weights["temperature"] + weights["hard_weight"]


@PROPERTY
@given(pairs(), WEIGHTS, BACKENDS, CHUNKS)
def test_every_term_and_the_gradient(pair: Pair, weights: dict[str, Any], backend: Any, chunk: int) -> None:
    """Infinite where the definition is; rows that do not count may hold NaN."""
    student = pair.student.requires_grad_()
    with patch.object(chunked, "_CHUNK_ON_CPU", chunk):
        found = fused_terms(student, pair.teacher, pair.target, mask=pair.mask, backend=backend, **weights)
    (gradient,) = torch.autograd.grad(found.loss, student)
    terms, slope = definition(pair, weights)
    check_terms(found, terms, pair, weights)
    assert not bool(gradient[~pair.mask].any())
    close_gradient(gradient[pair.mask], slope[pair.mask].numpy(), pair, largest_slope(weights))


@PROPERTY
@given(pairs(), WEIGHTS, BACKENDS, CHUNKS, st.sampled_from(["student", "teacher", "memory"]), st.floats(0.25, 4.0))
def test_gradients_in_place(
    pair: Pair, weights: dict[str, Any], backend: Any, chunk: int, overwrite: Any, upstream: float
) -> None:
    """They are those of memory of their own, and an upstream gradient multiplies them."""
    leaf = pair.student.contiguous().requires_grad_()
    teacher = pair.teacher.contiguous().clone()
    if overwrite == "memory":
        overwrite = torch.full(leaf.shape, float("nan"), dtype=leaf.dtype)
    with patch.object(chunked, "_CHUNK_ON_CPU", chunk):
        given = {"mask": pair.mask, "backend": backend, **weights}
        own = fused_terms(leaf, teacher, pair.target, **given).loss
        (expected_gradient,) = torch.autograd.grad(upstream * own, leaf)
        found = fused_terms(leaf.clone(), teacher, pair.target, overwrite=overwrite, **given).loss
    (gradient,) = torch.autograd.grad(upstream * found, leaf)
    assert torch.equal(found, own)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-7 * largest_slope(weights))


@PROPERTY
@given(pairs(FINITE, dtypes=(torch.float64,)), WEIGHTS, CHUNKS)
def test_backends_agree_with_and_without_what_only_a_log_wants(pair: Pair, weights: dict[str, Any], chunk: int) -> None:
    with patch.object(chunked, "_CHUNK_ON_CPU", chunk):
        losses = [
            fused_terms(
                pair.student, pair.teacher, pair.target, mask=pair.mask, backend=backend, statistics=wanted, **weights
            ).loss.item()
            for backend in ("eager", "chunked")
            for wanted in (False, True)
        ]
    tolerance = 1e-12 * pair.spread * (1 + largest_slope(weights)) * weights["temperature"]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-9, abs=tolerance)


@PROPERTY
@given(pairs(FINITE, dtypes=(torch.float64,)), WEIGHTS, BACKENDS, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_classes_does_not_matter(
    pair: Pair, weights: dict[str, Any], backend: Any, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, classes = (torch.randperm(n, generator=generator) for n in (len(pair.mask), pair.classes))
    loss = fused_terms(pair.student, pair.teacher, pair.target, mask=pair.mask, backend=backend, **weights).loss
    other = fused_terms(
        pair.student[rows][:, classes], pair.teacher[rows][:, classes], classes.argsort()[pair.target[rows]],
        mask=pair.mask[rows], backend=backend, **weights,
    ).loss  # fmt: skip
    tolerance = 1e-12 * pair.spread * (1 + largest_slope(weights)) * weights["temperature"]
    assert other.item() == pytest.approx(loss.item(), rel=1e-9, abs=tolerance)


@PROPERTY
@given(
    rows=st.integers(0, 5), classes=st.integers(1, 7), widths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bias=st.booleans(), scale=st.sampled_from([1.0, 100.0]), layout=st.sampled_from(["contiguous", "transposed"]),
    weights=WEIGHTS, backend=BACKENDS, chunk=CHUNKS, seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_from_hidden_states(
    rows: int, classes: int, widths: tuple[int, int], bias: bool, scale: float, layout: str,
    weights: dict[str, Any], backend: Any, chunk: int, seed: int,
) -> None:  # fmt: skip
    """The definition on the logits, and the chain rule by hand: hidden, weight and bias each get their share."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return scale**0.5 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    heads = [
        Head(laid_out(draw(rows, width), layout), draw(classes, width), draw(classes) if bias else None)
        for width in widths
    ]
    mask = torch.rand(rows, generator=generator) < 0.7
    target = torch.randint(classes, (rows,), generator=generator)
    logits = [head.logits() for head in heads]
    heads[0].hidden[~mask] = torch.nan
    wanted = [one.requires_grad_() for one in heads[0] if one is not None]
    with patch.object(head, "_CHUNK_ON_CPU", chunk):
        found = head_terms(heads[0], heads[1], target, mask=mask, backend=backend, **weights)
    gradients = torch.autograd.grad(found.loss, wanted)
    for one in logits:
        one[~mask] = torch.nan
    pair = Pair(logits[0], logits[1], mask, target, "ordinary")
    terms, slope = definition(pair, weights)
    check_terms(found, terms, pair, weights)
    hidden = heads[0].hidden.detach().nan_to_num(0.0)
    by_hand = [slope @ heads[0].weight.detach(), slope.T @ hidden, slope.sum(0)]
    tolerance = 1e-12 * (1.0 + largest_slope(weights)) * scale * pair.spread * 10
    for gradient, expected_gradient in zip(gradients, by_hand, strict=False):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=tolerance)
