"""What is measured of a teacher on one split: how smoothed its predictions are, how tight its clusters."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.advice.smoothness import Smoothness, SmoothnessAccumulator
from shared.diffusion import CentroidAccumulator, Clusters, PredictionAccumulator
from shared.errors import UserError

_NUMBERS = 2**21  # logits looked at together: 16 MiB in float64


@dataclass(frozen=True)
class Tightness:
    """`spread` and `stability` as `vision.clusters` and `nmt_plugin.clusters` define them, over `classes` classes."""

    classes: int
    spread: float
    stability: float


class Measurement:
    """Streamed over the examples of one split. `classes` are the outputs whose examples form clusters, None: all."""

    def __init__(self, num_outputs: int, classes: Sequence[int] | None = None) -> None:
        chosen = range(num_outputs) if classes is None else classes
        self._place = torch.full((num_outputs,), -1)  # of an output among the classes
        self._place[torch.tensor(list(chosen), dtype=torch.int64)] = torch.arange(len(chosen))
        self._predictions = SmoothnessAccumulator(num_outputs)
        self._stability = PredictionAccumulator(len(chosen), num_outputs)
        self._features: CentroidAccumulator | None = None
        self._classes = len(chosen)

    def update(self, features: Tensor, labels: Tensor, logits_of: Callable[[Tensor], Tensor]) -> None:
        """Add penultimate `features` [n, d] of examples whose right output is `labels` [n] (int64).

        `logits_of` is the model's last layer: [m, d] to [m, K]. It is given a few rows at a time. Raises ValueError
        where an output of the first rows is NaN or infinite.
        """
        if self._features is None:
            self._features = CentroidAccumulator(self._classes, features.shape[1], second_moments=True)
        rows = max(1, _NUMBERS // len(self._place))
        for states, truth in zip(features.split(rows), labels.split(rows), strict=True):
            logits = logits_of(states)
            self._predictions.update(logits, truth)
            places = self._place.to(truth.device)[truth]
            kept = places >= 0
            self._stability.update(logits[kept], places[kept])
            self._features.update(states[kept], places[kept])

    @property
    def smoothness(self) -> Smoothness:
        """Raises UserError as `SmoothnessAccumulator.smoothness` does."""
        return self._predictions.smoothness

    @property
    def tightness(self) -> Tightness | None:
        """None where the classes form no clusters: fewer than two have examples, or none has two that differ."""
        if self._features is None or not self._stability.count:
            return None
        try:
            clusters = Clusters(self._features)
        except UserError:
            return None
        return Tightness(int((self._features.counts > 0).sum()), clusters.spread, self._stability.stability)

    def confidence_of(self, outputs: Sequence[int]) -> float | None:
        """Mean probability of the most likely class over the examples of `outputs`; None where there are none."""
        return self._predictions.confidence_of(torch.tensor(list(outputs), dtype=torch.int64))


def measure(
    batches: Iterable[tuple[Tensor, Tensor]],
    logits_of: Callable[[Tensor], Tensor],
    num_outputs: int,
    classes: Sequence[int] | None = None,
) -> Measurement:
    """A measurement of all `batches` of (features, labels), as `Measurement.update` takes them."""
    measurement = Measurement(num_outputs, classes)
    for features, labels in batches:
        measurement.update(features, labels, logits_of)
    return measurement
