"""The fused loss as one CUDA kernel: a program a row, which reads both logits from memory once and keeps no copy.

Imported only where it is wanted, because triton comes with torch's builds for GPUs and not with the others.
"""

# ruff: noqa: N803  what is constant at compile time is in capitals

import struct

import torch
from torch import Tensor

from shared.errors import UserError
from shared.losses.kernels.terms import SUMS, Weights

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise UserError(
        "the triton backend needs the package triton, which is not installed; pip install triton, or choose "
        "backend 'chunked' or 'eager'"
    ) from error

# Every running maximum starts here and not at -inf, so that (-inf) - (-inf) = NaN is never met where the blocks so far
# hold nothing but -inf. Finite in fp32 and below every logit that is not meant as -inf.
_LOWEST = tl.constexpr(-1e30)


@triton.jit
def _load(row, columns, classes, dtype: tl.constexpr):  # type: ignore[no-untyped-def]
    """A block of a row, -inf (no probability) behind its end."""
    return tl.load(row + columns, mask=columns < classes, other=-float("inf")).to(dtype)


@triton.jit
def _scalar(high, low, dtype: tl.constexpr):  # type: ignore[no-untyped-def]
    """A float64 of the host. Triton passes numbers as fp32, whatever they are; two of them hold 48 bits."""
    return tl.full([], high, dtype) + tl.full([], low, dtype)


@triton.jit
def _rescaled(total, old_maximum, maximum, block, scale):  # type: ignore[no-untyped-def]
    """sum exp((z - maximum) * scale) over what was seen and this block, `total` being that up to the block."""
    return total * tl.exp((old_maximum - maximum) * scale) + tl.sum(tl.exp((block - maximum) * scale), 0)


# The divergence is summed in the second pass too, for the sake of its rounding, which T^2 multiplies. With
# x = log p[k] - log q[k] a row's terms are
#     p * x + (q - p) = p * (x + exp(-x) - 1) = p * phi(x),
# where q - p sums to 0. Let the two normalizers be off, and with them x by some d for all classes: to first order the
# sum is off by sum_k p * d * (1 - exp(-x)) = d * sum_k (p - q) = 0, where sum p * x alone would be off by d, about
# 1e-6 * T^2. What is left is the rounding of p and q, 6e-8 and a few times that by a GPU's exp; where x is small, as
# all are at high T, the series of phi has none of it: its terms are right to their own last digits.
# A sum made in the first pass would be shifted and rescaled at each new maximum, rounded by T^2 * 6e-8 each time.
@triton.jit
def _divergence(p, q, x, dtype: tl.constexpr):  # type: ignore[no-untyped-def]
    """The terms of KL(p || q), x = log p - log q."""
    terms = p * x + (q - p)
    if dtype == tl.float32:
        # Cut off after x^6: 4e-7 of the value at 1/4.
        phi = x * x * (1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x * (1 / 720)))))
        terms = tl.where(tl.abs(x) < 0.25, p * phi, terms)
    # 0 * log 0 is 0, for classes that the teacher rules out and behind the row's end.
    return tl.where(p == 0, q, terms)


