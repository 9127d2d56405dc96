"""Any teachers: their ensembles and pseudo-labels against Kaplun et al.'s definitions in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.losses import (
    draw_teachers,
    ensemble,
    ensemble_pseudo_labels,
    kd_loss,
    random_pseudo_labels,
    soft_ensemble,
    votes,
)
from tests.hostile.logits import DTYPES, TEMPERATURES, Array, divergence, log_softmax
from tests.hostile.properties import PROPERTY


@st.composite
def teachers(draw: Any, dtypes: tuple[torch.dtype, ...] = DTYPES) -> Tensor:
    """Logits [k, N, K]; no class is ruled out by some but the first, which all keep."""
    shape = [draw(st.integers(1, 4)), draw(st.integers(0, 5)), draw(st.integers(1, 6))]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    logits = 3.0 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    kind = draw(st.sampled_from(["ordinary", "extreme", "ties", "ruled out"]))
    if kind == "extreme":
        logits = 1e4 * logits.sign()
    elif kind == "ties":
        logits = logits.round()
    elif kind == "ruled out":
        logits[..., 1:][torch.rand(shape, generator=generator)[..., 1:] < 0.4] = -torch.inf
    return logits.to(draw(st.sampled_from(dtypes)))


def combined(logits: Array, by: str) -> Array:
    with np.errstate(divide="ignore"):
        if by == "logits":
            return log_softmax(logits.mean(axis=0))
        mean = np.exp(log_softmax(logits)).mean(axis=0)
        if by == "probabilities":
            return np.log(mean)
        counts = (logits.argmax(axis=-1)[..., None] == np.arange(logits.shape[-1])).sum(axis=0)
        return np.log((counts + mean) / (len(logits) + 1))


@PROPERTY
@given(teachers(), st.sampled_from(["logits", "probabilities", "vote"]))
def test_ensembles(logits: Tensor, by: Any) -> None:
    found = ensemble(logits, by).double().numpy()
    expected = combined(logits.double().numpy(), by)
    largest = float(logits.double().nan_to_num(neginf=0.0).abs().amax()) if logits.numel() else 0.0
    np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=1e-5 + 1e-6 * largest)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0, atol=1e-4)


@PROPERTY
@given(teachers((torch.float64,)), st.sampled_from(["logits", "probabilities", "vote"]), st.integers(0, 2**32 - 1))
def test_ensemble_labels_are_of_a_most_probable_class(logits: Tensor, by: Any, seed: int) -> None:
    """In whatever order the teachers come, up to classes as probable."""
    labels = ensemble_pseudo_labels(logits, by)
    assert (labels.shape, labels.dtype) == (logits.shape[1:2], torch.int64)
    expected = combined(logits.numpy(), by)
    picked = np.take_along_axis(expected, labels.numpy()[:, None], axis=1)
    np.testing.assert_allclose(picked, expected.max(axis=1, keepdims=True), rtol=1e-9, atol=1e-9)
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(seed))
    others = ensemble_pseudo_labels(list(logits[order]), by)
    np.testing.assert_allclose(np.take_along_axis(expected, others.numpy()[:, None], axis=1), picked, atol=1e-9)


@PROPERTY
@given(teachers(), st.integers(0, 2**63 - 1), st.sampled_from(["example", "batch"]))
def test_random_labels_are_the_drawn_teacher_s(logits: Tensor, seed: int, per: Any) -> None:
    k, examples = logits.shape[:2]
    labels = random_pseudo_labels(logits, torch.Generator().manual_seed(seed), per=per)
    draws = draw_teachers(k, examples, torch.Generator().manual_seed(seed), per)
    assert torch.equal(labels, random_pseudo_labels(logits, draws, per=per))
    drawn = np.broadcast_to(draws.numpy(), (examples,))
    numbers = logits.double().numpy()
    assert [int(numbers[t, n].argmax()) for n, t in enumerate(drawn.tolist())] == labels.tolist()


@PROPERTY
@given(teachers())
def test_every_teacher_has_one_vote(logits: Tensor) -> None:
    found = votes(logits)
    assert found.shape == logits.shape[1:]
    assert bool((found.sum(dim=-1) == len(logits)).all())
    best = logits.double().numpy().argmax(axis=-1)
    assert found.tolist() == [
        [int((best[:, n] == c).sum()) for c in range(logits.shape[2])] for n in range(logits.shape[1])
    ]


@PROPERTY
@given(teachers((torch.float64,)), TEMPERATURES, st.integers(0, 2**32 - 1))
def test_distilling_from_the_soft_ensemble_is_distilling_from_the_mean(
    logits: Tensor, temperature: float, seed: int
) -> None:
    student = torch.randn(logits.shape[1:], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mean = np.exp(log_softmax(logits.numpy() / temperature)).mean(axis=0)
    with np.errstate(divide="ignore"):
        expected = divergence(student.numpy(), temperature * np.log(mean), temperature) if len(student) else 0.0
    found = kd_loss(student, soft_ensemble(logits, temperature), temperature).item()
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-8 * temperature**2)
