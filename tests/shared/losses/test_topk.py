"""The top K of a distribution and the sketch of its tail, against sums over all classes and hand-worked values."""

import math
from types import ModuleType

import numpy as np
import pytest
import torch

from shared.errors import UserError
from shared.losses import top_k
from shared.losses.topk import tail_log_mass

TEMPERATURES = [1.0, 2.0, 3.0, 8.0, 64.0]
CASES = [((3, 47), 1), ((3, 47), 2), ((3, 47), 46), ((31, 123), 16), ((4, 5, 17), 3)]


@pytest.mark.parametrize(("shape", "k"), CASES)
def test_top_k_keeps_the_largest_and_sketches_the_others(oracle: ModuleType, shape: tuple[int, ...], k: int) -> None:
    logits = oracle.pair(shape)[0]
    found, log_probs, order = top_k(logits, k), np.log(oracle.softmax(logits.numpy())), oracle.sorted_classes(logits)
    np.testing.assert_array_equal(found.ids, order[..., :k])
    np.testing.assert_allclose(found.logits, np.take_along_axis(log_probs, order[..., :k], axis=-1), rtol=1e-12)
    rest = np.take_along_axis(log_probs, order[..., k:], axis=-1)
    np.testing.assert_array_equal(found.tail.classes, np.full(shape[:-1], shape[-1] - k))
    np.testing.assert_allclose(found.tail.log_sum_exp, np.log(np.exp(rest).sum(axis=-1)), rtol=1e-12)
    np.testing.assert_allclose(found.tail.mean, rest.mean(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(found.tail.variance, rest.var(axis=-1), rtol=1e-10, atol=1e-14)


def test_top_k_of_all_classes_has_an_empty_tail(oracle: ModuleType) -> None:
    tail = top_k(oracle.pair((3, 47))[0], 47).tail
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
def test_tail_mass_is_exact_at_temperature_one(oracle: ModuleType, k: int) -> None:
    logits = oracle.pair((3, 47))[0]
    np.testing.assert_allclose(
        tail_log_mass(top_k(logits, k).tail, 1.0), oracle.true_tail_log_mass(logits, k, 1.0), rtol=1e-9
    )


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_mass_of_one_class_is_exact_at_every_temperature(oracle: ModuleType, temperature: float) -> None:
    logits = oracle.pair((3, 47))[0]
    found, smallest = (
        tail_log_mass(top_k(logits, 46).tail, temperature),
        np.log(oracle.softmax(logits.numpy())).min(axis=-1),
    )
    np.testing.assert_allclose(found, smallest / temperature, rtol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_tail_mass_of_equal_classes_is_exact_at_every_temperature(oracle: ModuleType, temperature: float) -> None:
    logits = torch.tensor([[5.0, *[-1.0] * 20]], dtype=torch.float64)
    found = tail_log_mass(top_k(logits, 1).tail, temperature)
    np.testing.assert_allclose(found, oracle.true_tail_log_mass(logits, 1, temperature), rtol=1e-12)


def test_tail_mass_tends_to_the_number_of_classes(oracle: ModuleType) -> None:
    """At b = 1/T the true mass is log n + mean b + variance b^2 / 2 + O(b^3)."""
    logits = oracle.words(3)
    for temperature in (1e2, 1e3, 1e4):
        error = tail_log_mass(top_k(logits, 16).tail, temperature) - oracle.true_tail_log_mass(logits, 16, temperature)
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
def test_tail_mass_is_close_at_every_temperature(oracle: ModuleType, k: int) -> None:
    logits = oracle.words()
    for temperature, bound in zip(TEMPERATURES, BOUNDS[k], strict=True):
        found = tail_log_mass(top_k(logits, k).tail, temperature).numpy()
        assert np.abs(found - oracle.true_tail_log_mass(logits, k, temperature)).max() < bound, f"T = {temperature}"


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


@pytest.mark.parametrize("k", [0, -1, 48])
def test_a_k_that_is_not_from_one_to_all_is_refused(k: int) -> None:
    with pytest.raises(UserError, match=rf"K is {k}; it must be from 1 to the number of classes, 47"):
        top_k(torch.zeros(3, 47), k)
