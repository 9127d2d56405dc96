"""The fused loss of hidden states: both networks' output matrices included, the logits of all rows never held."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from shared.losses.derivatives import check_no_second_derivative
from shared.losses.fused import BackendName, FusedTerms, backend_of, multiply, weighted_loss
from shared.losses.kernels.terms import SUMS, Backend, Weights, may_look

# Logits of one network in a chunk: rows enough for the matrix products to run at full speed.
_CHUNK_ON_CPU, _CHUNK_ELSEWHERE = 1 << 23, 1 << 26


class Head(NamedTuple):
    """Hidden states [..., d] and the matrix [V, d] (and bias [V]) that makes logits of them: `F.linear(*head)`."""

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None = None

    def with_rows(self) -> "Head":
        """The same with hidden states [n, d]."""
        return self._replace(hidden=self.hidden.reshape(-1, self.hidden.shape[-1]))

    def cast(self) -> "Head":
        """The same in the dtype of autocast, where that is on: as a linear layer would be."""
        device = self.hidden.device.type
        if not torch.is_autocast_enabled(device):
            return self
        dtype = torch.get_autocast_dtype(device)
        return Head(*(None if tensor is None else tensor.to(dtype) for tensor in self))  # type: ignore[arg-type]

    def logits(self, rows: slice = slice(None)) -> Tensor:
        """[..., V]; of some rows."""
        return torch.nn.functional.linear(self.hidden[rows], self.weight, self.bias)


def head_terms(
    student: Head,
    teacher: Head,
    target: Tensor,
    *,
    temperature: float,
    alpha: float = 0.0,
    kd_weight: float = 1.0,
    hard_weight: float = 0.0,
    mask: Tensor | None = None,
    statistics: bool = True,
    backend: BackendName = "auto",
) -> FusedTerms:
    """`fused_terms` of both heads' logits, which exist for a chunk of rows at a time.

    Beside the gradients themselves it takes memory for two chunks, whatever the number of rows: 2^23 logits each on a
    CPU, 2^26 elsewhere. It takes up to a tenth more time than all logits at once (shared/README.md).

    Args:
        student, teacher: `Head`s of the same leading shape [...] and V classes; dimensions d and dtypes may differ. The
            gradient flows to the student's hidden states, weight and bias, where they want one. Under autocast the
            student's head is computed in its dtype; the teacher's in its own, as its hidden states were.
        target: [...], int64, 0 to V - 1 where the row counts.
        mask: [...], bool; rows where it is False count nothing, whatever they hold. None counts every row.

    fp16 logits' gradients below 6e-8 are lost, whatever a loss scaler does afterwards: take bf16 or fp32.
    The rest, and the errors, as `fused_terms`. The graph can be walked backward once; the gradient itself has none.
    """
    weights = Weights(temperature, alpha, kd_weight, hard_weight)
    run = backend_of(backend, student.hidden)
    _check(student, teacher, target, mask)
    if mask is not None and may_look(mask):
        student, teacher = (head._replace(hidden=head.hidden[mask]) for head in (student, teacher))
        target, mask = target[mask], None
    elif mask is not None:  # to drop rows would be to wait for the device; 0 times what they hold may be NaN
        student = student._replace(hidden=student.hidden.masked_fill(~mask.unsqueeze(-1), 0.0))
    student, teacher = student.with_rows().cast(), teacher.with_rows()
    work = _Work(run, teacher, target.reshape(-1), None if mask is None else mask.reshape(-1), weights, statistics)
    with torch.autocast(student.hidden.device.type, enabled=False):
        if torch.is_grad_enabled():
            loss, sums = _Fused.apply(work, *student)
        else:
            sums = work.sums(student, None)
            loss = weighted_loss(sums, weights, student.hidden.dtype)
    return FusedTerms(loss, *sums.unbind())


class _Work(NamedTuple):
    """What is done with the student's logits."""

    run: Backend
    teacher: Head
    target: Tensor
    mask: Tensor | None
    weights: Weights
    statistics: bool

    def sums(self, student: Head, gradients: "_Gradients | None") -> Tensor:
        """The `SUMS` over all rows, float64 [6]; `gradients` are added to."""
        rows, classes = len(student.hidden), len(student.weight)
        chunk = _CHUNK_ON_CPU if student.hidden.device.type == "cpu" else _CHUNK_ELSEWHERE
        size = max(1, chunk // classes)
        sums = torch.zeros(len(SUMS), dtype=torch.float64, device=student.hidden.device)
        for first in range(0, rows, size):
            part = slice(first, first + size)
            logits = student.logits(part)
            filled = None if gradients is None else logits
            mask = None if self.mask is None else self.mask[part]
            given = (self.teacher.logits(part), self.target[part], mask, self.weights)
            sums += self.run(logits, *given, filled, self.statistics)
            if gradients is not None:
                gradients.add(part, student, logits)
            del logits, filled, given  # before the next chunk is made
        return sums


class _Gradients:
    """Of the head: that of the logits, times the other factor of each product. Sums are kept in fp32 at least."""

    def __init__(self, student: Head, wanted: tuple[bool, bool, bool]) -> None:
        self.hidden = torch.empty_like(student.hidden) if wanted[0] else None
        self.weight, self.bias = (
            torch.zeros_like(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32))
            if want and tensor is not None
            else None
            for want, tensor in zip(wanted[1:], student[1:], strict=True)
        )

    def add(self, part: slice, student: Head, of_logits: Tensor) -> None:
        """The rows `part`, of whose logits [k, V] the gradient is `of_logits`."""
        if self.hidden is not None:
            torch.mm(of_logits, student.weight, out=self.hidden[part])
        if self.weight is not None and self.weight.dtype == of_logits.dtype:
            self.weight.addmm_(of_logits.T, student.hidden[part])
        elif self.weight is not None:
            self.weight += of_logits.T @ student.hidden[part]
        if self.bias is not None:
            self.bias += of_logits.sum(0, dtype=self.bias.dtype)

    def scaled(self, upstream: Tensor, student_dtypes: list[torch.dtype]) -> list[Tensor | None]:
        """Times `upstream`, each in the dtype of what it is the gradient of."""
        gradients = (self.hidden, self.weight, self.bias)
        for gradient in gradients:
            if gradient is not None:
                multiply(gradient, upstream)
        return [
            None if gradient is None else gradient.to(dtype)
            for gradient, dtype in zip(gradients, student_dtypes, strict=True)
        ]


