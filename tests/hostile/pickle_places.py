"""The functions that read checkpoints, arrays and records: each given one hostile file in the place of a good one."""

import dataclasses
import json
import shutil
from argparse import Namespace
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from lightning import LightningModule, Trainer

from nmt_plugin.checkpoints import read_checkpoint
from nmt_plugin.corpora.card import read_card
from nmt_plugin.decoder_states.reader import StateReader
from nmt_plugin.decoder_states.token_sets import read_sets
from nmt_plugin.records import TrainedModel, teacher_card
from nmt_plugin.scores.averaging import average_checkpoints
from nmt_plugin.shards import kept_shards
from nmt_plugin.teachers.live import LiveTeacher
from nmt_plugin.teachers.store import Store
from shared.files import sha256
from shared.outcomes import FILE_NAME as OUTCOMES
from shared.outcomes import read_outcomes
from shared.predictions import read_predictions
from shared.report.build import read_study
from shared.results import Model, read_result
from tests.vision.conftest import compose_settings
from vision.checkpoint import Card, load_export
from vision.class_sets.set_file import read_set_file
from vision.data.cifar5m import FILES as CIFAR5M
from vision.data.cifar5m import cifar5m
from vision.networks.open import open_network
from vision.networks.settings import NetworkSettings
from vision.settings import DataSettings
from vision.training.outcome import export_and_score
from vision.training.run_folder import RunFolder
from vision.training.trainer import fit

Place = Callable[[Path, bytes], Any]
SLIM = {"layers": [1, 1, 1, 1], "channels": [8, 16, 24, 32], "stem_type": "deep", "stem_width": 4}
KNOWN = NetworkSettings(arch="resnet18", kwargs=SLIM)


def _file(name: str, read: Callable[[Path], Any]) -> Place:
    def place(folder: Path, content: bytes) -> Any:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return place


def card(weights: Path) -> Card:
    """That of a small ResNet with two classes."""
    recipe = {"train_size": 1, "validation_size": 1}
    model = Model("teacher", "resnet18", 1, sha256(weights), 1, 0.1, recipe=recipe)
    return Card("resnet18", SLIM, [1, 32, 32], ["a", "b"], [0.5], [0.5], "made", {}, "last", model)


def _export(weights: Path) -> Any:
    weights.with_suffix(".json").write_text(json.dumps(dataclasses.asdict(card(weights))))
    return load_export(weights)


def _card(path: Path) -> Any:
    path.with_suffix(".safetensors").write_bytes(b"")
    return load_export(path.with_suffix(".safetensors"))


@cache
def _settings() -> Any:
    return compose_settings("train", ["data=fashion_mnist", "output=x", "model=tiny_resnet"])


def claimed(folder: Path) -> tuple[RunFolder, Any]:
    """A run's folder in which its training has begun."""
    settings, run = dataclasses.replace(_settings(), output=str(folder)), RunFolder(str(folder))
    run.claim(settings, {})
    return run, settings


def _resumed(path: Path) -> Any:
    run, settings = claimed(path.parent)
    return run.check(settings, {})


def _resumed_with_best(path: Path) -> Any:
    run, settings = claimed(path.parent)
    states = {"callbacks": {}, "state_dict": {}, "loops": {}, "optimizer_states": [], "epoch": 1, "global_step": 1}
    torch.save(states, run.resume_from)
    return run.check(settings, {})


class _Module(LightningModule):
    """As little as Lightning resumes."""

    started = False

    def training_step(self, batch: Any) -> None:
        raise AssertionError("it trains")

    def configure_optimizers(self) -> None:
        return None


def _fitted(path: Path) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", max_epochs=1, enable_checkpointing=False, **cast(Any, quiet))
    return fit(trainer, cast(Any, _Module()), cast(Any, [0]), cast(Any, None), path)


def _exported(path: Path) -> Any:
    """Between the check of the folder and the end of training, somebody else wrote there."""
    run = cast(Any, SimpleNamespace(resume_from=path, best_checkpoint=path))
    nothing: Any = None
    model: Any = SimpleNamespace(build=lambda: None)
    return export_and_score(nothing, run, nothing, model, nothing, nothing)


