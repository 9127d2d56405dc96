"""DIST: distillation by correlation (Huang et al., NeurIPS 2022)."""

import torch
from torch import Tensor

from shared.errors import UserError
from shared.losses.precision import at_least_float32


def dist_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    tau: float = 1.0,
    beta: float = 1.0,
    gamma: float = 1.0,
    eps: float = 1e-8,
) -> Tensor:
    """`tau^2 * [beta * (1 - mean rho(rows)) + gamma * (1 - mean rho(columns))]`, rho = Pearson's correlation.

    Huang et al. 2022, equations 9 to 11, on `softmax(logits / tau)` of both sides: the inter-class term correlates the
    classes of each row, the intra-class term the rows of each class. A mean already, not a sum over rows; the
    intra-class term depends on which rows stand in one batch. As in the authors' code, tau^2 multiplies (their appendix
    has none), and rho is `<a, b> / (|a| |b| + eps)` of the centred vectors: a class to which no row gives more than
    about 1e-4 counts as uncorrelated, so for a vocabulary of thousands most of the intra-class term is a constant.

    Args:
        student_logits, teacher_logits: [N, C], any floating dtype; bf16 and fp16 are computed in fp32.

    Returns a scalar; a zero connected to `student_logits` for N = 0. The gradient flows to the student only.
    Raises UserError for a tau that is not above 0, ValueError for shapes that differ or are not [N, C].
    """
    if not 0.0 < tau < float("inf"):
        raise UserError(f"tau is {tau}; it must be above 0, e.g. 1 or 4")
    if student_logits.shape != teacher_logits.shape or student_logits.dim() != 2:
        raise ValueError(f"want two [N, C], got {tuple(student_logits.shape)} and {tuple(teacher_logits.shape)}")
    student = torch.softmax(at_least_float32(student_logits) / tau, dim=1)
    if len(student) == 0:
        return student.sum()
    teacher = torch.softmax(at_least_float32(teacher_logits.detach()) / tau, dim=1)
    inter = 1.0 - _pearson(student, teacher, 1, eps).mean()
    intra = 1.0 - _pearson(student, teacher, 0, eps).mean()
    return tau**2 * (beta * inter + gamma * intra)


def _pearson(one: Tensor, other: Tensor, dim: int, eps: float) -> Tensor:
    one = one - one.mean(dim=dim, keepdim=True)
    other = other - other.mean(dim=dim, keepdim=True)
    return (one * other).sum(dim=dim) / (one.norm(dim=dim) * other.norm(dim=dim) + eps)
