"""A few rows at a time in plain torch, so that all but the first read and the last write stay in the cache."""

import math

import torch
from torch import Tensor

from shared.losses.kernels.terms import Weights, may_look
from shared.losses.precision import at_least_float32

# Logits of one network in a chunk: enough to make a call of torch cheap beside its work, few enough for the caches.
_CHUNK_ON_CPU, _CHUNK_ELSEWHERE = 1 << 18, 1 << 24
_LOG2_E, _LN_2 = math.log2(math.e), math.log(2.0)
_SMALL = 2.0**24  # below it a float32 is rounded by less than 1: a power of 2 by less than a factor of 2


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
    if mask is not None and may_look(student):
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


class _Affine:
    """z = r (x - max x) of every row: of x as r x + c in one pass, where rounding c = -r max x does no harm.

    A rounded c is one more shift of all classes, which a softmax does not see as long as it is small. It takes a fused
    multiplication and addition, which rounds once: elsewhere r x alone would lose what x - max x keeps.
    """

    def __init__(self, rate: float, rows: Tensor) -> None:
        """`rows` [n] is of the dtype and device that z is to have."""
        self._rate = rate
        self._fuses = may_look(rows) and torch.backends.cpu.get_cpu_capability() != "DEFAULT"
        self._shifted = torch.full_like(rows, self._fuses, dtype=torch.bool)

    def __call__(self, x: Tensor, largest: Tensor, part: slice, out: Tensor) -> Tensor:
        """Of the rows `part`, x [k, V], with their maxima [k]."""
        if self._fuses and float(largest.abs().max()) * self._rate < _SMALL:
            return torch.add((largest * -self._rate).unsqueeze(1), x, alpha=self._rate, out=out)
        self._shifted[part] = False
        return torch.sub(x, largest.unsqueeze(1), out=out).mul_(self._rate)

    def shift(self, largest: Tensor) -> Tensor:
        """z at the maximum of every row, [n], float64."""
        shift = torch.add(largest * -self._rate, largest, alpha=self._rate).double()
        return torch.where(self._shifted, shift, torch.zeros_like(shift))


