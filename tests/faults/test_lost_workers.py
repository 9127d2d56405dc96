"""A data loader's process that is killed, as a machine without memory does it: one line, status 2, and no hang."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.errors import lost_worker
from tests.faults.inputs import PYTHON, Inputs, translation_command
from tests.faults.kills import ROOT

pytestmark = pytest.mark.e2e


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Three classes of noise in ImageNet's layout."""
    noise = np.random.default_rng(1)
    for split, count in (("train", 40), ("val", 4)):
        for label in "abc":
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(noise.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{number}.jpg")
    return tmp_path / "images"


def killed_worker(command: list[str], log: Path, sign: str) -> "subprocess.CompletedProcess[str]":
    """Run the command, and kill one of its workers as soon as the sign stands in what it says."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as file:
        job = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 300
            while sign not in log.read_text() or not (workers := children(job.pid)):
                assert job.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline
                time.sleep(0.01)
            os.kill(workers[0], signal.SIGKILL)
            status = job.wait(timeout=120)
        finally:
            job.kill()
    return subprocess.CompletedProcess(command, status, log.read_text())


def children(pid: int) -> list[int]:
    """The forks of a process: what runs the same program. torch's own helper of shared memory is another one."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    program = Path(f"/proc/{pid}/cmdline").read_bytes()
    return [int(child) for child in listed.read_text().split() if same_program(child, program)]


def same_program(pid: str, program: bytes) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == program
    except OSError:
        return False


def test_vision_train(photographs: Path, tmp_path: Path) -> None:
    small = ["data.image_size=32", "data.resize=36", "data.validation_size=12", "model=resnet18"]
    recipe = ["recipe=tiny", "recipe.epochs=50", "recipe.batch_size=12", "accelerator=cpu", "threads=1"]
    words = ["data=folder", f"data.data_dir={photographs}", *small, *recipe, "loader.workers=2"]
    done = killed_worker([*PYTHON, "vision.train", *words, f"output={tmp_path}/out"], tmp_path / "log", "epoch 1/50")
    assert done.returncode == 2, done.stdout[-2000:]
    assert_told(done.stdout)


def test_fairseq_train(inputs: Inputs, tmp_path: Path) -> None:
    command = translation_command(inputs, tmp_path / "out", "1000000", "--save-interval-updates", "0")
    command[command.index("--num-workers") + 1] = "2"
    # Epochs of 200 batches: its workers are at work for long.
    done = killed_worker([*command, "--no-save", "--batch-size", "2"], tmp_path / "log", '"num_updates": "3"')
    assert done.returncode == 2, done.stdout[-2000:]
    assert_told(done.stdout)


def assert_told(said: str) -> None:
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: DataLoader worker (pid")
    assert "start it again, with fewer workers if it happens again" in last


def test_other_failures_are_not_told_as_lost_workers() -> None:
    assert lost_worker(RuntimeError("CUDA error: out of memory")) is None


def test_one_that_is_lost_while_a_checkpoint_is_written_is_told() -> None:
    """torch's writer then fails with words of its own."""
    hidden = RuntimeError("unexpected pos 80069760 vs 80069648")
    hidden.__context__ = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    assert str(lost_worker(hidden)).startswith("DataLoader worker (pid 7) is killed by signal: Killed: was there")
