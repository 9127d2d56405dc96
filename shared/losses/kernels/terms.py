"""What every backend of the fused loss computes, and from what."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from shared.errors import UserError, check_alpha, check_temperature

# The order of the sums that a backend returns. Each is a sum over the rows that count, in nats; agreement is a count.
SUMS = ("kd", "smoothed", "nll", "teacher_nll", "teacher_entropy", "agreement")


@dataclass(frozen=True)
class Weights:
    """The loss `kd_weight * T^2 KL + hard_weight * LS-CE(alpha)`.

    Raises UserError for a temperature that is not above 0, an alpha outside [0, 1) or a weight below 0.
    """

    temperature: float
    alpha: float
    kd_weight: float
    hard_weight: float

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        check_alpha(self.alpha)
        for name in ("kd_weight", "hard_weight"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}; it must not be below 0, e.g. 0.9 or 1")


def may_look(tensor: Tensor) -> bool:
    """Whether to look at what `tensor` holds costs no waiting: on a CPU it does not."""
    return tensor.device.type == "cpu"


class Backend(Protocol):
    """A way to compute the sums and, in the same go, the gradient."""

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        target: Tensor,
        mask: Tensor | None,
        weights: Weights,
        gradient: Tensor | None,
        statistics: bool,
    ) -> Tensor:
        """The `SUMS` over the rows that count, float64 [6], on the logits' device; nothing waits for that device.

        Per row, with q = softmax(student / T), p = softmax(teacher / T) and everything else at T = 1:
        kd is T^2 KL(p || q); smoothed is (1 - alpha) * nll + alpha * mean_k(-log q_k); nll is -log q[target];
        teacher_nll the teacher's; teacher_entropy is -sum p log p, where a class that is ruled out (-inf) adds nothing;
        agreement is 1 where the student's logit of a most probable class of the teacher's is the student's largest.

        Args:
            student: logits [n, V], fp64, fp32, bf16 or fp16, at any strides. bf16 and fp16 are computed in fp32.
            teacher: logits [n, V], any of these dtypes, likewise; may be -inf.
            target: [n], int64, 0 to V - 1 where the row counts, anything elsewhere.
            mask: [n], bool: the rows that count; None for all. Elsewhere logits may be anything, NaN too.
            gradient: [n, V], the student's dtype: filled with d loss / d student, 0 in rows that do not count. May be
                `student` or `teacher` itself. None where no gradient is wanted, which is then not computed.
            statistics: False: what the loss does not need may stay 0 in the sums, and is then not computed.
        """
        ...
