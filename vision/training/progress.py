"""Live progress where there is no terminal: one plain line per epoch."""

import sys
import time
from typing import Any

from lightning import Callback, LightningModule, Trainer

from vision.training.distillation import Distillation


class EpochLines(Callback):
    """Counts the seconds of training, over every process of a resumed run, and can print a line after each epoch."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self.earlier_seconds = 0.0  # spent by the processes that this run continues
        self._started = self._epoch_started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.earlier_seconds + time.monotonic() - self._started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.earlier_seconds = state_dict["seconds"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Distillation)
        loss = pl_module.mean_losses["loss"]  # over all ranks: every one of them has to ask
        if not self._shown:
            return
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        seconds = time.monotonic() - self._epoch_started
        print(
            f"epoch {done}/{epochs}  loss {loss:.4f} nats  "
            f"val top-1 {float(trainer.callback_metrics['val/top1']):.2f} %  "
            f"{seconds:.1f} s, about {seconds * (epochs - done):.0f} s left",
            flush=True,
        )


def on_terminal() -> bool:
    """Whether a person watches, so that a progress bar makes sense."""
    return sys.stdout.isatty()
