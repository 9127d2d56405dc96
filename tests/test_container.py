"""The Dockerfile, as far as it can be checked without a container engine."""

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there() -> None:
    copied = [word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M) for word in line.split()[1:-1]]
    assert len(copied) >= 8
    for path in copied:
        assert (ROOT / path).exists(), path
        assert not any(fnmatch(path, pattern) for pattern in IGNORED), path


def test_every_argument_is_read() -> None:
    names = re.findall(r"^ARG (\w+)", DOCKERFILE, re.M)
    assert names == ["BASE", "DALI"]
    for name in names:
        assert f"${{{name}}}" in DOCKERFILE


def test_it_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    assert users == ["10001"]
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("setup.sh")


def enter(*words: str, programs: Path = Path(sys.executable).parent) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["/bin/bash", "scripts/entrypoint.sh", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_without_a_command_it_says_what_there_is(words: tuple[str, ...]) -> None:
    done = enter(*words)
    assert done.returncode == 0
    for command in ("demo", "test", "study", "nmt", "vision", "report"):
        assert re.search(rf"^  {command} ", done.stdout, re.M)


@pytest.mark.parametrize("command", ["demo", "study"])
def test_scripts_get_their_options(command: str) -> None:
    shown = enter(command, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"usage: bash scripts/{command}.sh")


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        (
            ("nmt", "data-bin", "--arch", "x y"),
            ["fairseq-train", "data-bin", "--arch", "x y", "--user-dir", "nmt_plugin"],
        ),
        (("vision", "seed=1"), ["python", "-m", "vision.train", "seed=1"]),
        (("report", "runs/a b"), ["python", "-m", "shared.report", "runs/a b"]),
        (("test", "--fast"), ["bash", "scripts/test.sh", "--fast"]),
        (("ls", "a b"), ["ls", "a b"]),
    ],
)
def test_commands_run_what_they_say(words: tuple[str, ...], ran: list[str], tmp_path: Path) -> None:
    """With programs of these names that show how they were called."""
    for name in ("fairseq-train", "python", "bash", "ls"):
        (tmp_path / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    assert enter(*words, programs=tmp_path).stdout.splitlines() == ran


def test_an_unknown_command_is_refused() -> None:
    done = enter("trian")
    assert (done.returncode, done.stderr) == (2, "error: there is no command trian here; see --help\n")
