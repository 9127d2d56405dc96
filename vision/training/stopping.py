"""SIGTERM, as Slurm and others send it some seconds before SIGKILL: a checkpoint is written, and the run ends."""

import signal
import threading
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from shared.ranks import sum_over_ranks, world_size
from vision.training.ranks import on_rank_zero

STATUS = 128 + signal.SIGTERM  # 143, what a shell says of a process that SIGTERM has ended


class StopOnSigterm(Checkpoint):  # as one of those, Lightning calls it after what else saves
    """Ends the run after the update that is at work, with `path` saved, by SystemExit(143).

    After the last update of an epoch, once it is validated and saved as ever. Lightning's own way saves nothing, leaves
    in the middle of validation, and ends with status 0.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = False
        self._updates = 0  # at the end of the last batch: where batches are accumulated, not each makes an update

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._updates = trainer.global_step
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._tell)  # Lightning puts back what was there when `fit` ends

    def _tell(self, *_: object) -> None:
        self._told = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        updated, self._updates = trainer.global_step > self._updates, trainer.global_step
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if updated and not is_last and self._is_told(pl_module.device):
            trainer.save_checkpoint(self._path)
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Of the last epoch too: what is left, scoring, takes a while and can be done when the run goes on."""
        if self._is_told(pl_module.device):
            self._stop(trainer)

    def _is_told(self, device: torch.device) -> bool:
        """Whether any process was: all of them have to stop at the same update."""
        if world_size() == 1:
            return self._told
        return bool(sum_over_ranks(torch.tensor(float(self._told), device=device)) > 0)

    def _stop(self, trainer: Trainer) -> None:
        if on_rank_zero():
            told = f"stopped by SIGTERM; {self._path} is of update {trainer.global_step}: call it again to go on"
            print(told, flush=True)
        raise SystemExit(STATUS)
