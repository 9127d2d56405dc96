"""Criterion `word_kd`: word-level knowledge distillation from live or cached teachers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
from fairseq import utils
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import metrics
from torch import Tensor

from nmt_plugin.criterions.smoothed_cross_entropy import (
    Log,
    Sample,
    SmoothedCrossEntropyConfig,
    SmoothedCrossEntropyCriterion,
    log_bits,
    logits_of,
    total,
)
from nmt_plugin.last_layer import is_matrix_product, output_head
from nmt_plugin.records import teacher_card
from nmt_plugin.teachers.batch import Teacher, TeacherBatch
from nmt_plugin.teachers.cached import CachedTeacher
from nmt_plugin.teachers.identity import Identity, remember
from nmt_plugin.teachers.live import DTYPES, LiveTeacher
from shared.errors import UserError, check_temperature, exit_on_user_error
from shared.losses import FusedTerms, TopK, dist_loss, fused_terms, head_terms, kd_loss, topk_kd_loss
from shared.losses.fused import Overwrite
from shared.losses.topk import POLICIES

logger = logging.getLogger(__name__)
KD_LOSSES = ("kl", "dist")


# fairseq makes command-line flags of these; it knows Optional[str] and not `str | None`.
@dataclass
class WordKDConfig(SmoothedCrossEntropyConfig):
    teacher: Optional[str] = field(  # noqa: UP045
        default=None, metadata={"help": "fairseq checkpoint of the teacher; A.pt:B.pt averages their probabilities"}
    )
    teacher_cache: Optional[str] = field(  # noqa: UP045
        default=None, metadata={"help": "folder that python -m nmt_plugin.cache wrote; takes the place of --teacher"}
    )
    temperature: float = field(default=1.0, metadata={"help": "T, above 0: both sides are softened by it"})
    kd_weight: float = field(
        default=0.9,
        metadata={
            "help": "w in [0, 1]: loss = w * T^2 * KL(teacher || student) + (1 - w) * label-smoothed cross-entropy"
        },
    )
    kd_loss: ChoiceEnum(KD_LOSSES) = field(  # type: ignore[valid-type]
        default="kl", metadata={"help": "kl, or dist: correlations of rows and columns in its place (tau = T)"}
    )
    dist_beta: float = field(
        default=1.0, metadata={"help": "weight of DIST's inter-class term, the correlation of each token's classes"}
    )
    dist_gamma: float = field(
        default=1.0, metadata={"help": "weight of DIST's intra-class term, of each class over the batch's tokens"}
    )
    teacher_dtype: ChoiceEnum(list(DTYPES)) = field(  # type: ignore[valid-type]
        default="fp32", metadata={"help": "in which a live teacher's weights are kept and run"}
    )
    fused_head: bool = field(
        default=False,
        metadata={
            "help": "make the logits of both networks a few rows at a time and never hold them all: for large "
            "vocabularies; needs one live teacher and decoders that end in a linear layer; with --fp16 or --amp, "
            "classes' gradients below 6e-8 are lost before the loss is scaled (bf16 keeps them)"
        },
    )
    topk_policy: ChoiceEnum(POLICIES) = field(  # type: ignore[valid-type]
        default="tail",
        metadata={"help": "of a cache with K < V: the rest as one outcome, or renormalize over the top K (Tan et al.)"},
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
        teacher: str | None = None,
        teacher_cache: str | None = None,
        temperature: float = 1.0,
        kd_weight: float = 0.9,
        kd_loss: str = "kl",
        dist_beta: float = 1.0,
        dist_gamma: float = 1.0,
        teacher_dtype: str = "fp32",
        fused_head: bool = False,
        topk_policy: str = "tail",
        ignore_prefix_size: int = 0,
        sentence_avg: bool = False,
    ) -> None:
        super().__init__(task, label_smoothing, ignore_prefix_size, sentence_avg)
        self.temperature = check_temperature(temperature)
        if not 0.0 <= kd_weight <= 1.0:
            raise UserError(f"--kd-weight is {kd_weight}; it must be in [0, 1], e.g. 0.9 or 1")
        self.kd_weight = kd_weight
        self.kd_loss = str(kd_loss)
        for flag, weight in (("--dist-beta", dist_beta), ("--dist-gamma", dist_gamma)):
            _check_dist_weight(flag, weight, self.kd_loss)
        if dist_beta == dist_gamma == 0.0:
            raise UserError("--dist-beta 0 --dist-gamma 0 leave nothing of --kd-loss dist; one must be above 0")
        self.dist_beta, self.dist_gamma = dist_beta, dist_gamma
        self.topk_policy = str(topk_policy)
        self.fused_head = fused_head
        if fused_head and (teacher_cache or self.kd_loss != "kl" or kd_weight == 0.0 or ":" in (teacher or "")):
            raise UserError("--fused-head is for one live --teacher, --kd-loss kl and a --kd-weight above 0")
        self.teacher = self._teacher(task, teacher, teacher_cache, str(teacher_dtype))
        self._checked: dict[str, Any] = {}

    def _teacher(self, task: Any, teacher: str | None, cache: str | None, dtype: str) -> Teacher:
        if bool(teacher) == bool(cache):
            raise UserError(
                "word_kd needs a teacher, one of: --teacher CHECKPOINT, --teacher-cache DIR "
                "(criterion.teacher, criterion.teacher_cache in YAML)"
            )
        return self._cached(task, cache, dtype) if cache else self._live(task, str(teacher), dtype)

    def _live(self, task: Any, checkpoints: str, dtype: str) -> LiveTeacher:
        if self.topk_policy != "tail":
            raise UserError(f"--topk-policy {self.topk_policy} is for --teacher-cache; a live teacher has all classes")
        teacher = LiveTeacher(checkpoints, task, dtype)
        try:
            remember(task, Identity(teacher_card(checkpoints)))
        except UserError as error:  # it teaches all the same
            logger.warning("students of this teacher cannot be recorded by nmt_plugin.evaluate: %s", error)
        return teacher

    def _cached(self, task: Any, folder: str, dtype: str) -> CachedTeacher:
        if dtype != "fp32":
            raise UserError(f"--teacher-dtype {dtype} is for --teacher; a cache is in the type that it was made in")
        teacher = CachedTeacher(folder, task)
        k, classes = teacher.manifest.k, teacher.manifest.classes
        if k < classes and self.kd_loss == "dist":
            raise UserError(
                f"--kd-loss dist needs every class; {folder} keeps {k} of {classes} (make it with --topk all)"
            )
        if k < classes and self.topk_policy == "tail" and self.temperature < 1.0:
            raise UserError(
                f"temperature is {self.temperature}; {folder} keeps {k} of {classes} classes and serves T >= 1"
            )
        remember(task, Identity(teacher.manifest.teacher, k))
        return teacher

    def forward(self, model: Any, sample: Sample) -> tuple[Tensor, int, Log]:
        """As the base class. Raises UserError at the first batch of a split that the teacher cannot serve whole."""
        if self.kd_weight > 0.0:
            with exit_on_user_error():
                self._check_splits(model)
        return super().forward(model, sample)

    def _check_splits(self, model: Any) -> None:
        """Once for every split, as soon as may be: fairseq builds a criterion before it reads any data."""
        for name, dataset in self.task.datasets.items():
            if self._checked.get(name) is not dataset:
                limits = utils.resolve_max_positions(self.task.max_positions(), model.max_positions())
                kept, _ = dataset.filter_indices_by_size(np.arange(len(dataset)), limits)
                self.teacher.check_split(name, dataset, kept)
                self._checked[name] = dataset

    def loss_and_log(self, model: Any, sample: Sample, counted: Tensor) -> tuple[Tensor, Log]:
        """As the base class; the log also has `kd_loss` and what the teacher says, as sums in nats."""
        if self.kd_weight == 0.0:
            return super().loss_and_log(model, sample, counted)
        if isinstance(self.teacher, LiveTeacher) and self.fused_head:
            return self._of_heads(model, self.teacher, sample, counted)
        logits = logits_of(model, sample)
        if isinstance(self.teacher, LiveTeacher) and self.kd_loss == "kl":
            return self._of_all_logits(logits, self.teacher.logits(sample), sample["target"], counted)
        return self._of_counted_logits(logits[counted], sample, counted)

    def _of_heads(self, model: Any, teacher: LiveTeacher, sample: Sample, counted: Tensor) -> tuple[Tensor, Log]:
        """Of hidden states and output matrices: no logits of the whole batch."""
        with exit_on_user_error():
            heads = output_head(model, sample, "the student"), teacher.head(sample)
        terms = head_terms(*heads, sample["target"], mask=counted, **self._weights)
        return terms.loss, _fused_log(terms, counted)

    def _of_all_logits(self, logits: Tensor, teacher: Tensor, target: Tensor, counted: Tensor) -> tuple[Tensor, Log]:
        """Of both networks' logits [B, T, V], in one go; padding is skipped, not copied out of the way."""
        terms = fused_terms(logits, teacher, target, mask=counted, overwrite=_spare(logits, teacher), **self._weights)
        return terms.loss, _fused_log(terms, counted)

    @property
    def _weights(self) -> dict[str, Any]:
        hard_weight = 1.0 - self.kd_weight
        weights = {"temperature": self.temperature, "kd_weight": self.kd_weight, "hard_weight": hard_weight}
        return weights | {"alpha": self.alpha}

    def _of_counted_logits(self, logits: Tensor, sample: Sample, counted: Tensor) -> tuple[Tensor, Log]:
        """Of the student's logits [n, V] at the positions that count, and the cached or DIST teacher's."""
        # At weight 1 the hard labels are only logged (nll), so they need no graph.
        scored = logits if self.kd_weight < 1.0 else logits.detach()
        hard, log = self.hard_loss_and_log(scored, sample["target"][counted])
        with exit_on_user_error():
            teacher = self.teacher(sample, counted)
        kd = self.distillation(logits, teacher.distribution)
        loss = self.kd_weight * kd
        if self.kd_weight < 1.0:
            loss = loss + (1.0 - self.kd_weight) * hard
        return loss, log | {"kd_loss": kd} | _teacher_log(logits, teacher)

    def distillation(self, logits: Tensor, teacher: Tensor | TopK) -> Tensor:
        """The distillation term, a sum over the n rows of `logits` [n, V], in nats (DIST: n times its scalar)."""
        if isinstance(teacher, TopK):
            return topk_kd_loss(logits, teacher, self.temperature, policy=self.topk_policy)  # type: ignore[arg-type]
        if self.kd_loss == "dist":
            beta, gamma = self.dist_beta, self.dist_gamma
            return len(logits) * dist_loss(logits, teacher, tau=self.temperature, beta=beta, gamma=gamma)
        return kd_loss(logits, teacher, self.temperature)

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Log]) -> None:
        """As the base class; per counted token `kd_loss`, `teacher_nll` and `teacher_entropy` in bits, and as shares
        `agreement` (the student's most probable token is the teacher's) and `retained` (the teacher's top-K mass).
        """
        super().reduce_metrics(logging_outputs)
        tokens = total(logging_outputs, "counted_tokens")
        if not tokens or not any("kd_loss" in log for log in logging_outputs):
            return
        for key in ("kd_loss", "teacher_nll", "teacher_entropy"):
            log_bits(logging_outputs, key, tokens)
        for key in ("agreement", "retained"):
            if any(key in log for log in logging_outputs):
                metrics.log_scalar(key, total(logging_outputs, key) / tokens, tokens, round=4)


