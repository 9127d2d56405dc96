"""A run that dies anywhere goes on to the same bits."""

import pytest
import torch
from safetensors.torch import load_file

from shared.errors import UserError
from vision.train import train
from vision.training.distillation import Distillation


class DeathError(Exception):
    pass


@pytest.fixture
def dying(monkeypatch):
    """`dying(epoch, batch)`: from now on, training dies before that batch."""
    step = Distillation.training_step

    def arm(epoch, batch):
        def training_step(self, data, batch_idx):
            if (self.current_epoch, batch_idx) == (epoch, batch):
                raise DeathError
            return step(self, data, batch_idx)

        monkeypatch.setattr(Distillation, "training_step", training_step)

    def disarm():
        monkeypatch.setattr(Distillation, "training_step", step)

    arm.disarm = disarm
    return arm


@pytest.mark.parametrize(
    ("settings", "epoch", "batch"),
    [
        (["checkpoint_steps=2", "+model.kwargs.drop_rate=.3", "recipe.ema=.8", "recipe.augmentation.flip=true"], 1, 5),
        (["checkpoint_steps=1", "accumulate=2", "recipe.clip=0.5", "recipe.precision=bf16"], 0, 3),
        (["recipe.schedule=step", "recipe.decay_epochs=1", "+model.kwargs.drop_rate=0.3"], 2, 1),
    ],
    ids=["within an epoch", "within the first epoch", "after an epoch"],
)
def test_an_interrupted_run_continues_to_the_same_bits(study, compose, tmp_path, dying, settings, epoch, batch):
    def start(name):
        common = [*study.common, "recipe.epochs=3", "recipe.warmup_epochs=1", "alpha=0.1", *settings]
        train(compose("train", [*common, f"output={tmp_path}/{name}"]))

    start("whole")
    dying(epoch, batch)
    with pytest.raises(DeathError):
        start("killed")
    assert (tmp_path / "killed" / "last.ckpt").exists()
    dying.disarm()
    start("killed")
    whole, killed = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    losses = [epoch_losses(tmp_path / name) for name in ("whole", "killed")]
    assert losses[1] == losses[0][-len(losses[1]) :]


def epoch_losses(folder):
    """Of the epochs that the last process finished."""
    path = max(folder.glob("logs/*/metrics.csv"), key=lambda path: int(path.parent.name.partition("_")[2]))
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    column = header.index("train/loss")
    return [row[column] for row in rows if row[column]]


def test_a_diverging_run_keeps_its_last_good_checkpoint(study, compose, tmp_path, monkeypatch):
    step = Distillation.training_step

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return step(self, (images * float("nan") if self.current_epoch == 2 else images, labels), batch_idx)

    monkeypatch.setattr(Distillation, "training_step", training_step)
    with pytest.raises(UserError, match="the loss is not finite in epoch 3: training has diverged"):
        train(compose("train", [*study.common, "checkpoint_steps=1", f"output={tmp_path}"]))
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2 * (200 // 32)
    assert all(torch.isfinite(t).all() for t in saved["state_dict"].values() if t.is_floating_point())
    assert not (tmp_path / "result.json").exists()
