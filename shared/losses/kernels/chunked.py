"""A few rows at a time in plain torch, so that all but the first read and the last write stay in the cache."""

import torch
from torch import Tensor

from shared.losses.kernels.terms import Weights
from shared.losses.precision import at_least_float32

# Logits of one network in a chunk: enough to make a call of torch cheap beside its work, few enough for the L2 cache.
_CHUNK_ON_CPU, _CHUNK_ELSEWHERE = 1 << 17, 1 << 24


def run(
    student: Tensor,
    teacher: Tensor,
    target: Tensor,
    mask: Tensor | None,
    weights: Weights,
    gradient: Tensor | None,
    statistics: bool,
) -> Tensor:
    """See `Backend`."""
    kept = None
    if mask is not None and student.device.type == "cpu":
        if gradient is not None:
            gradient.index_fill_(0, (~mask).nonzero().flatten(), 0.0)
        kept, mask = mask.nonzero().flatten(), None
        target = target[kept]
    elif mask is not None:  # to drop rows would be to wait for the device: they are computed in vain
        target = target.masked_fill(~mask, 0)
    work = _Work(student, teacher, target, kept, weights, statistics)
    for first in range(0, len(target), work.size):
        part = slice(first, min(first + work.size, len(target)))
        work.read(part)
        if gradient is not None:
            work.write(part, gradient, mask)
    return work.sums(mask)


class _Side:
    """One network's logits z, as y = z - max z: neither exp(y) nor a sum of it overflows.

    The softmax of y is largest where y is 0, and is 1 / sum exp(y) there: `top`, whose logarithm is -logsumexp(y).
    """

    def __init__(self, logits: Tensor, kept: Tensor | None, rows: int, size: int, temperature: float) -> None:
        self._logits, self._kept, self._temperature = logits, kept, temperature
        like = at_least_float32(logits[:0])
        self.gold, self.top, self.top_plain = like.new_empty(3, rows)
        self._y, self._p, self._p_plain, self._scaled = (like.new_empty(size, logits.shape[1]) for _ in range(4))
        self.y = self.p = self.p_plain = like

    def read(self, part: slice, target: Tensor, softened: bool, plain: bool) -> None:
        """Of the rows `part`: y [k, V] and the softmax of y / T (`p`) and of y (`p_plain`), where they are wanted."""
        count = part.stop - part.start
        logits = self._load(part)
        self.y = torch.sub(logits, logits.amax(1, keepdim=True), out=self._y[:count])
        self.gold[part] = self.y.gather(1, target[part].unsqueeze(1)).squeeze(1)
        if plain or self._temperature == 1.0:
            self.p_plain = torch.softmax(self.y, 1, out=self._p_plain[:count])
            torch.amax(self.p_plain, 1, out=self.top_plain[part])
        if self._temperature == 1.0:
            self.p, self.top = self.p_plain, self.top_plain
        elif softened:
            scaled = torch.mul(self.y, 1.0 / self._temperature, out=self._scaled[:count])
            self.p = torch.softmax(scaled, 1, out=self._p[:count])
            torch.amax(self.p, 1, out=self.top[part])

    def _load(self, part: slice) -> Tensor:
        if self._kept is None:
            return at_least_float32(self._logits[part])
        return at_least_float32(self._logits.index_select(0, self._kept[part]))


