"""Losses, as sums over targets or rows in nats; the caller divides once. `dist_loss` is the mean of its paper.

And what a student of several teachers is taught: their ensemble, pseudo-labels.
"""

from shared.losses.dist import dist_loss
from shared.losses.distillation import kd_loss
from shared.losses.fused import FusedTerms, fused_terms
from shared.losses.head import Head, head_terms
from shared.losses.label_smoothing import label_smoothing_loss, label_smoothing_terms
from shared.losses.pseudo_labels import (
    draw_teachers,
    ensemble,
    ensemble_pseudo_labels,
    random_pseudo_labels,
    soft_ensemble,
    votes,
)
from shared.losses.topk import TopK, top_k, topk_kd_loss

__all__ = [
    "FusedTerms",
    "Head",
    "TopK",
    "dist_loss",
    "draw_teachers",
    "ensemble",
    "ensemble_pseudo_labels",
    "fused_terms",
    "head_terms",
    "kd_loss",
    "label_smoothing_loss",
    "label_smoothing_terms",
    "random_pseudo_labels",
    "soft_ensemble",
    "top_k",
    "topk_kd_loss",
    "votes",
]
