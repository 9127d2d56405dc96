"""`python -m vision.train`: train a teacher with label smoothing, or distil a student from one."""

from contextlib import nullcontext
from pathlib import Path

from lightning import Trainer, seed_everything
from torch import nn

from shared.results import Result, RunClock, write_result
from vision.cli import run
from vision.data import Batches, ImageData, draw_subset, evaluation_batches, load_data, training_batches
from vision.data.image_files import ImageFiles
from vision.data.readable import check_readable
from vision.device import device_name
from vision.models import build_model
from vision.settings import TrainSettings
from vision.training.batch_norm import synchronize_batch_norm
from vision.training.description import describe
from vision.training.distillation import Distillation
from vision.training.feasible import check_trainable
from vision.training.frozen_teacher import FrozenTeacher
from vision.training.inputs import Inputs, open_inputs
from vision.training.mixing import Mixing
from vision.training.objective import Objective
from vision.training.outcome import export_and_score, record
from vision.training.progress import EpochLines, on_terminal
from vision.training.ranks import on_rank_zero
from vision.training.run_folder import RunFolder
from vision.training.schedule import build_optimizer
from vision.training.trainer import build_trainer, fit


def train(settings: TrainSettings) -> None:
    """Train, resume or recognize as finished the run that `settings` describe; it ends in `output/result.json`.

    Raises UserError, before any training, for whatever is wrong in the settings, the data or the teacher.
    """
    clock = RunClock()
    data = load_data(settings.data, settings.recipe.train_size)
    data = draw_subset(data, settings.recipe.subset_size, settings.seed)
    inputs = open_inputs(settings, data)
    folder = RunFolder(settings.output)
    folder.check(settings, inputs.digests)
    if folder.finished and not settings.fresh:
        print(f"already finished: {folder.path}/result.json (fresh=true trains it again)", flush=True)
        return
    model = _initial_model(settings, data, inputs)
    lines = EpochLines(shown=not on_terminal() and on_rank_zero())
    trainer = build_trainer(settings, folder, lines)
    prepared = _prepare(trainer, settings, data, model, inputs)
    with folder.alone() if on_rank_zero() else nullcontext():
        # Nothing is removed or written before all that can be refused has been; what takes longest to be, as the last.
        _check_images(data, folder.path)
        fit(trainer, *prepared, _begin(settings, folder, inputs))
        card = describe(settings, data, model, inputs)
        metrics, exports = export_and_score(settings, folder, model, card, data, trainer)
        if on_rank_zero():
            provenance = clock.provenance(
                device_name(trainer.strategy.root_device), extra_seconds=lines.earlier_seconds
            )
            _finish(folder, record(settings, data, card, exports, metrics, inputs.notes, provenance))


def _check_images(data: ImageData, folder: Path) -> None:
    """Raise UserError for images that cannot be read; where they are many, their list is in `folder`."""
    on_disk = [split for split in data.splits.values() if isinstance(split, ImageFiles)]
    check_readable([path for split in on_disk for path in split.paths], folder)


def _initial_model(settings: TrainSettings, data: ImageData, inputs: Inputs) -> nn.Module:
    """The model before its first update. Raises UserError for data that it cannot be trained on."""
    if not settings.other_data:
        inputs.check(settings, data)
    seed_everything(settings.seed, verbose=False)
    model = build_model(settings.model.name, len(data.class_names), data.image_shape, settings.model.kwargs)
    inputs.initialize(model)
    check_trainable(model, settings, len(data.splits["train"]))
    return model


def _prepare(
    trainer: Trainer, settings: TrainSettings, data: ImageData, model: nn.Module, inputs: Inputs
) -> tuple[Distillation, Batches, Batches]:
    """What is trained, on what, and validated on what. Raises UserError for what the settings ask in vain."""
    build_optimizer(model, settings.recipe)
    if settings.sync_batchnorm:
        synchronize_batch_norm(model, trainer.strategy.root_device)
    ranks = (trainer.global_rank, trainer.world_size)
    train = training_batches(data, settings.recipe, settings.loader, settings.seed, *ranks, settings.accumulate)
    networks = [teacher.reading(data.mean, data.std) for teacher in inputs.teachers]
    recipe = settings.recipe
    mixed = recipe.mixup or recipe.cutmix
    module = Distillation(
        model.train(),
        recipe,
        -(-len(train) // settings.accumulate),
        settings.seed,
        _objective(settings),
        FrozenTeacher(networks, compile=settings.compile) if networks else None,
        mixing=Mixing(recipe.mixup, recipe.cutmix, len(data.class_names)) if mixed else None,
        compile=settings.compile,
        check_steps=settings.log_steps,
    )
    return module, train, evaluation_batches(data, "val", settings.loader, *ranks)


def _objective(settings: TrainSettings) -> Objective:
    return Objective(
        settings.alpha,
        settings.temperature or 1.0,
        settings.kd_weight,
        settings.hard_weight,
        settings.distill,
    )


def _finish(folder: RunFolder, result: Result) -> None:
    path = write_result(folder.path, result)
    top1, top5 = result.metrics["last/test/top1"], result.metrics["last/test/top5"]
    scores = f"test top-1 {top1.value:.2f} %, top-5 {top5.value:.2f} % of {top1.count} images"
    print(f"{result.name}: {scores}; {path}", flush=True)


def _begin(settings: TrainSettings, folder: RunFolder, inputs: Inputs) -> Path | None:
    """Make the folder this run's; the checkpoint to resume from, if any."""
    resume = folder.resume_from if folder.resume_from.is_file() and not settings.fresh else None
    if on_rank_zero():
        print(*inputs.notes, sep="\n", end="\n" * bool(inputs.notes), flush=True)
        folder.claim(settings, inputs.digests)
        if resume:
            print(f"resuming from {resume}", flush=True)
    return resume


if __name__ == "__main__":
    run("train", TrainSettings, train)