class _Side:
    """One network's logits x as z = (x - max x) log2(e) / T, 0 or near it at the largest: no power overflows.

    Powers of 2, because on CPUs they take torch less than half the time of a softmax. They are left as they are, with
    their `sum`: to divide by it would be one more pass.

    `plain` is the same of x itself, exp(x - max x), with its sum: at T = 1 to 4 a power of the others.
    """

    def __init__(self, logits: Tensor, kept: Tensor | None, rows: int, size: int, temperature: float) -> None:
        self._logits, self._kept, self._temperature = logits, kept, temperature
        like = at_least_float32(logits[:0])
        self.largest, self.sum, self.sum_plain = like.new_ones(3, rows)
        self._z, self._e = like.new_empty(2, size, logits.shape[1])
        self._plain = self._e if temperature == 1.0 else like.new_empty(size, logits.shape[1])
        self._power = int(temperature) if temperature in (1.0, 2.0, 3.0, 4.0) else 0
        if self._power == 1:
            self.sum_plain = self.sum
        self._affine, self._affine_plain = (_Affine(_LOG2_E / t, self.largest) for t in (temperature, 1.0))
        self.z = self.e = self.plain = like

    def read(self, part: slice, plain: bool) -> None:
        """Take the rows `part`: z, 2^z and, where it is wanted, `plain`; each [k, V]."""
        count = part.stop - part.start
        logits, largest = self._load(part), self.largest[part]
        torch.amax(logits, 1, out=largest)
        self.z = self._affine(logits, largest, part, self._z[:count])
        self.e = torch.exp2(self.z, out=self._e[:count])
        torch.sum(self.e, 1, out=self.sum[part])
        if plain:
            self._read_plain(part, logits, self._plain[:count])

    def _read_plain(self, part: slice, logits: Tensor, out: Tensor) -> None:
        if self._power == 1:
            self.plain = self.e
            return
        if self._power:
            self.plain = torch.square(self.e, out=out)
            for _ in range(2, self._power):
                out.mul_(self.e)
        else:
            self.plain = torch.exp2(self._affine_plain(logits, self.largest[part], part, out), out=out)
        torch.sum(self.plain, 1, out=self.sum_plain[part])

    def _load(self, part: slice) -> Tensor:
        if self._kept is None:
            return at_least_float32(self._logits[part])
        return at_least_float32(self._logits.index_select(0, self._kept[part]))

    @property
    def log_z(self) -> Tensor:
        """log sum 2^z: [rows], float64."""
        return self.sum.double().log()

    @property
    def log_z_plain(self) -> Tensor:
        """log sum exp(x - max x): [rows], float64."""
        shift = self._temperature * self.shift if self._power else self._affine_plain.shift(self.largest)
        return self.sum_plain.double().log() - _LN_2 * shift

    @property
    def shift(self) -> Tensor:
        """z at the maximum: [rows], float64."""
        return self._affine.shift(self.largest)


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
        self.size = max(1, min(rows, chunk // classes))
        self._kept, self._weights, self._statistics = kept, weights, statistics
        self._distils = statistics or weights.kd_weight > 0.0
        self._scores = statistics or weights.hard_weight > 0.0
        self._temperature = weights.temperature if self._distils else 1.0
        self._target = target.unsqueeze(1)
        self._gold = [_picked(logits, self._target, kept).double() for logits in (student, teacher)]
        self._student, self._teacher = (
            _Side(logits, kept, rows, self.size, self._temperature) for logits in (student, teacher)
        )
        like = at_least_float32(student[:0])
        like = like.to(torch.promote_types(like.dtype, teacher.dtype))
        self._e_d, self._sum_z, self._plain_z, self._most, self._both = like.new_zeros(5, rows)
        self._scratch = like.new_empty(self.size, classes)
        self._onehot = like.new_full((self.size, 1), -weights.hard_weight * (1.0 - weights.alpha))

    def read(self, part: slice) -> None:
        """Look at the rows `part` of both networks."""
        student, teacher, count = self._student, self._teacher, part.stop - part.start
        student.read(part, self._scores)
        if self._scores and self._weights.alpha > 0.0:
            torch.sum(student.z, 1, out=self._sum_z[part])
        if not self._distils:
            return
        teacher.read(part, self._statistics)
        scratch = torch.sub(teacher.z, student.z, out=self._scratch[:count])
        _weigh(teacher.e, scratch, scratch, self._e_d[part])
        if self._statistics:
            _weigh(teacher.plain, teacher.z, scratch, self._plain_z[part])
            torch.add(teacher.z.amax(1), student.z.amax(1), out=self._most[part])
            torch.amax(torch.add(teacher.z, student.z, out=scratch), 1, out=self._both[part])

    def write(self, part: slice, gradient: Tensor, mask: Tensor | None) -> None:
        """d loss / d student = kd_weight T (q_T - p_T) + hard_weight (q - (1 - alpha) onehot - alpha / V).

        Of the rows that were read last, once: it uses their buffers up.
        """
        count = part.stop - part.start
        scratch = self._scratch[:count]
        direct = self._kept is None and gradient.dtype == scratch.dtype
        out = gradient[part] if direct else scratch
        self._write_all_classes(part, scratch, out)
        if self._weights.hard_weight:
            out.scatter_add_(1, self._target[part], self._onehot[:count])
        if mask is not None:
            out.masked_fill_(~mask[part].unsqueeze(1), 0.0)
        if self._kept is not None:
            gradient.index_copy_(0, self._kept[part], out.to(gradient.dtype))
        elif not direct:
            gradient[part] = out

    def _write_all_classes(self, part: slice, scratch: Tensor, out: Tensor) -> None:
        """The gradient but for the targets' own share, in as few passes as may be; `out` may be `scratch`."""
        student, teacher, hard = self._student, self._teacher, self._weights.hard_weight
        soft = self._weights.kd_weight * self._weights.temperature
        uniform = -hard * self._weights.alpha / scratch.shape[1]
        # Per row: what e, plain and the teacher's e count in the gradient.
        of_student, of_plain, of_teacher = (
            (weight / total[part]).unsqueeze(1)
            for weight, total in ((soft, student.sum), (hard, student.sum_plain), (-soft, teacher.sum))
        )
        if not soft and not hard:
            out.zero_()
        elif not soft:
            torch.add(torch.mul(student.plain, of_plain, out=scratch), uniform, out=out)
        else:
            torch.mul(student.e, of_student, out=scratch)
            last = scratch if hard else out
            # Both rounded alike: a student that is its teacher has a gradient of 0, which no optimizer enlarges.
            torch.add(scratch, teacher.e.mul_(of_teacher), out=last)
            if hard:
                torch.addcmul(scratch, student.plain, of_plain, out=scratch)
                torch.add(scratch, uniform, out=out)

    def sums(self, mask: Tensor | None) -> Tensor:
        """Over all rows, in float64; see `Backend`."""
        student, teacher, weights, t = self._student, self._teacher, self._weights, self._temperature
        rows = self._e_d.new_zeros(6, len(self._e_d), dtype=torch.float64)
        kd, smoothed, nll, teacher_nll, entropy, agreement = rows
        if self._distils:
            # p (log p - log q), with log p = z ln 2 - log sum 2^z
            mean = _LN_2 * (self._e_d.double() / teacher.sum.double())
            kd += t**2 * (mean + (student.log_z - teacher.log_z))
        if self._scores:
            nll += student.log_z_plain + (student.largest.double() - self._gold[0])
            smoothed += nll
            if weights.alpha > 0.0:
                mean = t * _LN_2 * (self._sum_z.double() / self._scratch.shape[1] - student.shift)
                smoothed *= 1.0 - weights.alpha
                smoothed += weights.alpha * (student.log_z_plain - mean)
        if self._statistics:
            teacher_nll += teacher.log_z_plain + (teacher.largest.double() - self._gold[1])
            p_y = t * _LN_2 * (self._plain_z.double() / teacher.sum_plain.double() - teacher.shift)
            entropy += teacher.log_z_plain - p_y
            agreement += self._both == self._most  # only where some class is the largest of both
        return (rows if mask is None else rows.masked_fill_(~mask, 0.0)).sum(1)


def _picked(logits: Tensor, target: Tensor, kept: Tensor | None) -> Tensor:
    """The targets' logits, [rows]."""
    return logits.gather(1, target).squeeze(1) if kept is None else logits[kept, target.squeeze(1)]


def _weigh(e: Tensor, x: Tensor, product: Tensor, out: Tensor) -> None:
    """`sum_k e_k x_k` of every row into `out` [k], by way of `product`, which may be x.

    0 * inf is 0, as classes that are ruled out make of it.
    """
    torch.sum(torch.mul(e, x, out=product), 1, out=out)
    if not may_look(out) or not math.isfinite(out.sum().item()):
        torch.sum(product.masked_fill_(e == 0, 0.0), 1, out=out)
