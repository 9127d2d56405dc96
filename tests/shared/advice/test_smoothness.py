"""Oracles: predictions that are smoothed exactly, a table worked by hand, and the definitions in numpy."""

import math

import numpy as np
import pytest
import torch

from shared.advice import SmoothnessAccumulator
from shared.errors import UserError


def smoothness_of(probabilities, labels):
    seen = SmoothnessAccumulator(len(probabilities[0]))
    seen.update(torch.tensor(probabilities, dtype=torch.float64).log(), torch.tensor(labels))
    return seen.smoothness


@pytest.mark.parametrize("classes", [3, 10, 1000])
def test_predictions_smoothed_by_alpha_imply_that_alpha_and_are_even(classes):
    labels = [0, 1, 2, 1]
    smoothed = 0.1 / classes + 0.9 * np.eye(classes)[labels]
    found = smoothness_of(smoothed.tolist(), labels)
    assert found.implied_alpha == pytest.approx(0.1, rel=1e-12)
    assert found.evenness == pytest.approx(1.0, rel=1e-12)
    assert (found.count, found.accuracy) == (4, 1.0)
    assert found.confidence == pytest.approx(0.9 + 0.1 / classes, rel=1e-12)
    assert found.right_probability == pytest.approx(0.9 + 0.1 / classes, rel=1e-12)


def test_predictions_that_are_nearly_one_hot_imply_nearly_none():
    seen = SmoothnessAccumulator(5)
    seen.update(torch.tensor([[40.0, 0.0, 0.0, 0.0, 10.0]]), torch.tensor([0]))
    found = seen.smoothness
    # p(wrong) = (3 + e^10) e^-40 to first order, times K / (K - 1), within what float64 keeps beside 1
    assert found.implied_alpha == pytest.approx((3 + math.exp(10)) * math.exp(-40) * 1.25, abs=1e-15)
    assert found.confidence == pytest.approx(1.0)
    assert 0 < found.evenness < 0.002  # one wrong class has it all


def test_a_table_by_hand():
    # K = 3; the second example is wrong, so it does not count for the alpha
    found = smoothness_of([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.0, 0.9]], [0, 1, 2])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.confidence == pytest.approx((0.8 + 0.5 + 0.9) / 3)
    assert found.right_probability == pytest.approx(0.85)
    assert found.implied_alpha == pytest.approx(0.15 * 3 / 2)

    def entropy(*p):
        return -sum(x * math.log(x) for x in p)

    assert found.entropy == pytest.approx((entropy(0.8, 0.1, 0.1) + entropy(0.5, 0.3, 0.2) + entropy(0.1, 0.9)) / 3)
    assert found.evenness == pytest.approx((1 + entropy(5 / 7, 2 / 7) / math.log(2) + 0) / 3)


def test_batches_add_up_and_low_precision_is_summed_in_double():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1000, 7, generator=generator) * 3
    labels = torch.randint(7, (1000,), generator=generator)
    whole, parts = SmoothnessAccumulator(7), SmoothnessAccumulator(7)
    whole.update(logits, labels)
    for start in range(0, 1000, 333):
        parts.update(logits[start : start + 333], labels[start : start + 333])
    for name in ("count", "accuracy", "confidence", "entropy", "right_probability", "implied_alpha", "evenness"):
        assert getattr(parts.smoothness, name) == pytest.approx(getattr(whole.smoothness, name), rel=1e-12)
    p = np.exp(logits.double().numpy())
    p /= p.sum(axis=1, keepdims=True)
    assert whole.smoothness.confidence == pytest.approx(p.max(axis=1).mean(), rel=1e-12)
    some = np.isin(labels.numpy(), [2, 5])
    assert whole.confidence_of(torch.tensor([2, 5])) == pytest.approx(p[some].max(axis=1).mean(), rel=1e-12)


def test_what_is_not_defined_is_none():
    assert smoothness_of([[0.6, 0.4]], [0]).evenness is None
    wrong = smoothness_of([[0.6, 0.3, 0.1]], [2])
    assert (wrong.right_probability, wrong.implied_alpha, wrong.accuracy) == (None, None, 0.0)
    assert SmoothnessAccumulator(3).confidence_of(torch.tensor([1])) is None


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UserError, match="diverged"):
        smoothness_of([[math.nan, 0.5, 0.5]], [0])
    with pytest.raises(UserError, match="accuracy is nan"):
        SmoothnessAccumulator(3).smoothness  # noqa: B018
    with pytest.raises(ValueError, match="want 2 classes"):
        SmoothnessAccumulator(1)
    with pytest.raises(ValueError, match=r"want logits \[n, 3\]"):
        SmoothnessAccumulator(3).update(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))
