"""Label-smoothed cross-entropy, distillation and what a log wants to know of both, in one go over the logits."""

import math
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from shared.errors import UserError
from shared.losses.derivatives import check_no_second_derivative
from shared.losses.kernels import chunked, eager
from shared.losses.kernels.terms import Backend, Weights, may_look

BackendName = Literal["auto", "eager", "chunked", "triton"]
Overwrite = Literal["student", "teacher"]


class FusedTerms(NamedTuple):
    """Scalar sums over the rows that count, in nats; `loss` alone has a gradient.

    `loss` = kd_weight * `kd` + hard_weight * `smoothed`: T^2 KL and LS-CE(alpha). `nll` of the targets under the
    student; `teacher_nll` and `teacher_entropy` at T = 1; `agreement`: rows where both find the same class most
    probable. All but `loss` are float64.
    """

    loss: Tensor
    kd: Tensor
    smoothed: Tensor
    nll: Tensor
    teacher_nll: Tensor
    teacher_entropy: Tensor
    agreement: Tensor


def fused_terms(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    *,
    temperature: float,
    alpha: float = 0.0,
    kd_weight: float = 1.0,
    hard_weight: float = 0.0,
    mask: Tensor | None = None,
    overwrite: Overwrite | Tensor | None = None,
    statistics: bool = True,
    backend: BackendName = "auto",
) -> FusedTerms:
    """`kd_loss` and `label_smoothing_terms` of the same logits, weighted, with the gradient computed on the way.

    The values are those of the two functions (Hinton et al. 2015; Szegedy et al. 2016), at the cost of little more than
    reading both logits and writing the gradient: shared/README.md has the ratios.

    Args:
        student_logits, teacher_logits: [..., V], fp64, fp32, bf16 or fp16, each its own; bf16 and fp16 are computed in
            fp32. The teacher may rule classes out by -inf.
        target: [...], int64, 0 to V - 1 where the row counts.
        temperature, alpha: T, above 0; the weight of the uniform part, in [0, 1).
        kd_weight, hard_weight: of the two parts of `loss`.
        mask: [...], bool; rows where it is False count nothing, whatever they hold. None counts every row.
        overwrite: whose logits give their memory to the gradient, and are not to be read afterwards; None: it has new
            memory. Both must be contiguous and of the student's dtype, "teacher" no leaf that wants a gradient and not
            made in inference mode. "student" is for logits that are no leaf and no view and come from a matrix product,
            whose backward pass does not need them: autograd knows, and one that does raises RuntimeError. Or a tensor
            of the student's shape that gives its memory, e.g. one that is kept from step to step: what it holds is
            lost, and whoever writes to it before the backward pass makes that raise RuntimeError. The .grad of logits
            that are a leaf may be this memory: use it before the next step, and accumulate nothing in it.
        statistics: False leaves what the loss does not need at 0 (teacher_nll, teacher_entropy, agreement, and kd or
            smoothed and nll where their weight is 0).
        backend: "eager" (plain torch operations, the reference), "chunked" (the same, a few rows at a time that stay in
            the cache), "triton" (CUDA), "auto": triton for tensors on a GPU, else chunked.

    The graph can be walked backward once; the gradient itself has none (`create_graph=True` raises RuntimeError).
    Raises UserError for values out of range, an unknown backend or triton without a GPU; ValueError for shapes or
    dtypes that do not fit.
    """
    weights = Weights(temperature, alpha, kd_weight, hard_weight)
    run = backend_of(backend, student_logits)
    _check(student_logits, teacher_logits, target, mask)
    _check_overwritten(overwrite, student_logits, teacher_logits)
    if not (torch.is_grad_enabled() and student_logits.requires_grad):
        sums = _sums(run, student_logits.detach(), teacher_logits, target, mask, weights, None, statistics)
        loss = weighted_loss(sums, weights, student_logits.dtype)
    elif isinstance(overwrite, str) and overwrite == "student":
        loss, sums, _ = _InPlace.apply(student_logits, run, teacher_logits, target, mask, weights, statistics)
    else:
        filled = teacher_logits if isinstance(overwrite, str) else overwrite
        filled = None if filled is None else filled.detach()
        loss, sums = _Fused.apply(student_logits, filled, run, teacher_logits, target, mask, weights, statistics)
    return FusedTerms(loss, *sums.unbind())


