"""Top-1, top-5 and negative log-likelihood, kept as sums and exact counts until the end."""

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.losses import label_smoothing_loss
from shared.results import Metric, finite


@dataclass
class Scores:
    """Sums over the images seen: `top1` and `top5` are counts of hits, `nll` is in nats (float64)."""

    count: int = 0
    top1: int = 0
    top5: int = 0
    nll: float = 0.0

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits [n, K] (any floating dtype), labels [n] (int64)."""
        logits = logits.detach().double()
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices
        hits = best == labels.unsqueeze(1)
        self.count += len(labels)
        self.top1 += int(hits[:, 0].sum())
        self.top5 += int(hits.sum())
        self.nll += float(label_smoothing_loss(logits, labels, 0.0))

    @property
    def top1_percent(self) -> float:
        """Share of images whose most likely class is the right one, in percent."""
        return 100.0 * self.top1 / self.count

    def metrics(self, prefix: str) -> dict[str, Metric]:
        """`prefix/top1` and `prefix/top5` in percent, `prefix/nll` in nats per image.

        Raises UserError where the model's outputs were not finite.
        """
        return {
            f"{prefix}/top1": Metric(self.top1_percent, "%", self.count),
            f"{prefix}/top5": Metric(100.0 * self.top5 / self.count, "%", self.count),
            f"{prefix}/nll": Metric(finite(self.nll / self.count), "nats", self.count),
        }


@torch.inference_mode()
def score(model: torch.nn.Module, batches: "torch.utils.data.DataLoader[tuple[Tensor, Tensor]]") -> Scores:
    """Scores of `model`, in eval mode on its own device, over every image of `batches`; the last batch may be short."""
    device = next(model.parameters()).device
    model.eval()
    scores = Scores()
    for images, labels in batches:
        scores.update(model(images.to(device)), labels.to(device))
    return scores
