"""SIGTERM of trainings of two processes that reaches one of them: both end after the same update, with a checkpoint."""

import dataclasses
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.inputs import Inputs
from tests.faults.rounds import Killing
from tests.faults.subjects import SUBJECTS

pytestmark = pytest.mark.e2e


def _by_lightning(inputs: Inputs, output: Path) -> list[str]:
    """Its own launcher: the first process starts the other."""
    return [*SUBJECTS["vision.train"].command(inputs, output), "devices=2"]


def _each_started(inputs: Inputs, output: Path) -> list[str]:
    """fairseq-train on CPUs, each process by itself, as srun would start them; the first is the one that is told."""
    meeting = output.parent.with_name(f"{output.parent.name}.rendezvous")  # not where changes are counted
    flags = f"--distributed-world-size 2 --distributed-no-spawn --distributed-init-method file://{meeting}"
    command = f"{shlex.join(SUBJECTS['word_kd'].command(inputs, output))} {flags}"
    command += " --distributed-backend gloo --ddp-backend legacy_ddp --distributed-rank"
    return ["bash", "-c", f"rm -f {meeting}; {command} 1 & exec {command} 0"]


def _spawned(inputs: Inputs, output: Path) -> list[str]:
    """fairseq-train on what it takes for two GPUs: it launches the two, and is itself the one that is told."""
    command = SUBJECTS["word_kd"].command(inputs, output)
    code = "import torch; torch.cuda.device_count = lambda: 2; from fairseq_cli.train import cli_main; cli_main()"
    flags = ["--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]
    return [sys.executable, "-c", code, *command[command.index(str(inputs.corpus() / "data-bin")) :], *flags]


@pytest.mark.parametrize(
    ("name", "command"), [("vision.train", _by_lightning), ("word_kd", _each_started), ("word_kd", _spawned)]
)
def test_it_ends_with_a_checkpoint_and_143_and_goes_on(
    name: str, command: Callable[[Inputs, Path], list[str]], inputs: Inputs, tmp_path: Path
) -> None:
    subject = dataclasses.replace(SUBJECTS[name], command=command)
    told, again, differing = Killing(subject, inputs, tmp_path / "runs", seed=7).told_to_stop()
    assert (told.status, told.orphans) == (143, 0), told.said[-2000:]
    assert told.said.count("stopped by SIGTERM") in (1, 2)
    assert "Traceback" not in told.said
    assert again.status == 0, again.said[-2000:]
    assert differing == []
