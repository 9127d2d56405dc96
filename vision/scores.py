"""Top-1, top-5, negative log-likelihood and calibration, kept as sums and exact counts until the end."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from shared.calibration import BINS, calibration_sums, expected_calibration_error
from shared.results import Metric, finite

_ECE = f"{BINS} equal-width bins of the top-1 confidence"


@dataclass(frozen=True)
class Outcomes:
    """What a model said of a batch of n images; every tensor is [n], on the device of the logits."""

    labels: Tensor  # int64
    predicted: Tensor  # int64, the most likely class
    top5: Tensor  # bool, whether the right class is among the five most likely
    log_prob: Tensor  # float64, of the right class, nats
    confidence: Tensor  # float64, probability of the most likely class

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> "Outcomes":
        """Of logits [n, K] (any floating dtype) and labels [n] (int64)."""
        classes = logits.topk(min(5, logits.shape[1]), dim=1).indices
        log_probs = logits.detach().double().log_softmax(dim=1)
        right = labels.unsqueeze(1)
        return cls(
            labels,
            predicted=classes[:, 0],
            top5=(classes == right).any(dim=1),
            log_prob=log_probs.gather(1, right).squeeze(1),
            confidence=log_probs.gather(1, classes[:, :1]).squeeze(1).exp().clamp(max=1.0),  # e^(rounded 0)
        )


@dataclass
class Scores:
    """Sums over the images seen: `top1` and `top5` are counts of hits, `nll` is in nats (float64).

    Every field is a sum, so the scores of several processes add up field by field.
    """

    count: int = 0
    top1: int = 0
    top5: int = 0
    nll: float = 0.0
    calibration: Tensor = field(default_factory=lambda: torch.zeros(3, BINS, dtype=torch.float64))

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits [n, K] (any floating dtype), labels [n] (int64)."""
        self.add(Outcomes.of(logits, labels))

    def add(self, outcomes: Outcomes) -> None:
        """Add a batch."""
        right = outcomes.predicted == outcomes.labels
        self.count += len(right)
        self.top1 += int(right.sum())
        self.top5 += int(outcomes.top5.sum())
        self.nll -= float(outcomes.log_prob.sum())
        self.calibration = self.calibration + calibration_sums(outcomes.confidence, right).cpu()

    @property
    def top1_percent(self) -> float:
        """Share of images whose most likely class is the right one, in percent."""
        return 100.0 * self.top1 / self.count

    def metrics(self, prefix: str) -> dict[str, Metric]:
        """`prefix/top1`, `prefix/top5`, `prefix/ece` (calibration error) in percent, `prefix/nll` in nats per image.

        Raises UserError where the model's outputs were not finite.
        """
        ece = expected_calibration_error(self.calibration)
        return {
            f"{prefix}/top1": Metric(self.top1_percent, "%", self.count),
            f"{prefix}/top5": Metric(100.0 * self.top5 / self.count, "%", self.count),
            f"{prefix}/nll": Metric(finite(self.nll / self.count, f"{prefix}/nll"), "nats", self.count),
            f"{prefix}/ece": Metric(finite(100.0 * ece, f"{prefix}/ece"), "%", self.count, _ECE),
        }


@torch.inference_mode()
def score(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Scores, Tensor]:
    """Scores of `model`, in eval mode on its own device, over every image of `batches`; the last one may be short.

    Beside them [n] int64, on that device and in that order: 1 for an image whose most likely class is the right one.
    """
    device = next(model.parameters()).device
    model.eval()
    scores, hits = Scores(), [torch.zeros(0, dtype=torch.int64, device=device)]
    for images, labels in batches:
        outcomes = Outcomes.of(model(images.to(device)), labels.to(device))
        scores.add(outcomes)
        hits.append((outcomes.predicted == outcomes.labels).long())
    return scores, torch.cat(hits)
