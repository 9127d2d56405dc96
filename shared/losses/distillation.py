"""Temperature-scaled knowledge distillation (Hinton et al. 2015)."""

import torch
from torch import Tensor

from shared.errors import check_temperature
from shared.losses.precision import at_least_float32


def kd_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float, *, mask: Tensor | None = None
) -> Tensor:
    """`T^2 * KL( softmax(teacher / T) || softmax(student / T) )`, summed over rows, in nats.

    Hinton et al. 2015, section 2; Chandrasegaran et al. 2022, equation 2. `T^2` keeps the size of the gradient
    independent of T at high T. Log-probabilities are logits too (softmax does not see the shift), so either may be
    passed. The gradient flows to the student only.

    Args:
        student_logits: [..., K], any floating dtype; bf16 and fp16 are computed in fp32.
        teacher_logits: [..., K], same shape; classes the teacher rules out may be -inf.
        temperature: T, finite and above 0.
        mask: [...], bool; rows where it is False count nothing. None counts every row.

    Returns a scalar in fp32 (fp64 for fp64 logits), zero exactly where the logits agree; a zero connected to
    `student_logits` where every row is masked out.
    In fp32 a row's value is rounded by at most about `T^2 * 6e-8` nats; its gradient is not affected by T.
    Raises UserError for a temperature that is not above 0, ValueError for shapes that differ or a mask that does not
    fit.
    """
    check_temperature(temperature)
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student {tuple(student_logits.shape)} and teacher {tuple(teacher_logits.shape)} differ in shape"
        )
    teacher_logits = teacher_logits.detach()
    if mask is not None:
        if mask.dtype != torch.bool or mask.shape != student_logits.shape[:-1]:
            raise ValueError(
                f"want a bool mask {tuple(student_logits.shape[:-1])}, got {mask.dtype} {tuple(mask.shape)}"
            )
        student_logits, teacher_logits = student_logits[mask], teacher_logits[mask]
    log_q = torch.log_softmax(at_least_float32(student_logits) / temperature, dim=-1)
    log_p = torch.log_softmax(at_least_float32(teacher_logits) / temperature, dim=-1)
    p = log_p.exp()
    # 0 * log 0 is 0 in a divergence; without the fill a teacher logit of -inf would make it NaN.
    log_ratio = (p * (log_p - log_q)).masked_fill(p == 0, 0.0)
    # q - p sums to 0, but makes every term non-negative and cancels the rounding of the two normalizers, which T^2
    # would otherwise blow up to per cents of the value at T = 64.
    return temperature**2 * (log_ratio + (log_q.exp() - p)).sum()
