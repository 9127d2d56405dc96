"""Averaged weights of the network that trains."""

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging


class AverageOnDevice(EMAWeightAveraging):
    """An exponential moving average that is kept where the network trains.

    Lightning copies the network before it moves it: beside a GPU its own average would stay on the CPU, and every
    update would bring all weights there.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
