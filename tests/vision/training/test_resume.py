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


@pytest.mark.parametrize("steps", ["null", "1"])
def test_an_update_that_ruins_the_weights_is_not_saved(study, compose, tmp_path, monkeypatch, steps):
    """The loss is taken before the update: that of an epoch's last update would show in the next epoch only."""
    ended = Distillation.on_train_batch_end

    def on_train_batch_end(self, outputs, batch, batch_idx):
        ended(self, outputs, batch, batch_idx)
        if self.current_epoch == 2 and batch_idx == 200 // 32 - 1:
            with torch.no_grad():
                next(self.model.parameters())[0] = float("inf")

    monkeypatch.setattr(Distillation, "on_train_batch_end", on_train_batch_end)
    with pytest.raises(UserError, match="the weights are not finite in epoch 3: training has diverged"):
        train(compose("train", [*study.common, f"checkpoint_steps={steps}", f"output={tmp_path}"]))
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["global_step"] >= 2 * (200 // 32)
    assert all(torch.isfinite(t).all() for t in saved["state_dict"].values() if t.is_floating_point())


def test_a_run_that_dies_while_it_is_scored_exports_the_averaged_weights(study, compose, tmp_path):
    """Nothing is left to train then, and Lightning leaves the weights that are not averaged in the model."""
    settings = [*study.common, "recipe.epochs=3", "recipe.warmup_epochs=1", "recipe.ema=0.5", f"output={tmp_path}"]
    train(compose("train", settings))
    whole = load_file(tmp_path / "last.safetensors")
    for name in ("result.json", "last.safetensors"):
        (tmp_path / name).unlink()
    train(compose("train", settings))
    again = load_file(tmp_path / "last.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.parametrize(
    "mistake",
    ["recipe.optimizer=sgdd", "recipe.augmentation.rotation=9", "model.name=resnet81", "recipe.precision=16"],
)
def test_a_mistake_costs_no_finished_run(study, compose, tmp_path, mistake):
    settings = [*study.common, "recipe.epochs=3", f"output={tmp_path}"]
    train(compose("train", settings))
    before = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    with pytest.raises(UserError):
        train(compose("train", [*settings, "fresh=true", mistake]))
    assert {path: path.read_bytes() for path in tmp_path.glob("*.*")} == before


def test_a_damaged_checkpoint_is_named(study, compose, tmp_path):
    settings = [*study.common, "recipe.epochs=3", f"output={tmp_path}"]
    train(compose("train", settings))
    (tmp_path / "result.json").unlink()
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        train(compose("train", settings))


def test_a_cosine_starts_where_the_warm_up_ends(study, compose, tmp_path):
    train(
        compose(
            "train", [*study.common, "recipe.epochs=4", "recipe.warmup_epochs=2", "log_steps=1", f"output={tmp_path}"]
        )
    )
    (path,) = tmp_path.glob("logs/*/metrics.csv")
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    column = next(k for k, name in enumerate(header) if name.startswith("lr-"))
    rates = [float(row[column]) for row in rows if row[column]]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.1, rel=0.02)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(low / high > 0.75 for high, low in zip(rates[peak:], rates[peak + 1 : peak + 5], strict=False))
    assert rates[-1] < 0.01


def test_accumulated_batches_leave_the_schedule_as_it_is(study, compose, tmp_path):
    rates = []
    for accumulate in (1, 2):
        output = tmp_path / str(accumulate)
        words = ["recipe.epochs=3", "recipe.warmup_epochs=1", f"accumulate={accumulate}", f"output={output}"]
        train(compose("train", [*study.common, *words]))
        saved = torch.load(output / "last.ckpt", weights_only=True)
        rates.append(saved["optimizer_states"][0]["param_groups"][0]["lr"])
    assert rates[1] == pytest.approx(rates[0])  # half-way down, it would be .085 of a rate of .1
