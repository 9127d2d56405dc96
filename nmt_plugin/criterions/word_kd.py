"""Criterion `word_kd`: word-level knowledge distillation from a live teacher."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from omegaconf import MISSING, OmegaConf
from torch import Tensor

from nmt_plugin.criterions.smoothed_cross_entropy import (
    Log,
    Sample,
    SmoothedCrossEntropyConfig,
    SmoothedCrossEntropyCriterion,
    log_bits,
    total,
)
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError, check_temperature, exit_on_user_error
from shared.losses import kd_loss


@dataclass
class WordKDConfig(SmoothedCrossEntropyConfig):
    teacher: str = field(default=MISSING, metadata={"help": "fairseq checkpoint of the teacher"})
    temperature: float = field(default=1.0, metadata={"help": "T, above 0: both sides are softened by it"})
    kd_weight: float = field(
        default=0.9,
        metadata={
            "help": "w in [0, 1]: loss = w * T^2 * KL(teacher || student) + (1 - w) * label-smoothed cross-entropy"
        },
    )


@register_criterion("word_kd", dataclass=WordKDConfig)
class WordKDCriterion(SmoothedCrossEntropyCriterion):
    """`w * T^2 * KL(p_teacher^T || p_student^T) + (1 - w) * LS-CE(alpha)` over non-pad target tokens.

    Word-level distillation (Kim and Rush 2016, section 3.1) with Hinton et al.'s temperature; w as in Tan et al. 2019.
    The teacher is not a submodule: it enters neither the optimizer, nor DDP, nor any checkpoint.
    """

    def __init__(
        self,
        task: Any,
        label_smoothing: float,
        teacher: str,
        temperature: float,
        kd_weight: float,
        ignore_prefix_size: int = 0,
        sentence_avg: bool = False,
    ) -> None:
        super().__init__(task, label_smoothing, ignore_prefix_size, sentence_avg)
        self.temperature = check_temperature(temperature)
        if not 0.0 <= kd_weight <= 1.0:
            raise UserError(f"--kd-weight is {kd_weight}; it must be in [0, 1], e.g. 0.9 or 1")
        self.kd_weight = kd_weight
        self.teacher = LiveTeacher(teacher, task)

    @classmethod
    def build_criterion(cls, cfg: WordKDConfig, task: Any) -> "WordKDCriterion":
        """As the base class; says so where no teacher was named."""
        with exit_on_user_error():
            if OmegaConf.is_missing(cfg, "teacher"):
                raise UserError("word_kd needs a teacher: --teacher CHECKPOINT, or criterion.teacher in YAML")
        return super().build_criterion(cfg, task)

    def loss_and_log(self, logits: Tensor, target: Tensor, sample: Sample) -> tuple[Tensor, Log]:
        """As the base class, with `kd_loss` (T^2 * KL, a sum in nats) in the log."""
        # At weight 1 the hard-label loss is only logged, so it needs no graph.
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.kd_weight < 1.0):
            hard, log = super().loss_and_log(logits, target, sample)
        if self.kd_weight == 0.0:
            return hard, log
        model, net_output = self.teacher(sample)
        teacher_logits = self.output_logits(model, net_output)
        kd = kd_loss(logits, teacher_logits, self.temperature, mask=target != self.padding_idx)
        loss = self.kd_weight * kd
        if self.kd_weight < 1.0:
            loss = loss + (1.0 - self.kd_weight) * hard
        return loss, log | {"kd_loss": kd}

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Log]) -> None:
        """As the base class, with `kd_loss` in bits per token."""
        super().reduce_metrics(logging_outputs)
        if any("kd_loss" in log for log in logging_outputs):
            log_bits(logging_outputs, "kd_loss", total(logging_outputs, "counted_tokens"))
