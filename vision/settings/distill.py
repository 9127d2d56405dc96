"""What a student learns from its teachers (`distill` of conf/train.yaml)."""

from dataclasses import dataclass

from shared.errors import UserError
from shared.losses.dist import EPSILONS
from shared.losses.pseudo_labels import COMBINATIONS, DRAWS

LOSSES = ("kd", "dist", "epl", "rpl")


def weight_of_labels(kd_weight: float, hard_weight: float | None) -> float:
    """Weight of a student's hard-label term beside `kd_weight`; None: the rest of 1."""
    return 1.0 - kd_weight if hard_weight is None else hard_weight


@dataclass
class DistillSettings:
    """`loss` against the teachers, and what only some of the losses have."""

    loss: str = "kd"
    hard_weight: float | None = None
    beta: float = 1.0
    gamma: float = 1.0
    epsilon: str = "add"
    tau_squared: bool = True
    gathered: bool = False
    ensemble: str = "logits"
    draw: str = "example"

    @property
    def has_temperature(self) -> bool:
        """Whether the teachers' outputs are softened; pseudo-labels are not."""
        return self.loss in ("kd", "dist")

    def check(self, teachers: int, processes: int) -> None:
        """Raise UserError for an unknown choice, or one that would do nothing for the loss."""
        for name, known in (("loss", LOSSES), ("epsilon", EPSILONS), ("ensemble", COMBINATIONS), ("draw", DRAWS)):
            if getattr(self, name) not in known:
                raise UserError(f"distill.{name} is {getattr(self, name)!r}; choose one of {', '.join(known)}")
        for name in ("hard_weight", "beta", "gamma"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < float("inf"):
                raise UserError(f"distill.{name} is {value}; it must be 0 or more")
        for loss, names in (
            ("dist", ("beta", "gamma", "epsilon", "tau_squared", "gathered")),
            ("epl", ("ensemble",)),
            ("rpl", ("draw",)),
        ):
            self._check_unused(loss, names)
        if self.loss == "rpl" and teachers < 2:
            raise UserError("distill.loss=rpl draws one of several teachers: teacher=[A,B,...]; for one take epl")
        if self.loss == "dist" and self.beta == self.gamma == 0.0:
            raise UserError("distill.beta and distill.gamma are both 0, so nothing would be learned from the teacher")
        if self.ensemble != DistillSettings().ensemble and teachers < 2:
            raise UserError("distill.ensemble says how several teachers are combined, this is one: teacher=[A,B,...]")
        if self.gathered and processes == 1:
            raise UserError("distill.gathered=true is for several devices; leave it out with one")

    def _check_unused(self, loss: str, names: tuple[str, ...]) -> None:
        usual = DistillSettings()
        for name in names:
            if self.loss != loss and getattr(self, name) != getattr(usual, name):
                raise UserError(f"distill.{name} is for distill.loss={loss}, this is {self.loss}; leave it out")
