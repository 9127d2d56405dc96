"""How smoothed a model's predictions are: how confident, which alpha they imply, how even they are on wrong classes."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.results import finite


@dataclass(frozen=True)
class Smoothness:
    """Of `count` predictions over K classes, at T = 1. All but `entropy` are ratios.

    `accuracy` is the share of examples classified rightly, `confidence` the mean probability of the most likely class,
    `entropy` the mean entropy of the prediction in nats. `right_probability` is the mean probability of the right
    class over the examples that are classified rightly (None: there are none).

    `implied_alpha = (1 - right_probability) * K / (K - 1)`: the label smoothing whose optimum shows that probability,
    1 - alpha + alpha / K. That is what an ideally fitted teacher of that alpha would show on its training examples;
    one that fits them less shows more.

    `evenness` is the mean over the examples of the entropy of the wrong classes' probabilities, normalized to sum to 1,
    over log(K - 1): 1 where nothing tells one wrong class from another, which is what label smoothing asks for, 0 where
    one of them has it all. None for K = 2.
    """

    count: int
    accuracy: float
    confidence: float
    entropy: float
    right_probability: float | None
    implied_alpha: float | None
    evenness: float | None


class SmoothnessAccumulator:
    """Sums over predictions, in float64; memory is a few numbers a class however many are seen."""

    def __init__(self, num_classes: int) -> None:
        """Raises ValueError for fewer than 2 classes."""
        if num_classes < 2:
            raise ValueError(f"want 2 classes or more, got {num_classes}")
        self._count = self._right = 0
        self._entropy = self._evenness = self._missing = 0.0
        self._confidence = torch.zeros(num_classes, dtype=torch.float64)  # by the right class
        self._counts = torch.zeros(num_classes, dtype=torch.int64)

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add predictions: `logits` [n, K] (any floating dtype) of examples whose right class is `labels` [n] (int64).

        Raises ValueError for shapes that do not fit.
        """
        classes = len(self._counts)
        if logits.ndim != 2 or logits.shape[1] != classes or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"want logits [n, {classes}] and labels [n], got {tuple(logits.shape)}, {tuple(labels.shape)}"
            )
        log_p = logits.detach().double().log_softmax(dim=1)
        p = log_p.exp()
        highest, predicted = p.max(dim=1)
        truth = labels.unsqueeze(1)
        right = predicted == labels
        self._count += len(labels)
        self._right += int(right.sum())
        self._missing += float((1.0 - p.gather(1, truth).squeeze(1)[right]).sum())
        self._entropy += float(torch.special.entr(p).sum())
        wrong = log_p.scatter(1, truth, -torch.inf).softmax(dim=1)
        self._evenness += float(torch.special.entr(wrong).sum())
        self._confidence.index_add_(0, labels.cpu(), highest.cpu())
        self._counts += torch.bincount(labels.cpu(), minlength=classes)

    def confidence_of(self, classes: Tensor) -> float | None:
        """`confidence` over the examples of `classes` [m] (int64) alone; None where there are none."""
        count = int(self._counts[classes].sum())
        return float(self._confidence[classes].sum()) / count if count else None

    @property
    def smoothness(self) -> Smoothness:
        """Of all that was seen. Raises UserError where nothing was, or an output was NaN or infinite."""
        classes = len(self._counts)
        missing = self._missing / self._right if self._right else None
        count = self._count or math.nan
        return Smoothness(
            self._count,
            accuracy=finite(self._right / count, "accuracy"),
            confidence=finite(float(self._confidence.sum()) / count, "confidence"),
            entropy=finite(self._entropy / count, "entropy"),
            right_probability=None if missing is None else 1.0 - missing,
            implied_alpha=None if missing is None else missing * classes / (classes - 1),
            evenness=None if classes == 2 else finite(self._evenness / count / math.log(classes - 1), "evenness"),
        )
