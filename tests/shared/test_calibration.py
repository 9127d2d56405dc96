"""Expected calibration error against its definition."""

import math

import numpy as np
import pytest
import torch

from shared.calibration import calibration_sums, expected_calibration_error


def drawn(n: int = 1000, classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    probabilities = (2 * torch.randn(n, classes, generator=generator, dtype=torch.float64)).softmax(dim=1)
    return probabilities, torch.randint(classes, (n,), generator=generator)


def confidence_and_hits(probabilities: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    confidence, predicted = probabilities.max(dim=1)
    return confidence, predicted == labels


def test_by_hand() -> None:
    """Five bins. (.4, .6] holds .5 right and .6 wrong, (.8, 1] holds .9 and 1 right and 1 wrong."""
    confidence = torch.tensor([0.5, 0.6, 0.9, 1.0, 1.0], dtype=torch.float64)
    right = torch.tensor([True, False, True, True, False])
    sums = calibration_sums(confidence, right, bins=5)
    assert sums[0].tolist() == [0, 0, 2, 0, 3]
    assert sums[1].tolist() == [0, 0, 1, 0, 2]
    expected = (2 * abs(1 / 2 - 1.1 / 2) + 3 * abs(2 / 3 - 2.9 / 3)) / 5
    assert expected_calibration_error(sums) == pytest.approx(expected, rel=1e-6)


def test_an_edge_belongs_to_the_bin_below() -> None:
    edges = torch.tensor([0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    assert calibration_sums(edges, torch.ones(4).bool(), bins=4)[0].tolist() == [1, 1, 1, 1]
    assert calibration_sums(edges + 1e-9 * (edges < 1), torch.ones(4).bool(), bins=4)[0].tolist() == [0, 1, 1, 2]


def test_against_a_loop_over_bins() -> None:
    confidence, right = (part.numpy() for part in confidence_and_hits(*drawn()))
    expected = 0.0
    for m in range(1, 16):
        inside = (confidence > (m - 1) / 15) & (confidence <= m / 15)
        if inside.any():
            expected += inside.sum() / 1000 * abs(right[inside].mean() - confidence[inside].mean())
    ours = expected_calibration_error(calibration_sums(torch.from_numpy(confidence), torch.from_numpy(right)))
    assert ours == pytest.approx(expected, abs=1e-12)


def test_batches_add_up() -> None:
    """Means of batches would not: the error of the parts is another number."""
    confidence, right = confidence_and_hits(*drawn())
    whole = calibration_sums(confidence, right)
    parts = [calibration_sums(c, r) for c, r in zip(confidence.split(37), right.split(37), strict=True)]
    torch.testing.assert_close(sum(parts), whole, rtol=0, atol=1e-11)
    assert torch.equal(sum(parts)[:2], whole[:2])
    mean_of_parts = np.mean([expected_calibration_error(part) for part in parts])
    assert abs(mean_of_parts - expected_calibration_error(whole)) > 0.01


def test_a_calibrated_model_has_no_error() -> None:
    confidence = torch.full((4,), 0.75, dtype=torch.float64)
    assert expected_calibration_error(calibration_sums(confidence, torch.tensor([1, 1, 1, 0]).bool())) == 0.0


def test_nothing_and_nan_are_no_number() -> None:
    assert math.isnan(expected_calibration_error(calibration_sums(torch.zeros(0), torch.zeros(0).bool())))
    assert math.isnan(expected_calibration_error(calibration_sums(torch.tensor([math.nan]), torch.ones(1).bool())))


@pytest.mark.parametrize("value", [-0.01, 1.01, 91.0])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        calibration_sums(torch.tensor([0.5, value]), torch.ones(2).bool())
    with pytest.raises(ValueError, match="confidence \\[n\\]"):
        calibration_sums(torch.tensor([0.5]), torch.ones(2).bool())
