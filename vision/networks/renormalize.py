"""Images normalized for the student, made those that the teacher was trained on."""

import torch
from torch import Tensor, nn

from shared.errors import UserError


class Renormalize(nn.Module):
    """`images * scale + shift` per channel, for images [n, C, H, W]."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        """`scale` and `shift` are [C]."""
        super().__init__()
        self.register_buffer("scale", scale.float().view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", shift.float().view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """[n, C, H, W] in, [n, C, H, W] out."""
        return torch.addcmul(self.shift, images, self.scale)


def renormalize(
    student_mean: list[float], student_std: list[float], teacher_mean: list[float], teacher_std: list[float]
) -> Renormalize | None:
    """The map from `(p - student_mean) / student_std` to `(p - teacher_mean) / teacher_std`, for pixels p in [0, 1].

    None where both agree.

    With x the former, p = x * student_std + student_mean, so the latter is
    x * (student_std / teacher_std) + (student_mean - teacher_mean) / teacher_std, computed in float64 and kept in
    float32. Raises UserError where the numbers of channels differ.
    """
    if (student_mean, student_std) == (teacher_mean, teacher_std):
        return None
    if len(student_mean) != len(teacher_mean):
        raise UserError(
            f"the data are normalized over {len(student_mean)} channel(s), the network's inputs over "
            f"{len(teacher_mean)}; they must agree"
        )
    values = (student_mean, student_std, teacher_mean, teacher_std)
    from_mean, from_std, to_mean, to_std = (torch.tensor(value, dtype=torch.float64) for value in values)
    return Renormalize(from_std / to_std, (from_mean - to_mean) / to_std)
