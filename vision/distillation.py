"""The LightningModule: label smoothing for a teacher, temperature distillation for a student."""

from typing import Any

import torch
from lightning import LightningModule
from timm.optim import create_optimizer_v2
from torch import Tensor, nn

from shared.errors import UserError
from shared.losses import kd_loss, label_smoothing_loss
from shared.results import finite
from vision.data.image_data import SEED_STRIDE
from vision.scores import Scores
from vision.settings import RecipeSettings
from vision.teacher import FrozenTeacher

Batch = tuple[Tensor, Tensor]


def check_trainable(model: nn.Module, recipe: RecipeSettings, images: int) -> None:
    """Raise UserError where `images` training images make batches or a number of steps that training cannot use."""
    batch_size = min(recipe.batch_size, images)
    if batch_size == 1 and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        raise UserError(
            f"recipe.batch_size={recipe.batch_size} of {images} training images makes batches of one, on which batch "
            "normalization cannot train; take at least 2 of each"
        )
    steps = recipe.epochs * (images // batch_size)
    if recipe.warmup * steps <= 1:  # OneCycleLR divides by warmup * steps - 1
        raise UserError(
            f"recipe.warmup={recipe.warmup:g} of {steps} steps in all is no more than one step; take more epochs or "
            "images, a smaller recipe.batch_size or a larger recipe.warmup"
        )


class Distillation(LightningModule):
    """Trains `model`: without a teacher on `LS-CE(alpha)`, with one on `w * T^2 KL + (1 - w) * LS-CE(alpha)`.

    `w` is `kd_weight`; the paper's students have w = 1, distillation alone (Chandrasegaran et al. 2022). Losses are
    nats per image. The teacher is in none of Lightning's lists: see `FrozenTeacher`.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: RecipeSettings,
        seed: int,
        alpha: float,
        teacher: FrozenTeacher | None = None,
        temperature: float = 1.0,
        kd_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.model = model
        self._recipe, self._seed, self._alpha = recipe, seed, alpha
        self._teacher, self._temperature, self._kd_weight = teacher, temperature, kd_weight
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._scores = Scores()

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Named parts, each summed over the batch in nats; `loss` is what is trained on."""
        logits = self.model(images)
        if self._teacher is None:
            return {"loss": label_smoothing_loss(logits, labels, self._alpha)}
        kd = kd_loss(logits, self._teacher(images), self._temperature)
        if self._kd_weight == 1.0:
            return {"loss": kd}
        hard = label_smoothing_loss(logits, labels, self._alpha)
        return {"loss": self._kd_weight * kd + (1.0 - self._kd_weight) * hard, "kd": kd, "cross_entropy": hard}

    @property
    def mean_losses(self) -> dict[str, float]:
        """Named parts per training image of this epoch so far, in nats."""
        return {name: float(total) / self._count for name, total in self._sums.items()}

    def on_fit_start(self) -> None:
        if self._teacher is not None:
            self._teacher.to(self.device)

    def on_train_epoch_start(self) -> None:
        # Random numbers depend on seed and epoch alone: a run resumed at an epoch's start continues exactly.
        torch.manual_seed(self._seed * SEED_STRIDE + self.current_epoch)
        self._sums, self._count = {}, 0

    def training_step(self, batch: Batch) -> Tensor:
        images, labels = batch
        parts = self.losses(images, labels)
        self._count += len(labels)
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().double()  # stays on the device: no waiting
        return parts["loss"] / len(labels)

    def on_train_epoch_end(self) -> None:
        for name, value in self.mean_losses.items():
            self.log(f"train/{name}", finite(value))

    def on_validation_epoch_start(self) -> None:
        self._scores = Scores()

    def validation_step(self, batch: Batch) -> None:
        images, labels = batch
        self._scores.update(self.model(images), labels)

    def on_validation_epoch_end(self) -> None:
        self.log("val/top1", self._scores.top1_percent, prog_bar=True)
        self.log("val/nll", self._scores.nll / self._scores.count)

    def configure_optimizers(self) -> Any:
        """timm's optimizer by name (no weight decay on biases and norms), one cycle: linear warm-up, then cosine."""
        recipe = self._recipe
        try:
            optimizer = create_optimizer_v2(
                self.model, recipe.optimizer, lr=recipe.lr, weight_decay=recipe.weight_decay, momentum=recipe.momentum
            )
        except (AssertionError, ValueError) as error:
            raise UserError(f"recipe.optimizer={recipe.optimizer}: {error}") from None
        for group in optimizer.param_groups:
            if "betas" in group:  # Adam's family: timm passes `momentum` to optimizers of that argument only
                group["betas"] = (recipe.momentum, *group["betas"][1:])
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=recipe.lr,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=recipe.warmup,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
