"""Sweeps by Hydra's launchers. Slurm's is submitit's local one with another executor."""

import json
import sys

import hydra
import pytest

from vision.cli import CONF, typed
from vision.settings import TrainSettings
from vision.train import train

pytestmark = pytest.mark.e2e
TINY = ("data=digits", "model=tiny_resnet", "recipe=tiny", "recipe.epochs=1", "recipe.warmup_epochs=0")
HERE = ("recipe.train_size=128", "accelerator=cpu", "threads=1", "tensorboard=false")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra.compose("train", [*TINY, *HERE, "alpha=0.1", f"output={folder}"])
    train(typed(config, TrainSettings))
    return folder / "last.safetensors"


@pytest.fixture
def sweep(run, teacher, tmp_path):
    """`sweep(override, ...)`: (exit status, the lines of stderr that are errors, temperature of every result)."""

    def swept(*overrides):
        output = (f"output={tmp_path}/T${{temperature}}-${{devices}}", f"hydra.sweep.dir={tmp_path}/sweep")
        words = (*TINY, *HERE, f"teacher={teacher}", *output, *overrides)
        completed = run(sys.executable, "-m", "vision.train", "-m", *words)
        errors = [line for line in completed.stderr.splitlines() if line.strip()]
        records = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("*/result.json")}
        temperatures = {name: record["models"][0]["temperature"] for name, record in records.items()}
        return completed.returncode, errors, temperatures

    return swept


def test_one_after_another(sweep):
    """The job after the refused one runs too."""
    status, errors, temperatures = sweep("temperature=-1,3")
    assert status == 2
    assert temperatures == {"T3-1": 3.0}
    (line,) = errors
    assert line.startswith("error: temperature=-1: temperature is -1.0; it must be a finite number above 0")


def test_in_parallel(sweep, tmp_path):
    """A record's command is that of its own point, not of the worker of joblib that ran it."""
    status, errors, temperatures = sweep("hydra/launcher=joblib", "temperature=1,3,-1", "devices=1,2")
    assert status == 2
    assert temperatures == {"T1-1": 1.0, "T3-1": 3.0}
    command = json.loads((tmp_path / "T3-1" / "result.json").read_text())["provenance"]["command"]
    assert command[:3] == ["python", "-m", "vision.train"]
    assert {"temperature=3", "devices=1", f"output={tmp_path}/T3-1"} < set(command)
    assert [line.partition(" is -1.0; ")[0].partition(" needs ")[0] for line in sorted(errors)] == [
        "error: temperature=-1 devices=1: temperature",
        "error: temperature=-1 devices=2: temperature",
        "error: temperature=1 devices=2: devices=2",
        "error: temperature=3 devices=2: devices=2",
    ]


def test_by_submitit(sweep, tmp_path):
    status, errors, temperatures = sweep("hydra/launcher=submitit_local", "temperature=3,-1")
    assert status == 2
    assert temperatures == {"T3-1": 3.0}
    (line,) = errors
    assert line.startswith("error: temperature=-1: temperature is -1.0; it must be")
    assert len(list((tmp_path / "sweep" / ".submitit").glob("*/*_log.out"))) == 2


def test_slurm_where_there_is_none(sweep):
    status, errors, temperatures = sweep("hydra/launcher=submitit_slurm", "temperature=1,3")
    assert status == 2
    assert errors == ["error: hydra/launcher=submitit_slurm: there is no srun here; start the sweep on the cluster"]
    assert temperatures == {}
