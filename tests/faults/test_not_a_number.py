"""NaN in what a student learns from. NaN in images and in weights: tests/vision/training/test_resume.py."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from nmt_plugin.checkpoints import read_checkpoint
from tests.faults.inputs import PYTHON, Inputs, translation_command

pytestmark = pytest.mark.e2e

Fork = Callable[[list[str]], "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def diverged(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher one of whose weights is NaN."""
    state = read_checkpoint(str(inputs.translation_teacher() / "checkpoint_last.pt"))
    state["model"]["decoder.layers.0.fc1.bias"][0] = float("nan")
    path = tmp_path_factory.mktemp("diverged") / "checkpoint_last.pt"
    torch.save(state, path)
    return path


def test_word_kd_makes_no_update_of_it(fork: Fork, inputs: Inputs, diverged: Path, tmp_path: Path) -> None:
    """The first update is refused: fairseq looks at the norm of every gradient."""
    flags = ("--criterion", "word_kd", "--teacher", str(diverged), "--temperature", "2")
    done = fork(translation_command(inputs, tmp_path / "out", "4", *flags))
    assert done.returncode == 2, done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "error: gradients are Nan/Inf: training has diverged, and this update was not made; crash.pt"
    )
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["crash.pt"]
    crash = read_checkpoint(str(tmp_path / "out" / "crash.pt"))
    assert crash["optimizer_history"][-1]["num_updates"] == 0
    assert all(torch.isfinite(weight).all() for weight in crash["model"].values())


def test_a_cache_of_it_is_refused(fork: Fork, inputs: Inputs, diverged: Path, tmp_path: Path) -> None:
    words = ["nmt_plugin.cache", "--teacher", str(diverged), "--data", str(inputs.corpus() / "data-bin")]
    done = fork([*PYTHON, *words, "--topk", "4", "--cpu", "--output", str(tmp_path / "cache")])
    assert done.returncode == 2, done.stderr[-2000:]
    assert "are not numbers: its training diverged" in done.stderr.strip().splitlines()[-1]
    assert not list((tmp_path / "cache").glob("*/manifest.json"))
