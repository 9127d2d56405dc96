"""Losses, as sums over targets or rows in nats; the caller divides once."""

from shared.losses.distillation import kd_loss
from shared.losses.label_smoothing import label_smoothing_loss, label_smoothing_terms

__all__ = ["kd_loss", "label_smoothing_loss", "label_smoothing_terms"]
