"""SIGTERM in the middle of training, in this process: what is saved, how it ends, that it goes on to the same bits."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from safetensors.torch import load_file

from vision.train import train
from vision.training.distillation import Distillation
from vision.training.stopping import StopOnSigterm

UPDATES = 200 // 32  # of an epoch


@pytest.fixture
def term(monkeypatch):
    """`term(epoch, batch)`: SIGTERM comes within that batch."""
    step = Distillation.training_step

    def arm(epoch, batch):
        def training_step(self, data, batch_idx):
            if (self.current_epoch, batch_idx) == (epoch, batch):
                os.kill(os.getpid(), signal.SIGTERM)
            return step(self, data, batch_idx)

        monkeypatch.setattr(Distillation, "training_step", training_step)

    arm.never = lambda: monkeypatch.setattr(Distillation, "training_step", step)
    return arm


@pytest.mark.parametrize(
    ("settings", "epoch", "batch", "updates"),
    [
        (["recipe.ema=.8", "+model.kwargs.drop_rate=.3"], 1, 2, UPDATES + 3),
        (["accumulate=2"], 0, 2, 2),  # within the second update, which is ended first
        ([], 0, UPDATES - 1, UPDATES),  # the last batch of an epoch: it is validated and saved as ever
        ([], 2, UPDATES - 1, 3 * UPDATES),  # the very last: only scoring is left
    ],
    ids=["within an epoch", "within an update", "at an epoch's end", "at the end"],
)
def test_the_update_is_ended_and_saved(study, compose, tmp_path, capsys, term, settings, epoch, batch, updates):
    def start(name):
        common = [*study.common, "recipe.epochs=3", "recipe.warmup_epochs=1", "alpha=0.1", *settings]
        train(compose("train", [*common, f"output={tmp_path}/{name}"]))

    start("whole")
    before = signal.getsignal(signal.SIGTERM)
    term(epoch, batch)
    with pytest.raises(SystemExit) as stopped:
        start("stopped")
    assert stopped.value.code == 143
    last = tmp_path / "stopped" / "last.ckpt"
    assert f"stopped by SIGTERM; {last} is of update {updates}: call it again to go on" in capsys.readouterr().out
    assert torch.load(last, weights_only=True)["global_step"] == updates
    assert not (tmp_path / "stopped" / "result.json").exists()
    assert signal.getsignal(signal.SIGTERM) == before
    term.never()
    start("stopped")
    for name in ("last", "best"):
        whole, again = (load_file(tmp_path / run / f"{name}.safetensors") for run in ("whole", "stopped"))
        assert all(torch.equal(whole[key], again[key]) for key in whole)


@pytest.mark.parametrize(
    ("environment", "local_rank", "status"),
    [
        (LightningEnvironment, 0, 143),  # the first process, of every machine
        (LightningEnvironment, 1, 0),
        (TorchElasticEnvironment, 1, 143),
        (SLURMEnvironment, 1, 143),
    ],
)
def test_a_process_that_lightning_started_ends_well(tmp_path, environment, local_rank, status):
    """Lightning's first process kills itself, by SIGKILL, when it sees that one of those ended otherwise."""
    strategy = SimpleNamespace(cluster_environment=environment.__new__(environment))
    with pytest.raises(SystemExit) as stopped:
        StopOnSigterm(tmp_path)._stop(SimpleNamespace(strategy=strategy, local_rank=local_rank, global_step=1))
    assert stopped.value.code == status