class _Work:
    """The numbers of every row, [rows], and the buffers of a chunk of `size` rows."""

    def __init__(
        self,
        student: Tensor,
        teacher: Tensor,
        target: Tensor,
        kept: Tensor | None,
        weights: Weights,
        statistics: bool,
    ) -> None:
        rows, classes = len(target), student.shape[1]
        chunk = _CHUNK_ON_CPU if student.device.type == "cpu" else _CHUNK_ELSEWHERE
        self.size = max(1, min(rows, chunk // max(classes, 1)))
        self._target, self._kept, self._weights, self._statistics = target, kept, weights, statistics
        self._distils = statistics or weights.kd_weight > 0.0
        self._scores = statistics or weights.hard_weight > 0.0
        self._student, self._teacher = (
            _Side(logits, kept, rows, self.size, weights.temperature) for logits in (student, teacher)
        )
        like = at_least_float32(student[:0])
        self._kd, self._sum_y, self._p_log_p, self._both = like.new_zeros(4, rows)
        self._scratch = like.new_empty(self.size, classes)

    def read(self, part: slice) -> None:
        """Look at the rows `part` of both networks."""
        student, teacher, weights = self._student, self._teacher, self._weights
        scratch = self._scratch[: part.stop - part.start]
        student.read(part, self._target, self._distils, self._scores)
        if self._scores and weights.alpha > 0.0:
            torch.sum(student.y, 1, out=self._sum_y[part])
        if not self._distils:
            return
        teacher.read(part, self._target, True, self._statistics)
        self._kd[part] = _expectation(teacher.p, torch.sub(teacher.y, student.y, out=scratch))
        if self._statistics:
            self._p_log_p[part] = _expectation(teacher.p_plain, teacher.y)
            # 0 only where some class is the largest of both: neither is ever above 0
            torch.amax(torch.add(teacher.y, student.y, out=scratch), 1, out=self._both[part])

    def write(self, part: slice, gradient: Tensor, mask: Tensor | None) -> None:
        """d loss / d student = kd_weight T (q_T - p_T) + hard_weight (q - (1 - alpha) onehot - alpha / V)."""
        weights, scratch = self._weights, self._scratch[: part.stop - part.start]
        direct = self._kept is None and gradient.dtype == scratch.dtype
        out = gradient[part] if direct else scratch
        self._write_all_classes(scratch, out)
        if weights.hard_weight:
            gold = self._target[part].unsqueeze(1)
            share = -weights.hard_weight * (1.0 - weights.alpha)
            out.scatter_add_(1, gold, out.new_full((1, 1), share).expand_as(gold))
        if mask is not None:
            out.masked_fill_(~mask[part].unsqueeze(1), 0.0)
        if self._kept is not None:
            gradient.index_copy_(0, self._kept[part], out.to(gradient.dtype))
        elif not direct:
            gradient[part] = out

    def _write_all_classes(self, scratch: Tensor, out: Tensor) -> None:
        """The gradient but for the targets' own share, in as few passes as may be; `out` may be `scratch`."""
        soft = self._weights.kd_weight * self._weights.temperature
        hard = self._weights.hard_weight
        uniform = out.new_full((), -hard * self._weights.alpha / out.shape[1])
        if not soft and not hard:
            out.zero_()
            return
        if not soft:
            torch.add(uniform, self._student.p_plain, alpha=hard, out=out)
            return
        torch.sub(self._student.p, self._teacher.p, out=scratch)
        if not hard:
            torch.mul(scratch, soft, out=out)
            return
        torch.add(self._student.p_plain, scratch, alpha=soft / hard, out=scratch)
        torch.add(uniform, scratch, alpha=hard, out=out)

    def sums(self, mask: Tensor | None) -> Tensor:
        """Over all rows, in float64; see `Backend`."""
        student, teacher, weights = self._student, self._teacher, self._weights
        classes, temperature = self._scratch.shape[1], weights.temperature
        rows = self._kd.new_zeros(6, len(self._kd), dtype=torch.float64)
        kd, smoothed, nll, teacher_nll, entropy, agreement = rows
        if self._distils:
            # p (log p - log q) with log p = y / T - logsumexp(y / T)
            normalizers = teacher.top.double().log() - student.top.double().log()
            kd += temperature**2 * (self._kd.double() / temperature + normalizers)
        if self._scores:
            log_z = -student.top_plain.double().log()
            nll += log_z - student.gold.double()
            smoothed += nll
            if weights.alpha > 0.0:
                smoothed *= 1.0 - weights.alpha
                smoothed += weights.alpha * (log_z - self._sum_y.double() / classes)
        if self._statistics:
            log_z = -teacher.top_plain.double().log()
            teacher_nll += log_z - teacher.gold.double()
            entropy += log_z - self._p_log_p.double()
            agreement += self._both == 0.0
        return (rows if mask is None else rows.masked_fill_(~mask, 0.0)).sum(1)


def _expectation(p: Tensor, x: Tensor) -> Tensor:
    """`sum_k p_k x_k` of every row, [k]; 0 * inf is 0, as classes that are ruled out make of it."""
    plain = torch.linalg.vecdot(p, x)
    if p.device.type == "cpu" and bool(plain.isfinite().all()):  # looking costs no wait here
        return plain
    return (p * x).masked_fill_(p == 0, 0.0).sum(1)
