import copy
import dataclasses

import pytest
import timm
import torch
import torch.nn.functional as F
from lightning import Callback, Trainer
from timm.task import LogitDistillationTask
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from vision.settings import RecipeSettings
from vision.training.distillation import Distillation
from vision.training.frozen_teacher import FrozenTeacher
from vision.training.objective import Objective

RECIPE = RecipeSettings(2, 4, "sgd", 0.1, 0.9, 1e-4, "cosine", 0.5, None)


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return nn.Linear(3, 5), nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 5))


def distillation(student, teacher=None, **settings):
    hard = 1.0 - settings.get("kd_weight", 1.0)
    objective = Objective(**{"hard_weight": hard} | settings)
    return Distillation(student, RECIPE, 1, 1, objective, None if teacher is None else FrozenTeacher([teacher]))


def test_a_teacher_is_trained_with_label_smoothing(networks):
    images, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 4])
    losses = distillation(networks[0], alpha=0.1).losses(images, labels)
    expected = F.cross_entropy(networks[0](images), labels, label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(losses["loss"], expected)


def test_pure_distillation_is_t_squared_kl_to_the_teacher_in_eval_mode(networks):
    student, teacher = networks
    images, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 4])
    losses = distillation(student, teacher, temperature=3.0).losses(images, labels)
    target = F.softmax(teacher[1](images) / 3, -1)  # without dropout
    expected = 9 * F.kl_div(F.log_softmax(student(images) / 3, -1), target, reduction="sum")
    torch.testing.assert_close(losses["loss"], expected)
    assert set(losses) == {"loss"}


def test_the_mixed_loss_weighs_its_parts(networks):
    images, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 4])
    module = distillation(*networks, temperature=2.0, kd_weight=0.25, alpha=0.2)
    losses = module.losses(images, labels)
    torch.testing.assert_close(losses["loss"], 0.25 * losses["kd"] + 0.75 * losses["cross_entropy"])
    hard = F.cross_entropy(networks[0](images), labels, label_smoothing=0.2, reduction="sum")
    torch.testing.assert_close(losses["cross_entropy"], hard)


def test_the_teacher_is_no_part_of_the_module_and_never_changes(networks):
    student, teacher = networks
    before = copy.deepcopy(teacher.state_dict())
    module = distillation(student, teacher, temperature=2.0)
    assert {id(p) for p in module.parameters()} == {id(p) for p in student.parameters()}
    assert set(module.state_dict()) == {"model.weight", "model.bias"}
    module.train()
    assert not teacher.training
    module.training_step((torch.randn(4, 3), torch.tensor([0, 1, 2, 4])), 0).backward()
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


def test_epoch_losses_are_sums_over_counts(networks):
    student = networks[0]
    module = distillation(student)
    images, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 4, 3])
    for rows in (slice(0, 4), slice(4, 5)):
        module.training_step((images[rows], labels[rows]), 0)
    assert module.mean_losses["loss"] == pytest.approx(
        float(F.cross_entropy(student(images), labels).detach()), rel=1e-6
    )


def test_every_epoch_has_losses_of_its_own(networks):
    """The mean over the images of each, from the losses of its batches of 4 and 1 image as Lightning got them."""
    seen, told = [], []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            seen.append((trainer.current_epoch, float(outputs["loss"]) * len(batch[1])))

        def on_train_epoch_end(self, trainer, module):
            told.append(module.mean_losses["loss"])

    images, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 4, 3])
    trainer = Trainer(
        accelerator="cpu", max_epochs=3, callbacks=[Watch()], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module = Distillation(networks[0], dataclasses.replace(RECIPE, epochs=3), 2, 1, Objective())
    trainer.fit(module, DataLoader(TensorDataset(images, labels), 4))
    expected = [sum(loss for which, loss in seen if which == epoch) / 5 for epoch in range(3)]
    assert expected[0] > expected[1] > expected[2]
    assert told == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_that_of_timms_own_task(temperature):
    kwargs = {"channels": (8, 8, 8, 8), "layers": (1, 1, 1, 1), "num_classes": 7}
    student, teacher = (timm.create_model("resnet18", **kwargs) for _ in range(2))
    images, labels = torch.randn(5, 3, 32, 32), torch.tensor([0, 1, 2, 4, 3])
    theirs = LogitDistillationTask(
        copy.deepcopy(student), copy.deepcopy(teacher), nn.CrossEntropyLoss(), temperature=temperature,
        distill_loss_weight=0.25, task_loss_weight=0.75, device=torch.device("cpu"), verbose=False,
    )  # fmt: skip
    theirs.train()
    module = distillation(student.train(), teacher, temperature=temperature, kd_weight=0.25)
    ours = module.losses(images, labels)
    parts = theirs(images, labels)
    torch.testing.assert_close(ours["loss"] / 5, parts["loss"])
    torch.testing.assert_close(ours["kd"] / 5, parts["kd_loss"])


def test_every_update_of_every_seed_has_a_seed_of_its_own(networks):
    drawn = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, module, *_):
            drawn.append(module._batch_seed)

    data = DataLoader(TensorDataset(torch.randn(5, 3), torch.tensor([0, 1, 2, 4, 3])), 4)
    for seed in (1, 2):
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = Trainer(accelerator="cpu", max_epochs=2, callbacks=[Watch()], enable_model_summary=False, **quiet)
        trainer.fit(Distillation(copy.deepcopy(networks[0]), RECIPE, 2, seed, Objective()), data)
    assert len(drawn) == len(set(drawn)) == 8
