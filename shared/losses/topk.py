"""A teacher's distribution kept as its K largest logits and a sketch of the rest, and distillation from it.

What is kept serves every temperature. Let `K(b) = log sum exp(b z)` over the classes outside the top K (the tail), so
that the tail's mass at temperature T follows from K(1 / T). Known are K(1), the tail's log-sum-exp, and at b = 0 the
value `log n` (n classes), the slope (mean of z) and the curvature (variance of z). The cubic through these four
conditions stands for K in between: exact at T = 1, and again as T grows without bound.
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from shared.errors import UserError, check_temperature
from shared.losses.distillation import kd_loss
from shared.losses.precision import at_least_float32

Policy = Literal["tail", "renormalize"]
POLICIES: tuple[str, ...] = get_args(Policy)


class Tail(NamedTuple):
    """The classes outside the top K, all [...]: log-sum-exp of their logits, their number, and the logits' mean and
    variance (population). Classes that are ruled out (-inf) do not count. None left: log_sum_exp is -inf, the rest 0.
    """

    log_sum_exp: Tensor
    classes: Tensor
    mean: Tensor
    variance: Tensor


class TopK(NamedTuple):
    """K largest logits [..., K] in descending order, their class ids [..., K] (int64), and the tail of the others.

    Any constant may have been added to all logits of a row, the tail's included; `top_k` makes them log-probabilities.
    """

    logits: Tensor
    ids: Tensor
    tail: Tail


def top_k(logits: Tensor, k: int) -> TopK:
    """Keep the K largest of `logits` [..., V] and a sketch of the others. fp32 (fp64 for fp64 logits).

    Raises UserError unless 1 <= k <= V.
    """
    classes = logits.shape[-1]
    if not 1 <= k <= classes:
        raise UserError(f"K is {k}; it must be from 1 to the number of classes, {classes}")
    log_probs = torch.log_softmax(at_least_float32(logits), dim=-1)
    top, ids = log_probs.topk(k, dim=-1)
    return TopK(top, ids, _tail(log_probs.scatter(-1, ids, -math.inf)))


def _tail(logits: Tensor) -> Tail:
    """Sketch of [..., V] logits in which the classes that do not belong to the tail are -inf."""
    inside = torch.isfinite(logits)
    count = inside.sum(dim=-1)
    divisor = count.clamp(min=1)
    mean = logits.masked_fill(~inside, 0.0).sum(dim=-1) / divisor
    centred = (logits - mean.unsqueeze(-1)).masked_fill_(~inside, 0.0)
    return Tail(logits.logsumexp(dim=-1), count, mean, centred.square().sum(dim=-1) / divisor)


def tail_log_mass(tail: Tail, temperature: float) -> Tensor:
    """`log sum_tail exp(z / T)` [...], by the cubic that the module describes; -inf for an empty tail.

    Raises UserError for T below 1, where the cubic would extrapolate.
    """
    check_temperature(temperature)
    if temperature < 1.0:
        raise UserError(
            f"temperature is {temperature}; a top-K teacher serves 1 and above; below, keep K = all classes"
        )
    b = 1.0 / temperature
    at_zero = tail.classes.to(tail.mean.dtype).log()
    lower_orders = at_zero + tail.mean * b + tail.variance * b**2 / 2
    cubic = tail.log_sum_exp - at_zero - tail.mean - tail.variance / 2
    # K is convex: above its tangent at 0, below its chord from 0 to 1. A few logits far below the others (a mask of
    # -1000) make the variance, and with it the cubic, leave these bounds by far.
    tangent, chord = at_zero + tail.mean * b, (1.0 - b) * at_zero + b * tail.log_sum_exp
    log_mass = torch.minimum(torch.maximum(lower_orders + cubic * b**3, tangent), chord)
    return torch.where(tail.classes > 0, log_mass, -math.inf)


def topk_kd_loss(student_logits: Tensor, topk: TopK, temperature: float, *, policy: Policy = "tail") -> Tensor:
    """`T^2 * KL(teacher || student)` at temperature T from the teacher's top K, summed over rows, in nats.

    Policy "tail" compares K + 1 outcomes: each of the top K, and the tail as a whole. It is a lower bound of `kd_loss`
    on all classes (grouping outcomes never raises a divergence; above T = 1 but for the sketch's error), and equals it,
    in value and gradient, at K = V.
    Policy "renormalize" (Tan et al. 2019, section 3.2) takes the teacher's softmax over the top K alone and the
    student's over all classes. They minimize the cross-entropy; the divergence here is smaller by the teacher's
    entropy, a constant, so that the gradient is the same.

    Args:
        student_logits: [..., V], any floating dtype; bf16 and fp16 are computed in fp32.
        topk: of the same rows, see `top_k`; any floating dtype.
        temperature: T; at least 1 for policy "tail" with K < V, else above 0.

    Returns a scalar in fp32 (fp64 for fp64 logits); the gradient flows to the student only.
    Raises UserError for a bad temperature or policy, ValueError for shapes that do not fit.
    """
    check_temperature(temperature)
    if policy not in POLICIES:
        raise UserError(f"top-K policy {policy!r} is unknown; choose from {', '.join(POLICIES)}")
    if topk.logits.shape != topk.ids.shape or topk.ids.shape[:-1] != student_logits.shape[:-1]:
        raise ValueError(
            f"student {tuple(student_logits.shape)}, top-K logits {tuple(topk.logits.shape)} and ids "
            f"{tuple(topk.ids.shape)} do not fit"
        )
    student, teacher = (
        at_least_float32(student_logits),
        at_least_float32(topk.logits.detach()),
    )
    if topk.ids.shape[-1] == student.shape[-1]:
        return kd_loss(student.gather(-1, topk.ids), teacher, temperature)
    if policy == "renormalize":
        log_q = student.gather(-1, topk.ids) / temperature - (student / temperature).logsumexp(-1, keepdim=True)
        log_p = torch.log_softmax(teacher / temperature, dim=-1)
        return temperature**2 * _divergence(log_p, log_q).sum()
    tail = tail_log_mass(topk.tail, temperature).detach()
    log_p = torch.log_softmax(torch.cat([teacher / temperature, tail.unsqueeze(-1)], dim=-1), dim=-1)
    log_q = torch.log_softmax(torch.cat(split_log_mass(student, topk.ids, temperature), dim=-1), dim=-1)
    # As in `kd_loss`, q - p sums to 0 and cancels the rounding of the normalizers.
    return temperature**2 * (_divergence(log_p, log_q) + (log_q.exp() - log_p.exp())).sum()


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    p = log_p.exp()
    return (p * (log_p - log_q)).masked_fill(p == 0, 0.0)


def split_log_mass(logits: Tensor, ids: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """`logits / T` at `ids` [..., K], and the log-sum-exp of `logits / T` at all other classes [..., 1].

    The others are summed by themselves, never as a difference of two sums: a student that puts nearly everything on
    the top K keeps a true tail. `ids` must leave at least one class out.
    """
    top, rest = _SplitLogMass.apply(logits, ids, temperature)
    return top, rest


class _SplitLogMass(torch.autograd.Function):
    """One softmax forward, which is the gradient backward up to a factor; autograd's own operations make four copies.

    With x = z / T: d top_k / d z_k = 1 / T, and d log sum_rest exp(x) / d z_j = softmax_rest(x)_j / T.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, ids: Tensor, temperature: float) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
        top = logits.gather(-1, ids) / temperature
        rest = (logits / temperature).scatter_(-1, ids, -math.inf)
        largest = rest.amax(dim=-1, keepdim=True)
        # Others that are all ruled out have no softmax: one of the top K, whose gradient is another, stands in.
        rest.scatter_(-1, ids[..., :1], torch.zeros_like(largest).masked_fill_(largest > -math.inf, -math.inf))
        probabilities = torch.softmax(rest, dim=-1)
        # max(x) - log softmax(max(x)): torch's logsumexp is several passes over the classes where softmax is one.
        log_mass = largest - probabilities.amax(dim=-1, keepdim=True).log()
        ctx.temperature = temperature
        ctx.save_for_backward(probabilities, ids)
        return top, log_mass

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, top_gradient: Tensor, rest_gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        probabilities, ids = ctx.saved_tensors
        gradient = probabilities * (rest_gradient / ctx.temperature)
        return gradient.scatter_(-1, ids, top_gradient / ctx.temperature), None, None
