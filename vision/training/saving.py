"""How checkpoints reach the disk: whole or not at all, and in the middle of long epochs too."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from shared.files import atomic_path


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside, fsyncs and renames. (fsspec's transaction, Lightning's own way, copies from another folder.)"""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        # Through a handle: where the disk is full, torch's own writer says nothing of it.
        with atomic_path(Path(path)) as beside, beside.open("wb") as file:
            torch.save(checkpoint, file)


class SaveEvery(Callback):
    """Saves `path` after every `updates` optimizer updates, so that a killed run loses no more than those."""

    def __init__(self, path: Path, updates: int) -> None:
        self._path, self._updates = path, updates
        self._saved = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (
            trainer.global_step >= self._saved + self._updates
            and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        ):
            trainer.save_checkpoint(self._path)
            self._saved = trainer.global_step
