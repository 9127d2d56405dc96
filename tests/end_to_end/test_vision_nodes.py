"""One run by several machines: here, by several launchers on one."""

import contextlib
import csv
import random
import socket
import subprocess
import sys

import hydra
import pytest

from tests.end_to_end.conftest import ROOT
from vision.cli import CONF, typed
from vision.settings import TrainSettings
from vision.train import train

pytestmark = pytest.mark.e2e
SETTINGS = [
    *("data=digits", "model=tiny_resnet", "+model.kwargs.norm_layer=groupnorm1"),  # no statistics of one process's own
    *("recipe=tiny", "recipe.epochs=1", "recipe.warmup_epochs=0", "recipe.train_size=320", "alpha=0.1"),
    *("accelerator=cpu", "threads=1", "log_steps=1"),
]


def losses(folder):
    """Of every update, over all machines."""
    (path,) = folder.glob("logs/*/metrics.csv")
    with path.open() as file:
        return [float(row["step/loss"]) for row in csv.DictReader(file) if row["step/loss"]]


def free_port():
    """One below those that the system hands to others meanwhile."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def test_two_machines_train_as_one_process_does(run, tmp_path):
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("train", [*SETTINGS, f"output={tmp_path}/one"])
    train(typed(config, TrainSettings))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1"]
    launcher += ["--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    command = ["-m", "vision.train", *SETTINGS, "devices=1", "nodes=2", f"output={tmp_path}/two"]
    with subprocess.Popen(
        [*launcher, "--node_rank=1", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as second:
        first = run(*launcher, "--node_rank=0", *command)
        said, _ = second.communicate(timeout=600)
    assert first.returncode == second.returncode == 0, first.stderr
    assert "test top-1" in first.stdout
    assert "epoch" not in said
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 5
    assert two == pytest.approx(one, rel=1e-4)
    assert len(list((tmp_path / "two").rglob("result.json"))) == 1
