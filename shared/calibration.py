"""Expected calibration error: how far a model's confidence is from its accuracy (Guo et al., ICML 2017, equation 3)."""

import torch
from torch import Tensor

BINS = 15


def calibration_sums(confidence: Tensor, right: Tensor, bins: int = BINS) -> Tensor:
    """What the error is made of: [3, bins], float64, rows: predictions, right ones, sum of their confidences.

    `confidence` [n] holds the probability of each prediction, `right` [n] (bool) whether it was right. Bins are of
    equal width, open below and closed above: ((m - 1) / bins, m / bins]. Sums of disjoint batches, or of the processes
    of a distributed run, add up to those of the whole. A confidence of NaN makes the last bin's sum NaN.

    Raises ValueError for shapes that do not fit, or a confidence outside [0, 1].
    """
    if confidence.ndim != 1 or confidence.shape != right.shape:
        raise ValueError(f"want confidence [n] and right [n], got {tuple(confidence.shape)} and {tuple(right.shape)}")
    confidence = confidence.detach().double()
    if bool(((confidence < 0) | (confidence > 1)).any()):
        raise ValueError(f"a confidence must be 0 to 1, got {float(confidence.min())} to {float(confidence.max())}")
    edges = torch.linspace(0.0, 1.0, bins + 1, dtype=torch.float64, device=confidence.device)
    places = torch.bucketize(confidence, edges[1:-1])
    rows = torch.stack([torch.ones_like(confidence), right.double(), confidence])
    return torch.zeros(3, bins, dtype=torch.float64, device=confidence.device).index_add_(1, places, rows)


def expected_calibration_error(sums: Tensor) -> float:
    """Mean over all predictions of |accuracy - mean confidence| of their bin, 0 to 1; `sums` as `calibration_sums`.

    NaN where there are no predictions.
    """
    predictions, right, confidence = sums.double()
    return float((right - confidence).abs().sum() / predictions.sum())
