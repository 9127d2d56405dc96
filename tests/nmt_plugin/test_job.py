"""One command as a Hydra job: done once, logged, refused in one line, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_plugin.job import run_job
from shared.errors import UserError


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return tmp_path / "run" / "made"


def test_a_command_runs_once_with_its_words_as_a_shell_would_split_them(made: Path, tmp_path: Path) -> None:
    command = f"python -c 'import sys; print(sys.argv[1:])' \\(0.9,\\ 0.98\\) {tmp_path}"
    assert run_job(command, made)
    assert made.exists()
    log = made.with_name("made.log")
    assert log.read_text() == f"['(0.9, 0.98)', '{tmp_path}']\n"
    assert not run_job(command, made)
    assert len(log.read_text().splitlines()) == 1


def test_what_the_command_itself_makes_is_kept(made: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "one.log"
    assert run_job(f'python -c \'open("{made}", "w").write("whole")\'', made, str(log))
    assert made.read_text() == "whole"
    assert log.read_text() == ""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "command is empty"),
        ("echo 'open", "cannot be split into words .*quote it as for a shell"),
        ("no-such-program x", "no-such-program: No such file or directory; is it installed"),
        (
            "python -c 'print(7); raise SystemExit(\"too bad\")'",
            r"python.* ended with status 1 \(see .*made.log\): too bad",
        ),
    ],
)
def test_failures_name_the_reason_and_leave_nothing_done(made: Path, command: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_job(command, made)
    assert not made.exists()


def test_a_failure_is_told_in_the_words_of_this_try(made: Path) -> None:
    with pytest.raises(UserError, match="the first reason"):
        run_job("python -c 'raise SystemExit(\"the first reason\")'", made)
    with pytest.raises(UserError, match="nothing was printed"):
        run_job("python -c 'raise SystemExit(3)'", made)


def test_a_command_waits_for_what_it_needs(made: Path, tmp_path: Path) -> None:
    """A half-trained teacher has a checkpoint, but no mark that its training has ended."""
    mark = tmp_path / "teacher" / "trained"
    with pytest.raises(UserError, match="trained is not there, which this needs"):
        run_job("python -c pass", made, needs=[str(mark)])
    assert not made.exists()
    mark.parent.mkdir()
    mark.touch()
    assert run_job("python -c pass", made, needs=[str(mark)])


def test_a_record_is_never_made_up(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ended well, but .*result.json is not there"):
        run_job("python -c pass", tmp_path / "result.json")
    assert not (tmp_path / "result.json").exists()


def test_two_at_once_are_refused_and_a_killed_one_takes_its_command_along(made: Path) -> None:
    sleeper = "python -c 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'"
    code = f"from nmt_plugin.job import *; run_job({sleeper!r}, Path({str(made)!r}))"
    first = subprocess.Popen([sys.executable, "-c", code])
    log = made.with_name("made.log")
    wait_until(lambda: log.exists() and log.read_text().strip())
    with pytest.raises(UserError, match=r"another process is making .*made; wait for it to end"):
        run_job("python -c pass", made)
    pid = int(log.read_text())
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not alive(pid))
    assert run_job("python -c pass", made)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):  # gone before, or in between
        return False


def wait_until(condition) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 300  # fairseq is imported in it
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_grid_by_hydra(tmp_path: Path) -> None:
    """Every point in its own words; one that fails costs none of the others, and is told with its point."""
    command = "python -c 'import sys; sys.exit(int(sys.argv[1]) == 2)' ${point.n} \\(0.9,\\ 1\\)"
    words = [sys.executable, "-m", "nmt_plugin.job", "-m", "+point.n=1,2,3", f"hydra.sweep.dir={tmp_path}/hydra"]
    job = subprocess.run(
        [*words, f"done={tmp_path}/${{point.n}}/made", f'command="{command}"'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert job.returncode == 2
    assert (
        f"n=2: {Path(sys.executable).name} ended with status 1 (see {tmp_path}/2/made.log): nothing was printed"
        in job.stderr
    )
    assert sorted(path.parent.name for path in tmp_path.glob("*/made")) == ["1", "3"]
    assert f"n=3: done: {tmp_path}/3/made" in job.stdout
