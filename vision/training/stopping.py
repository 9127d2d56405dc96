"""SIGTERM in vision.train: a checkpoint is written, and the run ends."""

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.environments import LightningEnvironment

from shared.sigterm import STATUS, Sigterm
from vision.training.ranks import on_rank_zero


class StopOnSigterm(Checkpoint):  # as one of those, Lightning calls it after what else saves
    """Ends the run after the update that is at work, with `path` saved, by SystemExit(143).

    After the last update of an epoch, once it is validated and saved as ever. Lightning's own way saves nothing, leaves
    in the middle of validation, and ends with status 0.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sigterm = Sigterm()
        self._updates = 0  # at the end of the last batch: where batches are accumulated, not each makes an update

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._updates = trainer.global_step
        self._sigterm.watch()  # Lightning puts back what was there when `fit` ends

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        updated, self._updates = trainer.global_step > self._updates, trainer.global_step
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if updated and not is_last and self._sigterm.has_come(pl_module.device):
            trainer.save_checkpoint(self._path)
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Of the last epoch too: what is left, scoring, takes a while and can be done when the run goes on."""
        if self._sigterm.has_come(pl_module.device):
            self._stop(trainer)

    def _stop(self, trainer: Trainer) -> None:
        if on_rank_zero():
            told = f"stopped by SIGTERM; {self._path} is of update {trainer.global_step}: call it again to go on"
            print(told, flush=True)
        raise SystemExit(0 if _is_launched(trainer) else STATUS)


def _is_launched(trainer: Trainer) -> bool:
    """Whether Lightning itself started this process. Its first process looks after the others every five seconds, and
    is killed, with SIGKILL, where one ended with another status than 0 before it.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)  # none for one device
    return isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
