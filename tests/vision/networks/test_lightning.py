"""Checkpoints that Lightning itself writes, in folders of this project's runs and of others."""

import dataclasses
import json

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from shared.errors import UserError
from shared.files import sha256, write_text
from vision.networks.open import open_network
from vision.networks.settings import NetworkSettings
from vision.train import train


class Classifier(LightningModule):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.register_buffer("class_weights", torch.ones(5))

    def training_step(self, batch):
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.model(images), labels, self.class_weights)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def trained(slim_resnet, tmp_path):
    """(checkpoint, module after training), with the callbacks."""

    def train(*callbacks):
        module = Classifier(slim_resnet().train())
        data = TensorDataset(torch.randn(16, 3, 16, 16), torch.arange(16) % 5)
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=1,
            callbacks=list(callbacks),
            enable_checkpointing=bool(callbacks),
            default_root_dir=tmp_path,
            **quiet,
        )
        trainer.fit(module, DataLoader(data, 4))
        path = tmp_path / "run" / "last.ckpt"
        trainer.save_checkpoint(path)
        return path, module.eval()

    return train


def config(slim, **changed):
    run = {
        "model": {"name": "resnet18", "label": "slim", "kwargs": slim},
        "data": {"name": "made", "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]},
        "recipe": {"epochs": 1},
        **{"seed": 4, "alpha": 0.1, "teacher": None, "temperature": None, "kd_weight": 1.0},
    }
    return json.dumps(run | changed)  # JSON is YAML


def test_a_foreign_one(trained, slim):
    path, module = trained()
    network = open_network(str(path), NetworkSettings("resnet18", slim, [0.5] * 3, [0.25] * 3))
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(network.model(images), module.model(images))
    assert network.notes == ["left out 1 tensors outside model.* (class_weights)"]
    assert (network.mean, network.std) == ([0.5] * 3, [0.25] * 3)
    with pytest.raises(UserError, match=r"last.ckpt: does not say its architecture"):
        open_network(str(path))


def test_one_of_a_run_of_this_project(trained, slim):
    path, module = trained()
    write_text(path.with_name("config.yaml"), config(slim))
    network = open_network(str(path), image_shape=(3, 16, 16), class_names=list("abcde"))
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(network.model(images), module.model(images))
    assert (network.arch, network.mean, network.std) == ("resnet18", [0.1, 0.2, 0.3], [0.5, 0.5, 0.5])
    card = network.card
    assert (card.role, card.arch, card.seed, card.alpha, card.kd_weight) == ("teacher", "slim", 4, 0.1, None)
    assert card.sha256 == sha256(path)
    assert card.recipe == {"epochs": 1, "model.name": "resnet18", "model.kwargs": slim}


@pytest.mark.parametrize(("kd_weight", "alpha"), [(1.0, None), (0.9, 0.1)])
def test_one_of_a_student_of_this_project(trained, slim, kd_weight, alpha):
    path, _ = trained()
    write_text(path.with_name("config.yaml"), config(slim, teacher="t", temperature=3.0, kd_weight=kd_weight))
    card = open_network(str(path)).card
    assert (card.role, card.temperature, card.kd_weight, card.alpha) == ("student", 3.0, kd_weight, alpha)


def test_what_the_user_says_must_not_contradict_the_run(trained, slim):
    path, _ = trained()
    write_text(path.with_name("config.yaml"), config(slim))
    for said, what in (
        (NetworkSettings(arch="resnet50"), "arch is resnet18; network.arch says resnet50"),
        (NetworkSettings(alpha=0.0), r"alpha is 0.1; network.alpha says 0.0"),
        (NetworkSettings(mean=[0.0] * 3, std=[1.0] * 3), r"mean is \[0.1, 0.2, 0.3\]; network.mean says"),
        (NetworkSettings(kwargs={"stem_width": 9}), "kwargs is .*; network.kwargs says"),
    ):
        with pytest.raises(UserError, match=f"last.ckpt: its {what}"):
            open_network(str(path), said)


@pytest.mark.parametrize("text", ["{", "\x00", "model: {name: resnet18, kwargs: 3}\ndata: {}\nrecipe: {}"])
def test_a_damaged_config(trained, text):
    path, _ = trained()
    write_text(path.with_name("config.yaml"), text)
    with pytest.raises(UserError, match=r"config.yaml"):
        open_network(str(path))


@pytest.mark.parametrize("text", ["optimizer: sgd", "- 1", "model: resnet18\ndata: {}\nrecipe: {}"])
def test_the_config_of_another_program_says_nothing(trained, slim, text):
    path, _ = trained()
    write_text(path.with_name("config.yaml"), text)
    assert open_network(str(path), NetworkSettings("resnet18", slim)).card.seed is None


def test_averaged_weights(trained, slim, tmp_path):
    trained(EMAWeightAveraging(decay=0.5), ModelCheckpoint(tmp_path, "mid"))
    path = tmp_path / "mid.ckpt"  # written while training goes on
    saved = torch.load(path, weights_only=True)
    averaged, last = (saved[entry]["model.fc.weight"] for entry in ("state_dict", "current_model_state"))
    assert not torch.equal(averaged, last)
    network = open_network(str(path), NetworkSettings("resnet18", slim))
    assert torch.equal(network.model.fc.weight, averaged)
    assert "its averaged weights (EMA) are used" in network.notes


@pytest.mark.parametrize("text", ["kd_weight: much", "alpha: [1]", "distill: {loss: 3}", "distill: {hard_weight: x}"])
def test_a_config_with_values_of_other_types(trained, slim, text):
    path, _ = trained()
    groups = "model: {name: resnet18}\ndata: {}\nrecipe: {}\nteacher: t\n"
    write_text(path.with_name("config.yaml"), groups + text)
    with pytest.raises(UserError, match=r"config\.yaml: the run\.\w+ must be a "):
        open_network(str(path))


@pytest.mark.parametrize("run", ["teacher", "student-T3"])
def test_the_checkpoint_and_the_export_of_a_run_are_one_network(study, run):
    checkpoint, export = (open_network(str(study.root / run / name)) for name in ("last.ckpt", "last.safetensors"))
    images = torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(checkpoint.model(images), export.model(images))
    for what in ("arch", "num_classes", "channels", "mean", "std"):
        assert getattr(checkpoint, what) == getattr(export, what)
    assert dataclasses.replace(checkpoint.card, sha256=export.card.sha256) == export.card


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["alpha=0.1", "data.part=labelled", "data.labelled_size=100"], {"loss": None, "distill": {}, "alpha": 0.1}),
        (["teacher=T", "distill=dist", "temperature=1", "alpha=0.1"], {"loss": "dist", "alpha": 0.1}),
        (["teacher=T", "temperature=2", "kd_weight=1", "distill.hard_weight=1"], {"loss": "kd", "alpha": 0.0}),
        (["teacher=T", "temperature=2", "kd_weight=0.5", "distill.hard_weight=0"], {"loss": "kd", "alpha": None}),
        (["teacher=T", "distill.loss=epl"], {"loss": "epl", "temperature": None, "alpha": None}),
    ],
    ids=["part of the data", "dist", "hard weight", "no hard weight", "pseudo-labels"],
)
def test_the_cards_of_a_runs_checkpoint_and_export_agree(study, compose, tmp_path, settings, told):
    short = ["recipe.train_size=64", "recipe.epochs=1", "recipe.warmup_epochs=0", f"output={tmp_path}"]
    train(compose("train", [*study.common, *short, *(one.replace("=T", f"={study.teacher}") for one in settings)]))
    checkpoint, export = (open_network(str(tmp_path / name)).card for name in ("last.ckpt", "last.safetensors"))
    assert dataclasses.replace(checkpoint, sha256=export.sha256) == export
    assert {name: getattr(checkpoint, name) for name in told} == told
