"""Fits by Lightning of which a part sleeps (loader, copy, teacher, ...): its time is then known from outside."""

import csv
import time

import lightning
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from vision.settings import RecipeSettings
from vision.training.distillation import Distillation
from vision.training.frozen_teacher import FrozenTeacher
from vision.training.objective import Objective
from vision.training.throughput import DataTime, Throughput

RECIPE = RecipeSettings(2, 4, "sgd", 0.1, 0.9, 1e-4, "cosine", 0.5, None)
IMAGES, NAP = 8, 0.1  # of a batch; a busy machine may add a good part of it


class Batches:
    """Takes `nap` seconds to make each batch, and `first` more for the first."""

    def __init__(self, count, nap=0.0, first=0.0):
        self.count, self.nap, self.first = count, nap, first

    def __len__(self):
        return self.count

    def __iter__(self):
        for batch in range(self.count):
            time.sleep(self.nap + self.first * (batch == 0))
            yield torch.randn(IMAGES, 3), torch.randint(5, (IMAGES,))


class SlowTeacher(nn.Linear):
    def forward(self, images):
        time.sleep(NAP)
        return super().forward(images)


class SlowCopy(Distillation):
    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        time.sleep(NAP)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


class SlowSaving(lightning.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        time.sleep(4 * NAP)


@pytest.fixture
def fit(tmp_path):
    """`fit(train, ...)`: [(update, images/s, shares of data, teacher and student)] of every line of the log."""

    def fitted(train, val=None, *, epochs=1, log_steps=50, accumulate=1, teacher=None, kind=Distillation, more=()):
        trainer = lightning.Trainer(
            accelerator="cpu", max_epochs=epochs, log_every_n_steps=log_steps, accumulate_grad_batches=accumulate,
            logger=CSVLogger(tmp_path), callbacks=[Throughput(), *more],
            profiler=DataTime(), enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        teachers = None if teacher is None else FrozenTeacher([teacher])
        module = kind(nn.Linear(3, 5), RECIPE, 1, 1, Objective(alpha=0.1), teachers)
        trainer.fit(module, train, val)
        with (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["images_per_second"]]
        names = ("images_per_second", "time/data", "time/teacher", "time/student")
        return [(int(row["step"]) + 1, *(float(row[name]) for name in names)) for row in rows]

    return fitted


def updates(lines):
    return [line[0] for line in lines]


def test_an_epoch_shorter_than_the_steps_between_two_lines_has_one(fit):
    assert updates(fit(Batches(3), epochs=3)) == [3, 6, 9]


def test_epochs_have_a_line_for_the_batches_after_the_last(fit):
    """Lightning writes lines of steps by the updates of the whole run."""
    assert updates(fit(Batches(7), epochs=3, log_steps=5)) == [5, 7, 10, 14, 15, 20, 21]


def test_an_epoch_that_ends_with_a_line_has_no_second_one(fit):
    assert updates(fit(Batches(4), epochs=2, log_steps=2)) == [2, 4, 6, 8]


def test_steps_are_updates_where_batches_are_accumulated(fit):
    lines = fit(Batches(9, first=0.2), epochs=1, log_steps=2, accumulate=2)
    assert updates(lines) == [2, 4, 5]
    assert lines[0][1] <= 4 * IMAGES / 0.2  # all four batches of the two updates


def test_images_per_second_of_every_line(fit):
    """So many images in the time that the loader's share tells: it slept so long for each batch, and little longer."""
    train = Batches(7, NAP)
    for (_, rate, data, *_), batches in zip(fit(train, log_steps=5), (5, 2), strict=True):
        slept = data * batches * IMAGES / rate
        assert batches * NAP <= slept < 3 * batches * NAP


def test_validation_is_no_training_time(fit):
    lines = fit(Batches(3), Batches(10, 0.2), epochs=2)
    assert all(rate > 3 * IMAGES for _, rate, *_ in lines)  # in a second; validation takes two


def test_the_shares_of_loader_teacher_and_student(fit):
    ((_, rate, data, teacher, student),) = fit(Batches(4, 2 * NAP), teacher=SlowTeacher(3, 5))
    seconds = 4 * IMAGES / rate
    assert data + teacher + student == pytest.approx(1)
    assert data * seconds >= 8 * NAP
    assert 4 * NAP <= teacher * seconds < 8 * NAP
    assert student > 0


def test_data_is_the_loader_and_the_copy_alone(fit):
    """Not what callbacks do between two batches, e.g. write a checkpoint, wherever in their list they are."""
    for callbacks in ([SlowSaving()], []):
        ((_, rate, data, *_),) = fit(Batches(4, NAP), kind=SlowCopy, more=callbacks)
        assert 8 * NAP <= data * 4 * IMAGES / rate < 16 * NAP
