"""The same losses in other people's packages, for `losses.py`. Each function raises ImportError without its package."""

from typing import Any

from contenders import BOTH, DIST, HARD_WEIGHT, KD, KD_WEIGHT, Contender, Entries, Setting
from torch import Tensor, nn

from shared.losses.precision import at_least_float32


class Given(nn.Module):
    """A network whose logits are there already, whatever the image; with what timm reads of a model."""

    num_classes, in_chans = 2, 3
    pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}  # noqa: RUF012
    logits: Tensor

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        return self.logits


def timm_task(setting: Setting) -> Entries:
    """timm's `LogitDistillationTask` around two networks that cost nothing: T^2 KL, mean over the rows."""
    from timm.task import LogitDistillationTask

    def contender(criterion: Any, hard_weight: float, kd_weight: float, copies: float) -> Contender:
        student, teacher = Given(), Given()
        task = LogitDistillationTask(
            student,
            teacher,
            criterion,
            distill_loss_weight=kd_weight,
            task_loss_weight=hard_weight,
            temperature=setting.temperature,
            device=setting.device,
            verbose=False,
        ).train()

        def loss(student_logits: Tensor, teacher_logits: Tensor, target: Tensor) -> Tensor:
            student.logits, teacher.logits = student_logits, teacher_logits
            return task(task.student_mean, target)["loss"]

        return Contender("timm LogitDistillationTask", loss, copies, mean=True)

    return {
        KD: [contender(lambda logits, target: logits.new_zeros(()), 0.0, 1.0, 5)],
        BOTH: [contender(nn.CrossEntropyLoss(label_smoothing=setting.alpha), HARD_WEIGHT, KD_WEIGHT, 6)],
    }


def torchdistill(setting: Setting) -> Entries:
    """torchdistill's `KDLoss` and `DISTLoss`. Without hard labels the former has no factor T^2; it is given here."""
    from torchdistill.losses.mid_level import DISTLoss, KDLoss

    t, where = setting.temperature, (".", "output", ".", "output")
    soft = KDLoss(*where, temperature=t, alpha=0.0, reduction="sum")
    both = KDLoss(
        *where, temperature=t, alpha=HARD_WEIGHT, beta=KD_WEIGHT, reduction="sum", label_smoothing=setting.alpha
    )
    dist = DISTLoss(*where, tau=t)

    def outputs(*logits: Tensor) -> list[dict[str, dict[str, Tensor]]]:
        return [{".": {"output": each}} for each in logits]

    return {
        KD: [Contender("torchdistill KDLoss", lambda s, t_, _: t**2 * soft(*outputs(s, t_)), 5)],
        BOTH: [Contender("torchdistill KDLoss", lambda s, t_, y: both(*outputs(s, t_), y), 6)],
        DIST: [Contender("torchdistill DISTLoss", lambda s, t_, _: dist(*outputs(s, t_)), 10)],
    }


def liger(setting: Setting) -> Entries:
    """Liger-Kernel's divergences take log-probabilities and know no T; its cross-entropy overwrites the logits."""
    from liger_kernel.transformers import LigerCrossEntropyLoss, LigerJSD, LigerKLDIVLoss

    t = setting.temperature
    divergence = LigerKLDIVLoss(reduction="sum", log_target=True)
    forward_kl = LigerJSD(beta=0.0)  # KL(teacher || student), mean over the rows
    cross_entropy = LigerCrossEntropyLoss(label_smoothing=setting.alpha, reduction="sum")

    def softened(*logits: Tensor) -> list[Tensor]:
        return [(at_least_float32(each) / t).log_softmax(dim=-1) for each in logits]

    def kd(student: Tensor, teacher: Tensor) -> Tensor:
        return t**2 * divergence(*softened(student, teacher))

    def both(student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
        soft = kd(student, teacher)  # reads the logits before the cross-entropy's gradient takes their place
        return KD_WEIGHT * soft + HARD_WEIGHT * cross_entropy(student, target)

    return {
        KD: [
            Contender("Liger KLDIVLoss", lambda s, t_, _: kd(s, t_), 6),
            Contender("Liger JSD(beta=0)", lambda s, t_, _: t**2 * forward_kl(*softened(s, t_)), 7, mean=True),
        ],
        BOTH: [Contender("Liger CrossEntropyLoss + KLDIVLoss", both, 7, overwrites="student")],
    }