def _check_dist_weight(flag: str, weight: float, kd_loss: str) -> None:
    if not 0.0 <= weight < float("inf"):
        raise UserError(f"{flag} is {weight}; it must not be below 0, e.g. 1")
    if weight != 1.0 and kd_loss != "dist":
        raise UserError(f"{flag} {weight} is for --kd-loss dist; this is {kd_loss}")


def _spare(student: Tensor, teacher: Tensor) -> Overwrite | None:
    """Whose logits may be overwritten: nobody reads the teacher's again, nor a student's that come from a product."""
    if teacher.dtype == student.dtype and teacher.is_contiguous():
        return "teacher"
    return "student" if is_matrix_product(student) else None


def _fused_log(terms: FusedTerms, counted: Tensor) -> Log:
    tokens = counted.sum()
    return {
        "nll_loss": terms.nll,
        "counted_tokens": tokens if tokens.is_cuda else int(tokens),
        "kd_loss": terms.kd,
        "teacher_nll": terms.teacher_nll,
        "teacher_entropy": terms.teacher_entropy,
        "agreement": terms.agreement,
    }


def _teacher_log(logits: Tensor, teacher: TeacherBatch) -> Log:
    # Several times faster than argmax on a CPU; where the student's best are tied, one of them may be the teacher's.
    best = logits.detach().amax(dim=-1, keepdim=True)
    agreement = (logits.detach().gather(-1, teacher.top1.unsqueeze(-1)) == best).sum()
    log = {"teacher_nll": teacher.nll, "teacher_entropy": teacher.entropy, "agreement": agreement}
    return log if teacher.retained is None else log | {"retained": teacher.retained}
