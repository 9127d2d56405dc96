"""Criterion `smoothed_cross_entropy`: label smoothing as the paper defines it, alpha / K on every token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II
from torch import Tensor

from nmt_plugin.last_layer import output_logits
from shared.errors import UserError, check_alpha, exit_on_user_error
from shared.losses import label_smoothing_terms

Sample = dict[str, Any]
Log = dict[str, Any]


@dataclass
class SmoothedCrossEntropyConfig(FairseqDataclass):
    label_smoothing: float = field(
        default=0.0,
        metadata={
            "help": "alpha in [0, 1): the gold token keeps 1 - alpha and every dictionary entry gets alpha / K. "
            "fairseq's label_smoothed_cross_entropy agrees at eps = alpha * (K - 1) / K"
        },
    )
    ignore_prefix_size: int = field(default=0, metadata={"help": "ignore the first N target tokens"})
    sentence_avg: bool = II("optimization.sentence_avg")


@register_criterion("smoothed_cross_entropy", dataclass=SmoothedCrossEntropyConfig)
class SmoothedCrossEntropyCriterion(FairseqCriterion):
    """Label-smoothed cross-entropy over non-pad target tokens (Chandrasegaran et al. 2022, section 3).

    The loss is a sum; fairseq divides it by the sample size (tokens, or sentences with `--sentence-avg`).
    """

    def __init__(
        self, task: Any, label_smoothing: float, ignore_prefix_size: int = 0, sentence_avg: bool = False
    ) -> None:
        super().__init__(task)
        self.alpha = check_alpha(label_smoothing)
        if ignore_prefix_size < 0:
            raise UserError(f"--ignore-prefix-size is {ignore_prefix_size}; it must be 0 or more")
        self.ignore_prefix_size = ignore_prefix_size
        self.sentence_avg = sentence_avg

    @classmethod
    def build_criterion(cls, cfg: FairseqDataclass, task: Any) -> "SmoothedCrossEntropyCriterion":
        """As fairseq builds a criterion, but a user's mistake ends in one line and exit status 2."""
        with exit_on_user_error():
            return super().build_criterion(cfg, task)

    def forward(self, model: Any, sample: Sample) -> tuple[Tensor, int, Log]:
        """Loss in nats (a sum), the sample size that fairseq divides it by, and sums for the log."""
        loss, log = self.loss_and_log(model, sample, self.counted_tokens(sample["target"]))
        sample_size = sample["target"].size(0) if self.sentence_avg else sample["ntokens"]
        common = {"loss": loss, "ntokens": sample["ntokens"], "nsentences": sample["target"].size(0)}
        log = {key: _detached(value) for key, value in (common | log).items()}
        return loss, sample_size, log | {"sample_size": sample_size}

    def counted_tokens(self, target: Tensor) -> Tensor:
        """Bool [B, T]: the target positions [B, T] that are neither padding nor in the ignored prefix."""
        counted = target != self.padding_idx
        counted[:, : self.ignore_prefix_size] = False
        return counted

    def loss_and_log(self, model: Any, sample: Sample, counted: Tensor) -> tuple[Tensor, Log]:
        """The criterion's own loss of the positions that `counted` [B, T] marks (a sum, in nats) and what it logs."""
        return self.hard_loss_and_log(logits_of(model, sample)[counted], sample["target"][counted])

    def hard_loss_and_log(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Log]:
        """Label-smoothed cross-entropy of `logits` [n, V] against `target` [n], and its part of the log."""
        terms = label_smoothing_terms(logits, target, self.alpha, ignore_index=None)
        return terms.loss, {"nll_loss": terms.nll, "counted_tokens": len(target)}

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Log]) -> None:
        """Log, in bits, `loss` per sample-size unit and `nll_loss` per counted token (no pad or prefix); perplexity."""
        sample_size = total(logging_outputs, "sample_size")
        log_bits(logging_outputs, "loss", sample_size)
        log_bits(logging_outputs, "nll_loss", total(logging_outputs, "counted_tokens"))
        if total(logging_outputs, "counted_tokens"):
            metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg))

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Every logged value is a sum, so workers may add theirs."""
        return True


def logits_of(model: Any, sample: Sample) -> Tensor:
    """A student's, [B, T, V]. Ends in one line and exit status 2 for a model that cannot be trained by them."""
    output = model(**sample["net_input"])
    with exit_on_user_error():
        return output_logits(model, output)


def log_bits(logging_outputs: Sequence[Log], key: str, count: float) -> None:
    """Log the sum of `key` (nats) over workers and batches as bits per `count`; nothing where nothing was counted."""
    if count:
        metrics.log_scalar(key, total(logging_outputs, key) / count / math.log(2), count, round=3)


def total(logging_outputs: Sequence[Log], key: str) -> float:
    """Sum of `key` over workers and batches."""
    return utils.item(sum(log.get(key, 0) for log in logging_outputs))


def _detached(value: Any) -> Any:
    return value.detach() if torch.is_tensor(value) else value
