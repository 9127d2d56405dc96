"""Losses, as sums over targets or rows in nats; the caller divides once. `dist_loss` is the mean of its paper."""

from shared.losses.dist import dist_loss
from shared.losses.distillation import kd_loss
from shared.losses.label_smoothing import label_smoothing_loss, label_smoothing_terms
from shared.losses.topk import TopK, top_k, topk_kd_loss

__all__ = ["TopK", "dist_loss", "kd_loss", "label_smoothing_loss", "label_smoothing_terms", "top_k", "topk_kd_loss"]
