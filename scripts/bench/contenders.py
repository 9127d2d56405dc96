"""The losses that `losses.py` measures: the plain composition, the same under torch.compile, and ours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.losses import dist_loss, kd_loss, label_smoothing_terms
from shared.losses.fused import BackendName, Overwrite, fused_terms
from shared.losses.precision import at_least_float32

KD, BOTH, DIST = TASKS = ("kd", "ls+kd", "dist")
KD_WEIGHT = HARD_WEIGHT = 0.5  # of the task "ls+kd"
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """What all contenders compute, and where."""

    temperature: float
    alpha: float
    device: torch.device


@dataclass(frozen=True)
class Contender:
    """A `loss` of (student [N, V], teacher [N, V], target [N]), to be followed by its backward pass.

    `copies` of the logits in fp32 that it takes beside its arguments, at most: it is skipped where they do not fit.
    `mean`: over the rows; else a sum. `overwrites`: the student's or the teacher's logits; it is given a copy.
    `keeps`: holds the memory of one gradient from call to call, which counts as extra.
    """

    name: str
    loss: Loss
    copies: float
    mean: bool = False
    overwrites: Overwrite | None = None
    keeps: bool = False


Entries = dict[str, list[Contender]]


def composed_kd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """As it is usually written; in fp32 at least, as under autocast."""
    log_q = F.log_softmax(at_least_float32(student) / temperature, dim=-1)
    log_p = F.log_softmax(at_least_float32(teacher) / temperature, dim=-1)
    return temperature**2 * F.kl_div(log_q, log_p, reduction="sum", log_target=True)


def _kd(setting: Setting, student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
    return composed_kd(student, teacher, setting.temperature)


def _both(setting: Setting, student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
    hard = F.cross_entropy(at_least_float32(student), target, label_smoothing=setting.alpha, reduction="sum")
    return HARD_WEIGHT * hard + KD_WEIGHT * composed_kd(student, teacher, setting.temperature)


def composition(setting: Setting) -> Entries:
    """torch's own functions."""
    return {
        KD: [Contender("F.kl_div", partial(_kd, setting), 5)],
        BOTH: [Contender("F.cross_entropy + F.kl_div", partial(_both, setting), 6)],
    }


def compiled(setting: Setting) -> Entries:
    """The composition under torch.compile, anew for every size."""
    compiled = partial(torch.compile, dynamic=False)
    return {
        KD: [Contender("F.kl_div, torch.compile", compiled(partial(_kd, setting)), 2)],
        BOTH: [Contender("F.cross_entropy + F.kl_div, torch.compile", compiled(partial(_both, setting)), 2)],
    }


def ours(setting: Setting) -> Entries:
    """`shared.losses`: functions that autograd differentiates."""
    t = setting.temperature

    def both(student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
        hard = label_smoothing_terms(student, target, setting.alpha, ignore_index=None).loss
        return HARD_WEIGHT * hard + KD_WEIGHT * kd_loss(student, teacher, t)

    return {
        KD: [Contender("lskd kd_loss", lambda student, teacher, _: kd_loss(student, teacher, t), 8)],
        BOTH: [Contender("lskd label_smoothing_terms + kd_loss", both, 9)],
        DIST: [
            Contender("lskd dist_loss", lambda s, t_, _: dist_loss(s, t_, tau=t, epsilon="clamp"), 8),
        ],
    }


@dataclass
class _Keeping:
    """A loss that takes `overwrite`, with the same memory for the gradient of every call."""

    loss: Callable[..., Tensor]
    memory: Tensor | None = None

    def __call__(self, student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
        if self.memory is None:
            self.memory = torch.empty_like(student, requires_grad=False)
        return self.loss(student, teacher, target, overwrite=self.memory)


def fused(backend: BackendName, setting: Setting) -> Entries:
    """`fused_terms`; in place, with statistics, and divided by the rows: one more pass over the gradient."""

    def entries(kd_weight: float, hard_weight: float) -> list[Contender]:
        weights = {"kd_weight": kd_weight, "hard_weight": hard_weight}
        terms = partial(fused_terms, temperature=setting.temperature, alpha=setting.alpha, **weights, backend=backend)

        def loss(
            s: Tensor, t: Tensor, y: Tensor, overwrite: Overwrite | Tensor | None = None, stats: bool = False
        ) -> Tensor:
            return terms(s, t, y, overwrite=overwrite, statistics=stats).loss

        name = f"lskd fused, {backend}"
        return [
            Contender(name, loss, 1.5),
            Contender(f"{name}, in memory kept for it", _Keeping(loss), 1.5, keeps=True),
            Contender(f"{name}, mean", lambda s, t, y: loss(s, t, y) / len(y), 1.5, mean=True),
            *(
                Contender(f"{name}, over the {whose}'s logits", partial(loss, overwrite=whose), 0.5, overwrites=whose)
                for whose in get_args(Overwrite)
            ),
            Contender(f"{name}, statistics", partial(loss, stats=True), 1.5),
        ]

    return {KD: entries(1.0, 0.0), BOTH: entries(KD_WEIGHT, HARD_WEIGHT)}