# With q_T = softmax(s / T), p_T = softmax(t / T), y the target and V classes, a row's loss is
#     L = kd_weight * T^2 * sum_k p_T[k] * (log p_T[k] - log q_T[k])
#       + hard_weight * ((1 - alpha) * -log q_1[y] + alpha * mean_k(-log q_1[k])).
# d log q_T[k] / d s[j] = ([j = k] - q_T[j]) / T, and weights w that sum to 1 give
#     d (sum_k w[k] * -log q_T[k]) / d s[j] = (q_T[j] - w[j]) / T.
# The KL is that with w = p_T plus a constant; the cross-entropy is that at T = 1 with w = (1 - alpha) * [k = y]
# + alpha / V. Hence
#     d L / d s[j] = kd_weight * T * (q_T[j] - p_T[j])
#                  + hard_weight * (q_1[j] - (1 - alpha) * [j = y] - alpha / V).
# The normalizers of q and p are known after one pass over the row; the gradient needs a second, which finds the row in
# the L2 cache. A block is read before it is written, by the only program of its row, so `gradient` may be `student`.
@triton.jit(do_not_specialize=["rows"])  # each batch of a translator has its own number
def _kernel(  # type: ignore[no-untyped-def]
    student,
    teacher,
    target,
    mask,
    gradient,
    sums,
    student_stride,
    teacher_stride,
    gradient_stride,
    rows,
    classes,
    temperature,
    temperature_low,
    alpha,
    alpha_low,
    kd_weight,
    kd_weight_low,
    hard_weight,
    hard_weight_low,
    MASKED: tl.constexpr,
    SOFT: tl.constexpr,  # the distributions at T and their divergence
    HARD: tl.constexpr,  # the student's at 1
    UNIT: tl.constexpr,  # both are wanted and T is 1
    SMOOTHED: tl.constexpr,
    STATISTICS: tl.constexpr,  # and with them SOFT and HARD
    GRADIENT: tl.constexpr,
    SOFT_GRADIENT: tl.constexpr,
    HARD_GRADIENT: tl.constexpr,
    DTYPE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A row: its `SUMS` go to the column of sums [6, rows], its gradient to the row of gradient."""
    row = tl.program_id(0).to(tl.int64)  # row * stride can pass 2^31
    student += row * student_stride
    teacher += row * teacher_stride
    gradient += row * gradient_stride
    sums += row
    if MASKED:  # noqa: SIM102  not every Triton leaves the second half of a constant `and` uncompiled
        if tl.load(mask + row) == 0:
            if GRADIENT:
                for start in range(0, classes, BLOCK):
                    columns = start + tl.arange(0, BLOCK)
                    tl.store(gradient + columns, tl.zeros([BLOCK], gradient.dtype.element_ty), mask=columns < classes)
            return

    if HARD:
        # Before the first reduction, where all warps meet: later, a faster warp may have written its gradient there.
        y = tl.load(target + row)
        is_class = (y >= 0) & (y < classes)  # of a target that is none the loss is NaN, not its neighbour in memory
        s_at_y = tl.load(student + y, mask=is_class, other=float("nan")).to(DTYPE)
        if STATISTICS:
            t_at_y = tl.load(teacher + y, mask=is_class, other=float("nan")).to(DTYPE)
    temperature = _scalar(temperature, temperature_low, DTYPE)
    alpha = _scalar(alpha, alpha_low, DTYPE)
    inverse = 1.0 / temperature
    s_max = tl.full([], _LOWEST, DTYPE)
    t_max = tl.full([], _LOWEST, DTYPE)
    s_soft = tl.full([], 0.0, DTYPE)  # sum exp((s - s_max) / T)
    t_soft = tl.full([], 0.0, DTYPE)
    s_hard = tl.full([], 0.0, DTYPE)  # sum exp(s - s_max)
    t_hard = tl.full([], 0.0, DTYPE)
    s_shifted = tl.full([], 0.0, DTYPE)  # sum (s - s_max)
    t_energy = tl.full([], 0.0, DTYPE)  # sum exp(t - t_max) * (t - t_max)
    s_at_t_max = tl.full([], _LOWEST, DTYPE)
    for start in range(0, classes, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        s = _load(student, columns, classes, DTYPE)
        s_old = s_max
        s_max = tl.maximum(s_max, tl.max(s, 0))
        if SOFT:
            s_soft = _rescaled(s_soft, s_old, s_max, s, inverse)
        if HARD and not UNIT:
            s_hard = _rescaled(s_hard, s_old, s_max, s, 1.0)
        if HARD and SMOOTHED:
            # The `start` logits so far were shifted by the old maximum.
            s_shifted += start * (s_old - s_max) + tl.sum(tl.where(columns < classes, s - s_max, 0.0), 0)
        if SOFT or STATISTICS:
            t = _load(teacher, columns, classes, DTYPE)
            t_old = t_max
            t_best = tl.max(t, 0)
            t_max = tl.maximum(t_max, t_best)
            if SOFT and not (UNIT and STATISTICS):
                t_soft = _rescaled(t_soft, t_old, t_max, t, inverse)
            if STATISTICS:
                moved = t_old - t_max
                shrunk = tl.exp(moved)
                e = tl.exp(t - t_max)
                t_energy = shrunk * (t_energy + moved * t_hard) + tl.sum(tl.where(e == 0, 0.0, e * (t - t_max)), 0)
                t_hard = t_hard * shrunk + tl.sum(e, 0)
                s_best = tl.max(tl.where(t == t_best, s, -float("inf")), 0)
                s_at_t_max = tl.where(t_best > t_old, s_best, s_at_t_max)
                s_at_t_max = tl.where(t_best == t_old, tl.maximum(s_at_t_max, s_best), s_at_t_max)

    s_log_soft = tl.log(s_soft)
    t_log_soft = tl.log(t_hard if UNIT and STATISTICS else t_soft)
    s_log_hard = s_log_soft if UNIT else tl.log(s_hard)
    if HARD:
        nll = s_log_hard - (s_at_y - s_max)
        smoothed = nll
        if SMOOTHED:
            smoothed = (1.0 - alpha) * nll + alpha * (s_log_hard - s_shifted / classes)
        tl.store(sums + rows, smoothed)
        tl.store(sums + 2 * rows, nll)
    if STATISTICS:
        t_log_hard = tl.log(t_hard)
        tl.store(sums + 3 * rows, t_log_hard - (t_at_y - t_max))
        tl.store(sums + 4 * rows, t_log_hard - t_energy / t_hard)
        tl.store(sums + 5 * rows, (s_at_t_max == s_max).to(DTYPE))

    if SOFT or GRADIENT:
        soft_scale = _scalar(kd_weight, kd_weight_low, DTYPE) * temperature
        hard_scale = _scalar(hard_weight, hard_weight_low, DTYPE)
        if HARD:
            hard_scale = tl.where(is_class, hard_scale, float("nan"))
        divergence = tl.full([], 0.0, DTYPE)
        for start in range(0, classes, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            change = tl.zeros([BLOCK], DTYPE)
            if SOFT or HARD_GRADIENT:
                s = _load(student, columns, classes, DTYPE)
            if SOFT:
                t = _load(teacher, columns, classes, DTYPE)
                log_q = (s - s_max) * inverse - s_log_soft
                log_p = (t - t_max) * inverse - t_log_soft
                q = tl.exp(log_q)
                p = tl.exp(log_p)
                divergence += tl.sum(_divergence(p, q, log_p - log_q, DTYPE), 0)
                if SOFT_GRADIENT:
                    change += soft_scale * (q - p)
            if HARD_GRADIENT:
                q_hard = q if UNIT else tl.exp(s - s_max - s_log_hard)
                wanted = tl.where(columns == y, 1.0 - alpha, 0.0) + alpha / classes
                change += hard_scale * (q_hard - wanted)
            if GRADIENT:
                tl.store(gradient + columns, change.to(gradient.dtype.element_ty), mask=columns < classes)
        if SOFT:
            tl.store(sums, temperature * temperature * divergence)


def run(
    student: Tensor,
    teacher: Tensor,
    target: Tensor,
    mask: Tensor | None,
    weights: Weights,
    gradient: Tensor | None,
    statistics: bool,
) -> Tensor:
    """See `Backend`; the teacher's most probable classes are all those that tie.

    Raises UserError for tensors that no GPU holds, unless Triton's interpreter is on (TRITON_INTERPRET=1).
    """
    _check_device(student, teacher)
    if gradient is not None and not _has_contiguous_rows(gradient):
        filled = torch.empty_like(gradient, memory_format=torch.contiguous_format)
        sums = run(student, teacher, target, mask, weights, filled, statistics)
        gradient.copy_(filled)
        return sums
    student, teacher = (x if _has_contiguous_rows(x) else x.contiguous() for x in (student, teacher))
    rows, classes = student.shape
    double = torch.float64 in (student.dtype, teacher.dtype)
    sums = torch.zeros(len(SUMS), rows, dtype=torch.float64 if double else torch.float32, device=student.device)
    if rows:
        with torch.cuda.device_of(student):
            _kernel[(rows,)](
                student,
                teacher,
                target.contiguous(),
                target if mask is None else mask.contiguous(),
                student if gradient is None else gradient,
                sums,
                student.stride(0),
                teacher.stride(0),
                0 if gradient is None else gradient.stride(0),
                rows,
                classes,
                *_halves(weights),
                MASKED=mask is not None,
                **_flags(weights, gradient is not None, statistics),
                DTYPE=tl.float64 if double else tl.float32,
                **_shape(classes),
            )
    return sums.sum(dim=1, dtype=torch.float64)


def _flags(weights: Weights, gradient: bool, statistics: bool) -> dict[str, bool]:
    """What the kernel is to compute; the rest is not compiled."""
    soft, hard = (statistics or weight > 0 for weight in (weights.kd_weight, weights.hard_weight))
    return {
        "SOFT": soft,
        "HARD": hard,
        "UNIT": soft and hard and weights.temperature == 1.0,
        "SMOOTHED": weights.alpha > 0,
        "STATISTICS": statistics,
        "GRADIENT": gradient,
        "SOFT_GRADIENT": gradient and weights.kd_weight > 0,
        "HARD_GRADIENT": gradient and weights.hard_weight > 0,
    }


def _shape(classes: int) -> dict[str, int]:
    """Elements that a program holds at a time, and its warps.

    16 elements a thread: both logits and what is made of them then fit the registers, and 4 loads of 16 bytes each are
    under way at once. More than 4,096 would gain nothing in width and leave more of the last block idle; rows of a few
    classes get few warps, so that many rows share a processor.
    """
    block = min(max(triton.next_power_of_2(classes), 128), 4096)
    return {"BLOCK": block, "num_warps": max(block // 512, 1)}


def _halves(weights: Weights) -> list[float]:
    """Every number as the nearest fp32 and the rest, as the kernel takes them."""
    halves = []
    for value in (weights.temperature, weights.alpha, weights.kd_weight, weights.hard_weight):
        high = struct.unpack("f", struct.pack("f", value))[0]
        halves += [high, value - high]
    return halves


def _has_contiguous_rows(x: Tensor) -> bool:
    return x.stride(-1) == 1 or x.shape[-1] == 1


def _check_device(student: Tensor, teacher: Tensor) -> None:
    compiled = isinstance(_kernel, triton.JITFunction)  # the interpreter has a class of its own
    if compiled and student.device.type != "cuda":
        raise UserError(
            f"the triton backend wants logits on a GPU, these are on {student.device}; choose backend 'chunked' or "
            "'eager', or set TRITON_INTERPRET=1 to run it, slowly, in Triton's interpreter"
        )
    if student.device != teacher.device:
        raise UserError(f"the student's logits are on {student.device}, the teacher's on {teacher.device}; move one")
