"""What the whole commands of the fault suite read, made once a session by forks (tests/end_to_end/forks.py)."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.forks import run_in_fork
from tests.faults.inputs import Inputs
from tests.faults.kills import ROOT
from tests.faults.rounds import Killing
from tests.faults.subjects import SUBJECTS

Run = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def fork() -> Run:
    """`fork(command)`: run it to its end; its status and what it said."""
    os.environ["OMP_NUM_THREADS"] = "1"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        words = command if command[0] == sys.executable else [Path(command[0]).name, *command[1:]]
        return run_in_fork(words, ROOT, environment, timeout=600)

    return run


@pytest.fixture(scope="session")
def inputs(fork: Run, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """See `Inputs`."""
    return Inputs(tmp_path_factory.mktemp("inputs"), fork)


@pytest.fixture(scope="session")
def killing(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Killing]:
    """`killing(name)`: the kills of a subject, which runs undisturbed once for all tests."""
    made: dict[str, Killing] = {}

    def of(name: str) -> Killing:
        if name not in made:
            made[name] = Killing(SUBJECTS[name], inputs, tmp_path_factory.mktemp(name), seed=7)
        return made[name]

    return of
