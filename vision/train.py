"""`python -m vision.train`: train a teacher with label smoothing, or distil a student from one."""

import dataclasses

import torch
from lightning import Trainer, seed_everything
from torch import nn

from shared.results import Metric, Model, Result, RunClock, write_result
from vision.checkpoint import Card, save_export
from vision.cli import run
from vision.data import Batches, ImageData, evaluation_batches, load_data, training_batches
from vision.data.image_files import ImageFiles
from vision.data.readable import check_readable
from vision.device import device_name
from vision.models import build_model
from vision.scores import score
from vision.settings import TrainSettings
from vision.training.distillation import Distillation
from vision.training.feasible import check_trainable
from vision.training.frozen_teacher import FrozenTeacher
from vision.training.inputs import Inputs, open_inputs
from vision.training.progress import EpochLines, on_terminal
from vision.training.ranks import barrier, dataclass_over_ranks, on_rank_zero
from vision.training.run_folder import RunFolder
from vision.training.schedule import build_optimizer
from vision.training.trainer import build_trainer, fit


def train(settings: TrainSettings) -> None:
    """Train, resume or recognize as finished the run that `settings` describe; it ends in `output/result.json`.

    Raises UserError, before any training, for whatever is wrong in the settings, the data or the teacher.
    """
    clock = RunClock()
    data = load_data(settings.data, settings.recipe.train_size)
    inputs = open_inputs(settings, data)
    folder = RunFolder(settings.output)
    folder.check(settings, inputs.digests)
    if folder.finished and not settings.fresh:
        print(f"already finished: {folder.path}/result.json (fresh=true trains it again)", flush=True)
        return
    inputs.check(settings, data)
    for split in data.splits.values():
        if isinstance(split, ImageFiles):
            check_readable(split)
    seed_everything(settings.seed, verbose=False)
    model = build_model(settings.model.name, len(data.class_names), data.image_shape, settings.model.kwargs)
    inputs.initialize(model)
    lines = EpochLines(shown=not on_terminal() and on_rank_zero())
    check_trainable(model, settings, len(data.splits["train"]))
    trainer = build_trainer(settings, folder, lines)
    prepared = _prepare(trainer, settings, data, model, inputs)
    resume = folder.resume_from if folder.resume_from.is_file() and not settings.fresh else None
    if on_rank_zero():  # nothing is removed or written before all that can be refused has been
        folder.claim(settings, inputs.digests)
        if resume:
            print(f"resuming from {resume}", flush=True)
    fit(trainer, *prepared, resume)
    card = _card(settings, data, model, inputs)
    metrics, exports = _export_and_score(settings, folder, model, card, data, trainer)
    if not on_rank_zero():
        return
    device = trainer.strategy.root_device
    provenance = clock.provenance(device_name(device), extra_seconds=lines.earlier_seconds)
    name = settings.name or _name(card)
    result = Result(
        "model",
        "image-classification",
        name,
        data.record(),
        [exports["last"]],
        provenance,
        teacher=card.teacher,
        metrics=metrics,
        notes=[f"best/* are scores of best.safetensors, sha256 {exports['best'].sha256}", *inputs.notes],
    )
    path = write_result(folder.path, result)
    top1, top5 = metrics["last/test/top1"], metrics["last/test/top5"]
    print(f"{name}: test top-1 {top1.value:.2f} %, top-5 {top5.value:.2f} % of {top1.count} images; {path}", flush=True)


def _prepare(
    trainer: Trainer, settings: TrainSettings, data: ImageData, model: nn.Module, inputs: Inputs
) -> tuple[Distillation, Batches, Batches]:
    """What is trained, on what, and validated on what. Raises UserError for what the settings ask in vain."""
    build_optimizer(model, settings.recipe)
    ranks = (trainer.global_rank, trainer.world_size)
    train = training_batches(data, settings.recipe, settings.loader, settings.seed, *ranks, settings.accumulate)
    teacher = None
    if inputs.teacher:
        teacher = FrozenTeacher(inputs.teacher.reading(data.mean, data.std), compile=settings.compile)
    module = Distillation(
        model.train(),
        settings.recipe,
        -(-len(train) // settings.accumulate),
        settings.seed,
        settings.alpha,
        teacher,
        temperature=settings.temperature or 1.0,
        kd_weight=settings.kd_weight,
        compile=settings.compile,
        check_steps=settings.log_steps,
    )
    return module, train, evaluation_batches(data, "val", settings.loader, *ranks)


def _export_and_score(
    settings: TrainSettings, folder: RunFolder, model: nn.Module, card: Card, data: ImageData, trainer: Trainer
) -> tuple[dict[str, Metric], dict[str, Model]]:
    """Write the last and the best model and score both on test and val; the scores, and the two models' records."""
    barrier()  # rank 0 has written the last checkpoint
    best = card.build()
    # `last` too: a run that was resumed after its last epoch holds weights that are not averaged, and in a distributed
    # one every process has batch normalization statistics of its own.
    for network, path in ((model, folder.resume_from), (best, folder.best_checkpoint)):
        saved = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        network.load_state_dict({name.removeprefix("model."): tensor for name, tensor in saved.items()})
    metrics: dict[str, Metric] = {}
    described = {}
    device = trainer.strategy.root_device
    for which, network in (("last", model), ("best", best)):
        if on_rank_zero():
            own_card = dataclasses.replace(card, export=which)
            described[which] = save_export(folder.path / f"{which}.safetensors", network, own_card).model
        for split in ("test", "val"):
            batches = evaluation_batches(data, split, settings.loader, trainer.global_rank, trainer.world_size)
            scores = dataclass_over_ranks(score(network.to(device), batches), device)
            metrics |= scores.metrics(f"{which}/{split}")
    return metrics, described


def _card(settings: TrainSettings, data: ImageData, model: nn.Module, inputs: Inputs) -> Card:
    teacher = inputs.teacher.card if inputs.teacher else None
    hard_labels = teacher is None or settings.kd_weight < 1.0
    recipe = dataclasses.asdict(settings.recipe) | {
        "validation_size": settings.data.validation_size,
        "image_size": settings.data.image_size,
        "loader": settings.loader.name if settings.data.image_size else "memory",
        "initialized_from": inputs.digests["weights_sha256"],
        "model.name": settings.model.name,  # `arch` is a free label
        "model.kwargs": settings.model.kwargs,
    }
    described = Model(
        role="teacher" if teacher is None else "student",
        arch=settings.model.label,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sha256="",  # filled in when the weights are written
        seed=settings.seed,
        alpha=settings.alpha if hard_labels else None,
        temperature=settings.temperature,
        kd_weight=None if teacher is None else settings.kd_weight,
        recipe=recipe,
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
    parts = [card.data, card.model.arch, card.model.role, "a-unknown" if alpha is None else f"a{alpha:g}"]
    if card.model.temperature is not None:
        parts.append(f"T{card.model.temperature:g}")
    if card.model.kd_weight not in (None, 1.0):
        parts.append(f"w{card.model.kd_weight:g}")
    return "-".join([*parts, f"seed{card.model.seed}"])


if __name__ == "__main__":
    run("train", TrainSettings, train)