def _local_timm(path: Path) -> Any:
    (path.parent / "config.json").write_text(json.dumps({"architecture": "test_resnet", "num_classes": 3}))
    try:
        return open_network(f"timm:local-dir:{path.parent}")
    finally:  # timm forbids again what nmt_plugin, which is no part of a process with timm, had allowed
        torch.serialization.add_safe_globals([Namespace])


def _published(path: Path) -> Any:
    """torchvision's cache, in which somebody replaced a file whose name has the right digest."""
    spoilt = path.parent / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    spoilt.parent.mkdir(parents=True)
    shutil.move(path, spoilt)
    before = torch.hub._hub_dir
    torch.hub.set_dir(path.parent / "hub")
    try:
        return open_network("torchvision:resnet18:IMAGENET1K_V1")
    finally:
        torch.hub._hub_dir = before


def _cifar5m(path: Path) -> Any:
    for name in CIFAR5M:
        if name != path.name:
            (path.parent / name).write_bytes(path.read_bytes())
    return cifar5m(DataSettings("cifar5m", [0.5] * 3, [0.5] * 3, 1, data_dir=str(path.parent)))


def _averaged(path: Path) -> Any:
    return average_checkpoints([path], path.with_name("mean.pt"))


def _student(path: Path) -> Any:
    return LiveTeacher(str(path), cast(Any, None))


def _shards(path: Path) -> Any:
    with kept_shards(path.parent, {"seed": 1}, 2, fresh=False):
        raise AssertionError("it goes on")


# Where a checkpoint is read; beside the project's own functions the ones of others that it hands a file to.
CHECKPOINTS: dict[str, Place] = {
    **{f"teacher {name}": _file(name, lambda path: open_network(str(path), KNOWN)) for name in ("x.pt", "x.pth")},
    "teacher x.pth.tar": _file("x.pth.tar", lambda path: open_network(str(path), KNOWN)),
    "teacher x.ckpt": _file("x.ckpt", lambda path: open_network(str(path), KNOWN)),
    "teacher x.safetensors": _file("x.safetensors", lambda path: open_network(str(path), KNOWN)),
    "export with a card of the right sha256": _file("last.safetensors", _export),
    "timm:local-dir": _file("pytorch_model.bin", _local_timm),
    "torchvision's cache": _file("x.pth", _published),
    "last.ckpt of a run to resume": _file("last.ckpt", _resumed),
    "best.ckpt of a run to resume": _file("best.ckpt", _resumed_with_best),
    "Lightning's fit": _file("last.ckpt", _fitted),
    "NMT teacher": _file("x.pt", _student),
    "NMT teacher's card": _file("x.pt", lambda path: teacher_card(str(path))),
    "NMT student's record": _file("x.pt", TrainedModel),
    "NMT averaging": _file("checkpoint1.pt", _averaged),
    "NMT decoder states": _file("x.pt", lambda path: StateReader(path, cast(Any, None))),
    "NMT checkpoint": _file("x.pt", lambda path: read_checkpoint(str(path))),
}
ARRAYS: dict[str, Place] = {
    "predictions.npz": _file("predictions.npz", read_predictions),
    "outcomes.npz": _file(OUTCOMES, lambda path: read_outcomes(path.parent)),
    "class0.npy of CIFAR-5m": _file("class0.npy", _cifar5m),
}
RECORDS: dict[str, Place] = {
    "result.json": _file("result.json", read_result),
    "study.json": _file("study.json", lambda path: read_study(path.parent)),
    "card of an export": _file("last.json", _card),
    "config.yaml of a run": _file("config.yaml", lambda path: _beside(path)),
    "class sets": _file("sets.yaml", read_set_file),
    "token sets": _file("sets.json", read_sets),
    "card of a corpus": _file("card.json", lambda path: read_card(path.parent)),
    "manifest of a teacher cache": _file("manifest.json", lambda path: Store(path.parent)),
    "settings of shards": _file("settings.json", _shards),
}


def _beside(path: Path) -> Any:
    """A good Lightning checkpoint with that config.yaml."""
    torch.save({"pytorch-lightning_version": "2.6", "state_dict": {"w": torch.ones(1)}}, path.with_name("x.ckpt"))
    return open_network(str(path.with_name("x.ckpt")), KNOWN)


# Not behind the project's own checks: nothing runs, and the error may be another program's.
OTHERS: dict[str, Place] = {
    "scores after training": _file("last.ckpt", _exported),
}
