"""Lightning's checkpoints of a run: `last.ckpt` and, by top-1 on the validation part, `best.ckpt`."""

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class BestAndLast(ModelCheckpoint):
    """A ModelCheckpoint that still knows its best score after the run's folder was moved or copied.

    Lightning's own forgets it there, and the first epoch after resuming would become `best.ckpt` whatever its score.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor="val/top1",
            mode="max",
            enable_version_counter=False,
        )
        self._last = folder / "last.ckpt"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best, and then the last: Lightning's `save_last` skips epochs that are not the best."""
        super().on_train_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(self._last)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        paths = ("kth_best_model_path", "last_model_path", "best_model_path")
        super().load_state_dict(
            state_dict
            | {"dirpath": self.dirpath}
            | {key: self._here(state_dict[key]) for key in paths}
            | {"best_k_models": {self._here(path): score for path, score in state_dict["best_k_models"].items()}}
        )

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path
