from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import nn

from vision.training.distillation import Distillation
from vision.training.objective import Objective
from vision.training.progress import EpochLines
from vision.training.run_folder import RunFolder
from vision.training.trainer import build_trainer


def test_the_average_is_kept_where_the_network_will_train(compose, tmp_path):
    """At setup Lightning has not moved the network yet; torch's meta device stands for the GPU."""
    settings = compose("train", ["recipe.ema=0.5", "accelerator=cpu", f"output={tmp_path}"])
    trainer = build_trainer(settings, RunFolder(settings.output), EpochLines(shown=False))
    (average,) = [one for one in trainer.callbacks if isinstance(one, WeightAveraging)]
    module = Distillation(nn.Linear(3, 5), settings.recipe, 1, 1, Objective())
    strategy = SimpleNamespace(root_device=torch.device("meta"))
    average.setup(SimpleNamespace(strategy=strategy), module, "fit")
    copied = average._average_model.module.state_dict()
    assert {name: (tensor.shape, tensor.device.type) for name, tensor in copied.items()} == {
        name: (tensor.shape, "meta") for name, tensor in module.state_dict().items()
    }
    assert module.device.type == "cpu"


def test_the_average_has_the_recipes_decay(compose, tmp_path):
    settings = compose("train", ["recipe.ema=0.75", "accelerator=cpu", f"output={tmp_path}"])
    trainer = build_trainer(settings, RunFolder(settings.output), EpochLines(shown=False))
    (average,) = [one for one in trainer.callbacks if isinstance(one, WeightAveraging)]
    module = Distillation(nn.Linear(1, 1, bias=False), settings.recipe, 1, 1, Objective())
    average.setup(SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu"))), module, "fit")
    for value in (1.0, 5.0):
        torch.nn.init.constant_(module.model.weight, value)
        average._average_model.update_parameters(module)
    assert average._average_model.module.model.weight.item() == pytest.approx(0.75 * 1.0 + 0.25 * 5.0)
