"""What a finished training leaves: two exports, their scores, the record."""

import dataclasses

from lightning import Trainer
from torch import Tensor, nn

from shared.outcomes import write_outcomes
from shared.ranks import sum_over_ranks
from shared.results import Metric, Model, Provenance, Result
from shared.unpickling import load_torch
from vision.checkpoint import Card, save_export
from vision.data import ImageData, evaluation_batches
from vision.scores import score
from vision.settings import TrainSettings
from vision.training.description import run_name
from vision.training.ranks import barrier, dataclass_over_ranks, on_rank_zero
from vision.training.run_folder import RunFolder


def export_and_score(
    settings: TrainSettings, folder: RunFolder, model: nn.Module, card: Card, data: ImageData, trainer: Trainer
) -> tuple[dict[str, Metric], dict[str, Model]]:
    """Write the last and the best model and score both on test and val; the scores, and the two models' records.

    What became of every test image is written too (`shared/outcomes.py`). Every process scores its share; only the
    first one writes, and gets records.
    """
    barrier()  # rank 0 has written the last checkpoint
    best = card.build()
    # `last` too: a run that was resumed after its last epoch holds weights that are not averaged, and in a distributed
    # one every process has batch normalization statistics of its own.
    for network, path in ((model, folder.resume_from), (best, folder.best_checkpoint)):
        saved = load_torch(path, mapped=False)["state_dict"]
        network.load_state_dict({name.removeprefix("model."): tensor for name, tensor in saved.items()})
    metrics: dict[str, Metric] = {}
    described, outcomes = {}, {}
    device = trainer.strategy.root_device
    for which, network in (("last", model), ("best", best)):
        if on_rank_zero():
            own_card = dataclasses.replace(card, export=which)
            described[which] = save_export(folder.path / f"{which}.safetensors", network, own_card).model
        for split in ("test", "val"):
            batches = evaluation_batches(data, split, settings.loader, trainer.global_rank, trainer.world_size)
            scores, hits = score(network.to(device), batches)
            metrics |= dataclass_over_ranks(scores, device).metrics(f"{which}/{split}")
            if split == "test":
                shared = _over_ranks(hits, len(data.splits[split]), trainer)
                outcomes[f"{which}/{split}/top1"] = shared.unsqueeze(1).cpu().numpy()
    if on_rank_zero():
        write_outcomes(folder.path, outcomes)
    return metrics, described


def _over_ranks(mine: Tensor, count: int, trainer: Trainer) -> Tensor:
    """[count] of all processes from what each has of its share, every world-th image (see `BatchPlan`)."""
    whole = mine.new_zeros(count)
    whole[trainer.global_rank :: trainer.world_size] = mine
    return sum_over_ranks(whole)


def record(
    settings: TrainSettings,
    data: ImageData,
    card: Card,
    exports: dict[str, Model],
    metrics: dict[str, Metric],
    notes: list[str],
    provenance: Provenance,
) -> Result:
    """The run's `result.json`: the last model, and the scores of both."""
    return Result(
        "model",
        "image-classification",
        settings.name or run_name(card),
        data.record(),
        [exports["last"]],
        provenance,
        teacher=card.teacher,
        teachers=card.teachers,
        metrics=metrics,
        notes=[f"best/* are scores of best.safetensors, sha256 {exports['best'].sha256}", *notes],
    )
