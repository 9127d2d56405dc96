"""`python -m vision.train`: train a teacher with label smoothing, or distil a student from one."""

import dataclasses
import logging
import warnings

import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from shared.errors import UserError
from shared.results import Metric, Model, Result, RunClock, write_result
from vision.best_and_last import BestAndLast
from vision.checkpoint import Card, check_same_data, load_export, save_export
from vision.cli import run
from vision.data import ImageData, load_data
from vision.device import device_name
from vision.distillation import Distillation, check_trainable
from vision.models import build_model
from vision.progress import EpochLines, on_terminal
from vision.run_folder import RunFolder
from vision.scores import score
from vision.settings import TrainSettings
from vision.teacher import FrozenTeacher


def train(settings: TrainSettings) -> None:
    """Train, resume or recognize as finished the run that `settings` describe; it ends in `output/result.json`.

    Raises UserError, before any training, for whatever is wrong in the settings, the data or the teacher.
    """
    clock = RunClock()
    teacher, teacher_card = (None, None) if settings.teacher is None else load_export(settings.teacher)
    data = load_data(settings.data, settings.recipe.train_size)
    inputs = {"teacher_sha256": teacher_card.model.sha256 if teacher_card else None, "data_sha256": data.sha256}
    folder = RunFolder(settings.output)
    folder.check(settings, inputs)
    if folder.finished and not settings.fresh:
        print(f"already finished: {folder.path}/result.json (fresh=true trains it again)", flush=True)
        return
    if settings.teacher and teacher_card:
        check_same_data(settings.teacher, teacher_card, data)
    seed_everything(settings.seed, verbose=False)
    model = build_model(settings.model.name, len(data.class_names), data.image_shape, settings.model.kwargs)
    lines = EpochLines(shown=not on_terminal())
    check_trainable(model, settings.recipe, len(data.split("train")))
    trainer = _trainer(settings, folder, lines)
    folder.claim(settings, inputs)
    _fit(trainer, settings, folder, data, model, teacher)
    card = _card(settings, data, model, teacher_card.model if teacher_card else None)
    metrics, exports = _export_and_score(folder, model, card, data, trainer.strategy.root_device)
    provenance = clock.provenance(device_name(trainer.strategy.root_device), extra_seconds=lines.earlier_seconds)
    name = settings.name or _name(card)
    record = data.record()
    result = Result(
        "model",
        "image-classification",
        name,
        record,
        [exports["last"]],
        provenance,
        teacher=card.teacher,
        metrics=metrics,
        notes=[f"best/* are scores of best.safetensors, sha256 {exports['best'].sha256}"],
    )
    path = write_result(folder.path, result)
    top1, top5 = metrics["last/test/top1"], metrics["last/test/top5"]
    print(f"{name}: test top-1 {top1.value:.2f} %, top-5 {top5.value:.2f} % of {top1.count} images; {path}", flush=True)


def _fit(
    trainer: Trainer,
    settings: TrainSettings,
    folder: RunFolder,
    data: ImageData,
    model: nn.Module,
    teacher: nn.Module | None,
) -> None:
    module = Distillation(
        model.train(),
        settings.recipe,
        settings.seed,
        settings.alpha,
        teacher=FrozenTeacher(teacher) if teacher else None,
        temperature=settings.temperature or 1.0,
        kd_weight=settings.kd_weight,
    )
    train_images = data.split("train", flip=settings.recipe.flip)
    resume = folder.resume_from if folder.resume_from.is_file() else None
    if resume:
        print(f"resuming from {resume}", flush=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # the data are in memory
        warnings.filterwarnings("ignore", message=".*treespec.*")  # Lightning's own use of torch
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        trainer.fit(
            module,
            train_images.training_batches(settings.recipe.batch_size, settings.seed),
            data.split("val").evaluation_batches(),
            ckpt_path=resume,
            weights_only=True,
        )


def _trainer(settings: TrainSettings, folder: RunFolder, lines: EpochLines) -> Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Filling fresh memory with NaN is a debugging aid of torch's deterministic mode, and a slow one.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    loggers: list[Logger] = [CSVLogger(folder.path, name="logs")]
    if settings.tensorboard:
        try:
            loggers.append(TensorBoardLogger(folder.path, name="logs"))
        except ModuleNotFoundError:
            raise UserError("tensorboard=true needs the package: pip install tensorboard") from None
    try:
        return Trainer(
            accelerator=settings.accelerator,
            devices=1,
            max_epochs=settings.recipe.epochs,
            logger=loggers,
            callbacks=[
                lines,
                BestAndLast(folder.path),
            ],
            deterministic="warn",
            enable_progress_bar=on_terminal(),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
    except (
        ValueError,
        RuntimeError,
        MisconfigurationException,
    ) as error:  # Lightning's own words for an accelerator that is not there
        raise UserError(f"accelerator={settings.accelerator}: {str(error).splitlines()[0]}") from None


def _export_and_score(
    folder: RunFolder, model: nn.Module, card: Card, data: ImageData, device: torch.device
) -> tuple[dict[str, Metric], dict[str, Model]]:
    """Write the last and the best model and score both on test and val; the scores, and the two models' records."""
    best = card.build()
    saved = torch.load(folder.best_checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    best.load_state_dict({name.removeprefix("model."): tensor for name, tensor in saved.items()})
    metrics: dict[str, Metric] = {}
    described = {}
    for which, network in (("last", model), ("best", best)):
        own_card = dataclasses.replace(card, export=which)
        described[which] = save_export(folder.path / f"{which}.safetensors", network, own_card).model
        for split in ("test", "val"):
            metrics |= score(network.to(device), data.split(split).evaluation_batches()).metrics(f"{which}/{split}")
    return metrics, described


def _card(settings: TrainSettings, data: ImageData, model: nn.Module, teacher: Model | None) -> Card:
    hard_labels = teacher is None or settings.kd_weight < 1.0
    described = Model(
        role="teacher" if teacher is None else "student",
        arch=settings.model.label,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sha256="",  # filled in when the weights are written
        seed=settings.seed,
        alpha=settings.alpha if hard_labels else None,
        temperature=settings.temperature,
        kd_weight=None if teacher is None else settings.kd_weight,
        recipe=dataclasses.asdict(settings.recipe)
        | {"schedule": "one cycle", "validation_size": settings.data.validation_size}
        | {"model.name": settings.model.name, "model.kwargs": settings.model.kwargs},  # `arch` is a free label
    )
    return Card(
        arch=settings.model.name,
        kwargs=settings.model.kwargs,
        image_shape=list(data.image_shape),
        class_names=data.class_names,
        mean=data.mean,
        std=data.std,
        data=data.name,
        data_sha256=data.sha256,
        export="last",
        model=described,
        teacher=teacher,
    )


def _name(card: Card) -> str:
    """A name that tells the runs of a study apart, e.g. `fashion_mnist-slim-resnet-student-a0.1-T3-seed1`."""
    alpha = card.teacher.alpha if card.teacher else card.model.alpha
    parts = [card.data, card.model.arch, card.model.role, f"a{alpha:g}"]
    if card.model.temperature is not None:
        parts.append(f"T{card.model.temperature:g}")
    if card.model.kd_weight not in (None, 1.0):
        parts.append(f"w{card.model.kd_weight:g}")
    return "-".join([*parts, f"seed{card.model.seed}"])


if __name__ == "__main__":
    run("train", TrainSettings, train)
