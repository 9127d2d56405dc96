"""Lightning's Trainer as a run's settings describe it."""

import logging
import warnings
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from shared.errors import UserError
from shared.ranks import leave_group_at_exit
from vision.data import Batches
from vision.settings import TrainSettings
from vision.training.averaging import AverageOnDevice
from vision.training.best_and_last import BestAndLast
from vision.training.distillation import Distillation
from vision.training.progress import EpochLines, on_terminal
from vision.training.ranks import on_rank_zero
from vision.training.run_folder import RunFolder
from vision.training.saving import SaveEvery, WholeCheckpoints
from vision.training.stopping import StopOnSigterm
from vision.training.throughput import DataTime, Throughput

_PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def build_trainer(settings: TrainSettings, folder: RunFolder, lines: EpochLines) -> Trainer:
    """Raises UserError for an accelerator, a number of devices or a precision that is not there."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Filling fresh memory with NaN is a debugging aid of torch's deterministic mode, and a slow one.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    loggers = _loggers(settings, folder)
    try:
        trainer = Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy="ddp" if settings.devices * settings.nodes > 1 else "auto",
            precision=_PRECISION[settings.recipe.precision],
            max_epochs=settings.recipe.epochs,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.recipe.clip,
            logger=loggers,
            callbacks=_callbacks(settings, folder, lines),
            plugins=[WholeCheckpoints()],
            profiler=DataTime(),
            deterministic="warn" if settings.deterministic else False,
            benchmark=not settings.deterministic,
            use_distributed_sampler=False,  # `Batches` are sharded
            enable_progress_bar=on_terminal(),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=settings.log_steps,
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:  # Lightning's own words
        where = f"accelerator={settings.accelerator}, devices={settings.devices}"
        raise UserError(f"{where}: {str(error).splitlines()[0]}") from None
    on_gpu = trainer.strategy.root_device.type == "cuda"
    if settings.recipe.precision == "16" and not on_gpu:  # Lightning would take bf16
        raise UserError("recipe.precision=16 needs a GPU; without one take recipe.precision=bf16 or 32")
    return trainer


def fit(trainer: Trainer, module: Distillation, train: Batches, val: Batches, resume: Any) -> None:
    """Train to the end, from the checkpoint `resume` where it is one. Raises UserError where that does not fit."""
    if trainer.world_size > 1:
        leave_group_at_exit()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*treespec.*")  # Lightning's own use of torch
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")  # timm's schedules count updates themselves
        warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # `Distillation` logs sums over all ranks
        try:
            trainer.fit(module, train, val, ckpt_path=resume, weights_only=True)
        except UserError:
            raise
        except Exception as error:
            if resume is None or module.started:
                raise
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"cannot go on from {resume} ({reason}); name another folder, or fresh=true") from None


def _callbacks(settings: TrainSettings, folder: RunFolder, lines: EpochLines) -> list[Callback]:
    callbacks: list[Callback] = [lines, Throughput(), LearningRateMonitor("step")]
    if settings.recipe.ema is not None:
        callbacks.append(AverageOnDevice(decay=settings.recipe.ema))
    callbacks.append(BestAndLast(folder.path))
    if settings.checkpoint_steps is not None:
        callbacks.append(SaveEvery(folder.resume_from, settings.checkpoint_steps))
    return [*callbacks, StopOnSigterm(folder.resume_from)]


def _loggers(settings: TrainSettings, folder: RunFolder) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(folder.path, name="logs")]
    try:
        if settings.tensorboard:
            loggers.append(TensorBoardLogger(folder.path, name="logs"))
        if settings.wandb is not None:
            loggers.append(_wandb(settings, settings.wandb, folder))
    except ModuleNotFoundError as error:
        raise UserError(f"{error}".splitlines()[0] + "; pip install tensorboard wandb") from None
    return loggers


def _wandb(settings: TrainSettings, project: str, folder: RunFolder) -> Logger:
    logger = WandbLogger(project=project, save_dir=folder.path, name=settings.name or folder.path.name)
    import wandb  # there, if WandbLogger is

    try:
        if on_rank_zero():
            logger.experiment  # noqa: B018  (logs in)
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())
        raise UserError(f"wandb={project}: {reason} (wandb login, or WANDB_MODE=offline)") from None
    return logger
