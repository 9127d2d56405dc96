"""Time, memory and gradient error of a call; `losses.py`, `head.py` and `centroids.py` measure with them."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from contenders import BOTH, DIST, HARD_WEIGHT, KD, KD_WEIGHT, Contender, Setting
from torch import Tensor

_CHECKED_ROWS = 64
_CLEAR_REFS, _STATUS, _MEMINFO = (Path("/proc", name) for name in ("self/clear_refs", "self/status", "meminfo"))


@dataclass(frozen=True)
class Batch:
    """`student` [N, V], a leaf that wants a gradient, `teacher` [N, V] and `target` [N]."""

    student: Tensor
    teacher: Tensor
    target: Tensor

    @classmethod
    def drawn(cls, tokens: int, classes: int, dtype: torch.dtype, device: torch.device) -> "Batch":
        """Logits of standard deviation 2, the same at every call."""
        draw = torch.Generator(device).manual_seed(0)
        student, teacher = (
            torch.randn(tokens, classes, dtype=dtype, device=device, generator=draw).mul_(2) for _ in range(2)
        )
        target = torch.randint(classes, (tokens,), device=device, generator=draw)
        return cls(student.requires_grad_(), teacher, target)

    def first(self, rows: int) -> "Batch":
        """The first `rows` as a batch of their own."""
        return Batch(self.student.detach()[:rows].clone().requires_grad_(), self.teacher[:rows], self.target[:rows])


def logits_for(contender: Contender, batch: Batch) -> tuple[Tensor, Tensor]:
    """Both logits as `contender` is given them; made before the clock starts."""
    # A clone is no leaf, and its backward pass hands the gradient on as it is.
    student = batch.student.clone() if contender.overwrites == "student" else batch.student
    return student, batch.teacher.clone() if contender.overwrites == "teacher" else batch.teacher


def gradient(contender: Contender, batch: Batch, logits: tuple[Tensor, Tensor]) -> Tensor:
    """One forward and backward pass: d loss / d student [N, V]."""
    return torch.autograd.grad(contender.loss(*logits, batch.target), batch.student)[0]


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of one call, until the device is done; what it returns is freed after the clock has stopped."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        kept = work()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000
    started = perf_counter()
    kept = work()  # noqa: F841
    return perf_counter() - started


def available_bytes(device: torch.device) -> int:
    """Memory that can be had on `device` now."""
    if device.type == "cuda":
        kept_for_later = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept_for_later
    return _kibibytes(_MEMINFO, "MemAvailable") * 1024


def extra_bytes(work: Callable[[], object], device: torch.device) -> int | None:
    """What one call takes at its peak beyond what was taken before; None where it cannot be seen."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        # What malloc keeps of earlier calls would be used again unseen.
        ctypes.CDLL(None).malloc_trim(0)
        _CLEAR_REFS.write_text("5")  # the peak starts anew from what is resident now
    except (OSError, AttributeError):
        return None
    before = _kibibytes(_STATUS, "VmRSS")
    work()
    return (_kibibytes(_STATUS, "VmHWM") - before) * 1024


def _kibibytes(path: Path, key: str) -> int:
    lines = path.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def gradient_error(contender: Contender, task: str, batch: Batch, setting: Setting) -> float:
    """|g - g64| / |g64| over some rows; g64 is the definition's, in float64."""
    # DIST's gradient of a row depends on all rows, so it is checked on a small batch.
    part = batch.first(_CHECKED_ROWS) if task == DIST else batch
    rows = len(part.target)
    picked = torch.linspace(0, rows - 1, min(_CHECKED_ROWS, rows), device=part.target.device).long()
    found = gradient(contender, part, logits_for(contender, part))[picked].double() * (rows if contender.mean else 1)
    exact = _exact(task, setting, *(x.detach()[picked] for x in (part.student, part.teacher, part.target)))
    return ((found - exact).norm() / exact.norm()).item()


def _exact(task: str, setting: Setting, student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
    """The gradient of the sum over rows (DIST: of the loss) in float64."""
    t, student, teacher = setting.temperature, student.double(), teacher.double()
    kd = t * ((student / t).softmax(-1) - (teacher / t).softmax(-1))
    if task == KD:
        return kd
    if task == BOTH:
        hard = student.softmax(-1) - setting.alpha / student.shape[-1]
        hard.scatter_add_(1, target[:, None], hard.new_full((len(target), 1), setting.alpha - 1.0))
        return KD_WEIGHT * kd + HARD_WEIGHT * hard
    student.requires_grad_()
    q, p = (student / t).softmax(-1), (teacher / t).softmax(-1)
    likeness = _pearson(q, p, 0).mean() + _pearson(q, p, 1).mean()
    return torch.autograd.grad(-(t**2) * likeness, student)[0]


def _pearson(one: Tensor, other: Tensor, dim: int) -> Tensor:
    one, other = (x - x.mean(dim, keepdim=True) for x in (one, other))
    return (one * other).sum(dim) / (one.norm(dim=dim) * other.norm(dim=dim))
