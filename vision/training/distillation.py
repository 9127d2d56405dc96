"""The LightningModule that trains teachers and students."""

from typing import Any, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn

from shared.errors import UserError
from shared.losses import draw_teachers
from shared.losses.pseudo_labels import Draw
from shared.ranks import sum_over_ranks
from vision.scores import Scores
from vision.settings import RecipeSettings
from vision.training.frozen_teacher import FrozenTeacher
from vision.training.mixing import Mixing
from vision.training.objective import Objective
from vision.training.ranks import copy_from_rank_zero, dataclass_over_ranks
from vision.training.schedule import build_optimizer, build_schedule

Batch = tuple[Tensor, Tensor]  # images [n, C, H, W] and labels [n]
_STRIDE = 1_000_003  # of the seeds of two runs, beyond any number of updates


class Distillation(LightningModule):
    """Trains `model` on an `Objective`; losses are nats per image.

    The teacher is in none of Lightning's lists: see `FrozenTeacher`. `forward` is `model`, compiled or not, so that
    exports and checkpoints hold the plain network. With `mixing`, student and teacher both see the mixed images.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: RecipeSettings,
        updates_per_epoch: int,
        seed: int,
        objective: Objective,
        teacher: FrozenTeacher | None = None,
        *,
        mixing: Mixing | None = None,
        compile: bool = False,
        check_steps: int = 50,
    ) -> None:
        super().__init__()
        self.model = model
        self._compiled = [torch.compile(model)] if compile else []  # in a list: no second name for the same weights
        self._recipe, self._updates_per_epoch, self._check_steps = recipe, updates_per_epoch, check_steps
        self._seed, self._batch_seed = seed, seed
        self._objective, self.teacher, self._mixing = objective, teacher, mixing
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._scores = Scores()
        self.started = False  # training; what a run resumes from has been read before

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, K] of images [n, C, H, W]."""
        network = self._compiled[0] if self._compiled else self.model
        logits: Tensor = network(_channels_last(images))
        return logits

    def losses(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Named parts of the objective, each summed over the batch; `targets` as in `Objective.terms`."""
        return self._objective.terms(self(images), self._taught(_channels_last(images)), targets)

    def _taught(self, images: Tensor) -> list[Tensor]:
        """What the objective needs to know of the teachers' answers."""
        if self.teacher is None:
            return []
        if self._objective.distill.loss != "rpl":
            return self.teacher(images)
        chance = torch.Generator().manual_seed(self._batch_seed)
        drawn = draw_teachers(len(self.teacher), len(images), chance, cast(Draw, self._objective.distill.draw))
        return [self.teacher.one_each(images, drawn)]

    @property
    def mean_losses(self) -> dict[str, float]:
        """Named parts per training image of this epoch so far, over all ranks, in nats."""
        sums = {name: float(value) for name, value in self._total().items()}
        count = sums.pop("count")
        return {name: value / count for name, value in sums.items()}

    def _total(self) -> dict[str, Tensor]:
        """This epoch's sums and its `count` of images, over all ranks, float64."""
        values = [*self._sums.values(), torch.tensor(self._count, dtype=torch.float64, device=self.device)]
        return dict(zip([*self._sums, "count"], sum_over_ranks(torch.stack(values)), strict=True))

    def on_fit_start(self) -> None:
        if self.teacher is not None:
            self.teacher.to(self.device)

    def on_train_start(self) -> None:
        self.started = True

    def on_train_epoch_start(self) -> None:
        self._sums, self._count = {}, 0  # a run that goes on within an epoch has no start of it, and keeps its sums

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout and the like depend on seed, update and rank alone, so a run resumed anywhere continues exactly.
        batches = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        self._batch_seed = (self._seed * _STRIDE + batches) * self.trainer.world_size + self.global_rank
        torch.manual_seed(self._batch_seed)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        parts = self.losses(*(self._mixing(images, labels, self._batch_seed) if self._mixing else batch))
        self._count += len(labels)
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().double()  # stays on the device: no waiting
        if (self.global_step + 1) % self._check_steps == 0:  # as Lightning's logs: they count updates
            means = {f"step/{name}": value.detach() / len(labels) for name, value in parts.items()}
            self.log_dict(means, sync_dist=True)  # batches are of one size on all ranks
            self.check_finite()
        return parts["loss"] / len(labels)

    def check_finite(self) -> None:
        """Raise UserError where this epoch's loss, or what the last updates made of the weights, is not finite.

        So nothing is saved over the last good checkpoint. Every rank has to ask.
        """
        loss = torch.isfinite(self._total()["loss"]) if self._sums else torch.tensor(True, device=self.device)
        weights = torch.stack([torch.isfinite(tensor).all() for tensor in self.model.state_dict().values()]).all()
        bad_losses, bad_weights = sum_over_ranks(torch.stack([~loss, ~weights]).double()).tolist()
        if bad_losses or bad_weights:
            what = "loss is" if bad_losses else "weights are"
            raise UserError(
                f"the {what} not finite in epoch {self.current_epoch + 1}: training has diverged; checkpoints written "
                "before it are kept; try a smaller recipe.lr, recipe.clip=1 or recipe.precision=32"
            )

    def on_train_epoch_end(self) -> None:
        self.log_dict({f"train/{name}": value for name, value in self.mean_losses.items()})

    def on_validation_epoch_start(self) -> None:
        self.check_finite()
        copy_from_rank_zero(self.model.buffers())  # else every process validates with statistics of its own
        self._scores = Scores()

    def validation_step(self, batch: Batch) -> None:
        images, labels = batch
        self._scores.update(self(images), labels)

    def on_validation_epoch_end(self) -> None:
        scores = dataclass_over_ranks(self._scores, self.device)
        self.log("val/top1", scores.top1_percent, prog_bar=True)
        self.log("val/nll", scores.nll / scores.count)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.check_finite()
        checkpoint["epoch_sums"] = self._total()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        share = 1.0 if self.global_rank == 0 else 0.0  # the sums of all ranks are one rank's from here
        sums = {name: (share * value).to(self.device) for name, value in checkpoint["epoch_sums"].items()}
        self._count = int(sums.pop("count"))
        self._sums = sums

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.model, self._recipe)
        # The trainer's own count would set up the data before their state is restored, which is then lost.
        schedule = build_schedule(optimizer, self._recipe, self._updates_per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """timm's schedules count updates."""
        scheduler.step_update(self.trainer.global_step)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images
