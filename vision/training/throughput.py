"""Images per second, and where the time goes: waiting for data, the teacher, the student."""

import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import Profiler

from vision.training.distillation import Distillation
from vision.training.stopwatch import Stopwatch

_DATA = (".train_dataloader_next", ".batch_to_device")  # Lightning's names; validation's batches come between epochs


class DataTime(Profiler):
    """Counts the `seconds` in which Lightning waits for the loader's next batch, and copies it to the device.

    A Profiler, since nothing else is told when that begins: between two batches there are callbacks too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._started = 0.0

    def start(self, action_name: str) -> None:
        if action_name.endswith(_DATA):
            self._started = time.perf_counter()

    def stop(self, action_name: str) -> None:
        if action_name.endswith(_DATA):
            self.seconds += time.perf_counter() - self._started


class Throughput(Callback):
    """Logs `images_per_second` and, as shares of the time, `time/data`, `time/teacher` and `time/student`.

    Every `log_every_n_steps` updates, and at the end of an epoch for its batches since then; over all ranks' images.
    Data: waiting for the loader and the copy to the device, as the trainer's profiler, a `DataTime`, counts them.
    Student: all that is left, checkpoints written within an epoch among it.
    """

    def __init__(self) -> None:
        self._teacher: Stopwatch | None = None
        self._logged_update = 0
        self._rest: dict[str, float] = {}
        self._data = DataTime()
        self._images = 0
        self._since = time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Distillation)
        profiler = trainer.profiler  # type: ignore[attr-defined]
        assert isinstance(profiler, DataTime)
        self._data = profiler
        if pl_module.teacher is not None:
            self._teacher = Stopwatch(pl_module.device)
            pl_module.teacher.stopwatch = self._teacher
        self._restart()  # a run that goes on within an epoch has no start of it

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restart()  # validation and the writing of checkpoints are no training time

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._images += len(batch[1]) * trainer.world_size
        updates = trainer.global_step
        if updates % trainer.log_every_n_steps == 0 and updates > self._logged_update:  # type: ignore[attr-defined]
            self._logged_update = updates
            pl_module.log_dict(self._measured(pl_module.device), prog_bar=True)
        elif batch_idx + 1 == trainer.num_training_batches:
            self._rest = self._measured(pl_module.device)  # validation comes before the epoch's end

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log_dict(self._rest, prog_bar=True)
        self._rest = {}

    def _measured(self, device: torch.device) -> dict[str, float]:
        """What to log of the batches since the last restart, and restarts."""
        teacher = 0.0 if self._teacher is None else self._teacher.seconds()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self._since
        shares = {"data": self._data.seconds / seconds, "teacher": teacher / seconds}
        shares["student"] = 1.0 - shares["data"] - shares["teacher"]
        measured = {"images_per_second": self._images / seconds}
        self._restart()
        return measured | {f"time/{name}": share for name, share in shares.items()}

    def _restart(self) -> None:
        self._data.seconds, self._images = 0.0, 0
        self._since = time.perf_counter()
        if self._teacher is not None:
            self._teacher.seconds()