class _Fused(torch.autograd.Function):
    """The forward pass computes the gradient for an upstream gradient of 1; the backward pass scales it."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, filled: Tensor | None, *given: Any) -> tuple[Tensor, Tensor]:
        ctx.gradient = filled
        if filled is None:
            ctx.gradient = torch.empty(student.shape, dtype=student.dtype, device=student.device)
        found = _forward(ctx, student, *given)
        torch.autograd.graph.increment_version(ctx.gradient)  # not every backend's writes are seen by autograd
        ctx.version = ctx.gradient._version
        return found

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        check_no_second_derivative("fused_terms")
        if upstream is None:
            return (None,) * 8
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            raise RuntimeError("the gradient of fused_terms was used already; its graph can be walked backward once")
        if ctx.version not in (None, gradient._version):
            raise RuntimeError("the memory of fused_terms' gradient was written to before the backward pass")
        if ctx.scale != 1.0 or not may_look(gradient) or upstream.item() != 1.0:
            multiply(gradient, upstream / ctx.scale)
        return gradient, *[None] * 7


class _InPlace(_Fused):
    """The gradient is written over the student's logits, which are an output therefore."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, *given: Any) -> tuple[Tensor, ...]:  # type: ignore[override]
        ctx.gradient, ctx.version = student.detach(), None  # autograd itself sees who writes to its outputs
        ctx.mark_dirty(student)
        return *_forward(ctx, student, *given), student

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, *others: Tensor | None) -> tuple[Tensor | None, ...]:
        if others[-1] is not None:
            raise RuntimeError("the logits were overwritten by their gradient: no other loss can be made of them")
        return _Fused.backward(ctx, upstream)[:7]


def multiply(gradient: Tensor, factor: Tensor) -> None:
    """In place, by a 0-dim tensor; for half precision in fp32, as the factor alone may be out of its range."""
    if gradient.dtype in (torch.float32, torch.float64):
        gradient.mul_(factor)
        return
    for part in gradient.view(-1).split(1 << 24):  # a GPU would round the factor to the dtype of the other
        part.copy_(part.float().mul_(factor))


def _forward(
    ctx: Any,
    student: Tensor,
    run: Backend,
    teacher: Tensor,
    target: Tensor,
    mask: Tensor | None,
    weights: Weights,
    statistics: bool,
) -> tuple[Tensor, Tensor]:
    ctx.set_materialize_grads(False)
    ctx.scale = _room(weights) if student.dtype == torch.float16 else 1.0
    scaled = replace(weights, kd_weight=ctx.scale * weights.kd_weight, hard_weight=ctx.scale * weights.hard_weight)
    sums = _sums(run, student.detach(), teacher, target, mask, scaled, ctx.gradient, statistics)
    ctx.mark_non_differentiable(sums)
    return weighted_loss(sums, weights, student.dtype), sums


def _room(weights: Weights) -> float:
    """The power of 2 by which a gradient fits fp16: without it most is lost before a loss scaler has its turn.

    No class has more than `kd_weight * T + hard_weight`, and fp16 ends at 65,504.
    """
    largest = weights.kd_weight * weights.temperature + weights.hard_weight
    return 2.0 ** math.floor(math.log2(65504.0 / largest)) if largest else 1.0


def _sums(
    run: Backend,
    student: Tensor,
    teacher: Tensor,
    target: Tensor,
    mask: Tensor | None,
    weights: Weights,
    gradient: Tensor | None,
    statistics: bool,
) -> Tensor:
    """As the backend's, of tensors of any leading shape."""
    classes = student.shape[-1]
    return run(
        student.detach().reshape(-1, classes),
        teacher.detach().reshape(-1, classes),
        target.reshape(-1),
        None if mask is None else mask.reshape(-1),
        weights,
        None if gradient is None else gradient.view(-1, classes),
        statistics,
    )


