"""DIST: distillation by correlation (Huang et al., NeurIPS 2022)."""

from typing import Literal, get_args

import torch
from torch import Tensor

from shared.errors import UserError
from shared.losses.precision import at_least_float32
from shared.ranks import sum_over_ranks

Epsilon = Literal["add", "clamp"]
EPSILONS: tuple[str, ...] = get_args(Epsilon)


def dist_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    tau: float = 1.0,
    beta: float = 1.0,
    gamma: float = 1.0,
    epsilon: Epsilon = "add",
    eps: float = 1e-8,
    tau_squared: bool = True,
    gathered: bool = False,
) -> Tensor:
    """`tau^2 * [beta * (1 - mean rho(rows)) + gamma * (1 - mean rho(columns))]`, rho = Pearson's correlation.

    Huang et al. 2022, equations 9 to 11, on `softmax(logits / tau)` of both sides: the inter-class term correlates the
    classes of each row, the intra-class term the rows of each class. A mean already, not a sum over rows; the
    intra-class term depends on which rows stand in one batch. The defaults are the authors' code. Of the centred
    vectors a (the student's) and b,

    - epsilon "add" (the authors): rho = `<a, b> / (|a| |b| + eps)`. A class to which no row gives more than about 1e-4
      counts as uncorrelated, so for a vocabulary of thousands most of the intra-class term is a constant;
    - epsilon "clamp" (other ports, by `F.cosine_similarity`): rho = `<a, b> / (max(|a|, eps) max(|b|, eps))`, the bare
      definition down to norms of eps. Such a class then counts like any other.

    Either way a vector without spread has rho 0; with eps = 0 it is NaN. Where b has none (every column of a batch of
    one row) rho has no gradient. Where a alone has none (a student's row of equal logits) its gradient by a is huge:
    `b / eps` with "add", as in the authors' code, and `b / (eps max(|b|, eps))` with "clamp". By the logits it
    is then finite in fp32, but infinite in fp16 where rows and classes are few (4 rows of 10 classes). Identical logits
    are at 0 with "clamp" and at `eps / (|a|^2 + eps)` a vector with "add".

    Args:
        student_logits, teacher_logits: [N, C], or [N, C, H, W], where every pixel is a row; any floating dtype, bf16
            and fp16 are computed in fp32.
        tau_squared: False leaves out the factor tau^2, as the paper's appendix does.
        gathered: the batch is the rows of all ranks of torch.distributed's default group, each of which must call this;
            numbers of rows may differ, and be 0. Every rank then returns the loss of that whole batch, and gradients
            that DDP averages are those of one process that holds it. Without such a group it changes nothing.

    Returns a scalar; a zero connected to `student_logits` for N = 0. The gradient flows to the student only; apart
    from vectors without spread (above) it is of the order of tau^2, which fp16 logits hold up to a tau of 200 or so.
    Raises UserError for a tau that is not above 0, an eps below 0 or an unknown epsilon, ValueError for shapes that
    differ or are neither [N, C] nor [N, C, H, W].
    """
    _check(student_logits, teacher_logits, tau, epsilon, eps)
    student = torch.softmax(at_least_float32(student_logits) / tau, dim=1)
    teacher = torch.softmax(at_least_float32(teacher_logits.detach()) / tau, dim=1)
    total = sum_over_ranks if gathered else lambda local: local
    down, classes = [0, *range(2, student.dim())], student.shape[1]

    # Two exchanges where there are ranks, so what is summed travels together: first what the columns' means need, then
    # the centred columns' moments beside the rows' distances. Only the student's sums have a gradient.
    local_rows = student.new_full((1,), student[:, :1].numel())
    sums = total(torch.cat([student.sum(down), teacher.sum(down), local_rows]))
    rows = sums[-1].detach()
    means = (sums[:-1] / rows.clamp(min=1)).view(2, classes, *[1] * (student.dim() - 2))
    of_columns = _moments(student - means[0], teacher - means[1].detach(), down)
    of_rows = _moments(student - student.mean(1, keepdim=True), teacher - teacher.mean(1, keepdim=True), [1])
    distances = (1.0 - _correlation(of_rows, epsilon, eps)).sum()

    sums = total(torch.cat([of_columns.flatten(), distances.view(1)]))
    inter = sums[-1] / rows.clamp(min=1)
    intra = (1.0 - _correlation(sums[:-1].view(3, classes), epsilon, eps)).mean() * rows.clamp(max=1)
    return (tau**2 if tau_squared else 1.0) * (beta * inter + gamma * intra)


def _check(student: Tensor, teacher: Tensor, tau: float, epsilon: str, eps: float) -> None:
    if not 1e-9 <= tau <= 1e9:
        raise UserError(f"tau is {tau}; it must be above 0, e.g. 1 or 4 (1e-9 to 1e9)")
    if epsilon not in EPSILONS:
        raise UserError(f"epsilon {epsilon!r} is unknown; choose from {', '.join(EPSILONS)}")
    if not 0.0 <= eps < float("inf"):
        raise UserError(f"eps is {eps}; it must not be below 0, e.g. 1e-8")
    if student.shape != teacher.shape or student.dim() not in (2, 4):
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"want two [N, C] or two [N, C, H, W], got {shapes}")


def _moments(one: Tensor, other: Tensor, dims: list[int]) -> Tensor:
    """Sums over `dims` of the squares of one, of the squares of the other and of their product: [3, ...]."""
    # The norm, squared: half the passes that squares and their gradient take.
    norms = [torch.linalg.vector_norm(x, dim=dims) for x in (one, other)]
    return torch.stack([norms[0].square(), norms[1].square(), (one * other).sum(dims)])


def _correlation(moments: Tensor, epsilon: str, eps: float) -> Tensor:
    """rho [...] from the `_moments` [3, ...] of centred vectors."""
    squares, product = moments[:2], moments[2]
    if epsilon == "clamp":
        one, other = squares.clamp(min=eps**2).sqrt()
        return product / (one * other)
    # The square root's slope at 0 is infinite, and would make a NaN of the gradient of a vector without spread.
    spread = squares > 0
    one, other = squares.masked_fill(~spread, 1.0).sqrt() * spread
    return product / (one * other + eps)
