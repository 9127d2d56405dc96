"""The plain composition of `shared.losses`: what the fast backends are held against."""

import torch
from torch import Tensor

from shared.losses.distillation import kd_loss
from shared.losses.kernels.terms import Weights
from shared.losses.label_smoothing import label_smoothing_terms
from shared.losses.precision import at_least_float32


def run(
    student: Tensor,
    teacher: Tensor,
    target: Tensor,
    mask: Tensor | None,
    weights: Weights,
    gradient: Tensor | None,
    statistics: bool,
) -> Tensor:
    """See `Backend`; all statistics are computed, whatever `statistics` says, and dropping the masked rows waits.

    Sums are of the logits' precision, fp32 at least: hand in fp64 logits for an oracle.
    """
    if mask is not None:
        kept_gradient = None if gradient is None else torch.empty_like(student[mask])
        sums = run(student[mask], teacher[mask], target[mask], None, weights, kept_gradient, statistics)
        if gradient is not None and kept_gradient is not None:
            gradient.zero_()
            gradient[mask] = kept_gradient
        return sums
    student = at_least_float32(student.detach()).requires_grad_(gradient is not None)
    with torch.set_grad_enabled(gradient is not None):
        kd = kd_loss(student, teacher, weights.temperature)
        hard = label_smoothing_terms(student, target, weights.alpha, ignore_index=None)
        loss = weights.kd_weight * kd + weights.hard_weight * hard.loss
        of_student = torch.autograd.grad(loss, student)[0] if gradient is not None else None
    log_p = torch.log_softmax(at_least_float32(teacher), dim=-1)
    # 0 * log 0 is 0: a class that is ruled out adds nothing.
    entropy = -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum()
    teacher_nll = -log_p.gather(-1, target.unsqueeze(-1)).sum()
    best_of_both = [logits == logits.amax(dim=-1, keepdim=True) for logits in (student, teacher)]
    agreement = (best_of_both[0] & best_of_both[1]).any(dim=-1).sum()
    if gradient is not None and of_student is not None:  # last: it may take the student's memory
        gradient.copy_(of_student)
    terms = [kd, hard.loss, hard.nll, teacher_nll, entropy, agreement]
    return torch.stack([term.detach().double() for term in terms])