def weighted_loss(sums: Tensor, weights: Weights, logits: torch.dtype) -> Tensor:
    """What is trained on, of a backend's `sums`: fp64 for fp64 logits, else fp32."""
    dtype = torch.float64 if logits == torch.float64 else torch.float32
    shares = (weights.kd_weight, weights.hard_weight)
    # A part of weight 0 may be infinite.
    parts = [share * part for share, part in zip(shares, sums[:2], strict=True) if share]
    return sum(parts, sums.new_zeros(())).to(dtype)


def backend_of(name: str, student: Tensor) -> Backend:
    """The backend of that name for tensors on the device of `student`. Raises UserError for an unknown one."""
    if name not in get_args(BackendName):
        raise UserError(f"backend {name!r} is unknown; choose from {', '.join(get_args(BackendName))}")
    if name == "auto":  # some builds for GPUs come without Triton
        name = "triton" if student.device.type == "cuda" and find_spec("triton") else "chunked"
    if name == "triton":
        from shared.losses.kernels import triton  # Triton comes with torch's builds for GPUs

        return triton.run
    return {"eager": eager.run, "chunked": chunked.run}[name]


def _check(student: Tensor, teacher: Tensor, target: Tensor, mask: Tensor | None) -> None:
    rows = student.shape[:-1]
    if teacher.shape != student.shape or target.shape != rows or (mask is not None and mask.shape != rows):
        shapes = ", ".join(str(tuple(t.shape)) for t in (student, teacher, target, mask) if t is not None)
        raise ValueError(f"want student and teacher [..., V], target [...] and mask [...], got {shapes}")
    if target.dtype != torch.int64 or (mask is not None and mask.dtype != torch.bool):
        raise ValueError(f"want an int64 target and a bool mask, got {target.dtype}, {getattr(mask, 'dtype', None)}")


def _check_overwritten(overwrite: object, student: Tensor, teacher: Tensor) -> None:
    if isinstance(overwrite, Tensor):
        _check_memory(overwrite, student, teacher)
        return
    if overwrite not in (None, *get_args(Overwrite)):
        raise UserError(f"overwrite {overwrite!r} is unknown; choose from {', '.join(get_args(Overwrite))}, or None")
    filled = {"student": student, "teacher": teacher}.get(str(overwrite))
    if filled is None:
        return
    if not filled.is_contiguous() or filled.dtype != student.dtype:
        raise ValueError(f"the {overwrite}'s logits cannot hold the gradient: want contiguous {student.dtype}")
    if filled.requires_grad and (filled.is_leaf or (filled is student and filled._is_view())):
        raise ValueError(f"the {overwrite}'s logits cannot hold the gradient: they are a leaf, or a view")
    if filled.is_inference() and not torch.is_inference_mode_enabled():
        raise ValueError(f"the {overwrite}'s logits cannot hold the gradient: they were made in inference mode")


def _check_memory(given: Tensor, student: Tensor, teacher: Tensor) -> None:
    wanted = (student.shape, student.dtype, student.device)
    if (given.shape, given.dtype, given.device) != wanted or not given.is_contiguous():
        shown = f"{list(student.shape)}, {student.dtype}, {student.device}"
        raise ValueError(f"the tensor to overwrite cannot hold the gradient: want a contiguous one of {shown}")
    if given.requires_grad or given.is_inference():
        raise ValueError("the tensor to overwrite wants a gradient itself, or was made in inference mode")
    place = given.untyped_storage().data_ptr()
    for whose, logits in (("student", student), ("teacher", teacher)):
        if place and logits.untyped_storage().data_ptr() == place:
            raise ValueError(f"the tensor to overwrite shares the {whose}'s memory; say overwrite={whose!r}")