class _Fused(torch.autograd.Function):
    """The forward pass computes the gradients for an upstream gradient of 1; the backward pass scales them."""

    @staticmethod
    def forward(ctx: Any, work: _Work, *head: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        student = Head(*head)
        wanted = ctx.needs_input_grad[1:]
        ctx.gradients = _Gradients(student, wanted) if any(wanted) else None
        ctx.dtypes = [torch.float32 if tensor is None else tensor.dtype for tensor in student]
        sums = work.sums(student, ctx.gradients)
        ctx.mark_non_differentiable(sums)
        return weighted_loss(sums, work.weights, student.hidden.dtype), sums

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        check_no_second_derivative("head_terms")
        if upstream is None:
            return (None,) * 4
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("the gradient of head_terms was used already; its graph can be walked backward once")
        return None, *gradients.scaled(upstream, ctx.dtypes)


def _check(student: Head, teacher: Head, target: Tensor, mask: Tensor | None) -> None:
    rows = student.hidden.shape[:-1]
    if teacher.hidden.shape[:-1] != rows or target.shape != rows or (mask is not None and mask.shape != rows):
        given = (student.hidden, teacher.hidden, target, mask)
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in given if tensor is not None)
        raise ValueError(f"want hidden states [..., d] of both, target [...] and mask [...], got {shapes}")
    if len(student.weight) != len(teacher.weight):
        raise ValueError(f"the student has {len(student.weight)} classes and the teacher {len(teacher.weight)}")
    if target.dtype != torch.int64 or (mask is not None and mask.dtype != torch.bool):
        raise ValueError("want an int64 target and a bool mask")
