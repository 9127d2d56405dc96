"""One command as a Hydra job: done once, logged, refused in one line, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt_plugin.job import JobSettings, run_job
from shared.errors import UserError


def settings(tmp_path: Path, command: str, **further: str) -> JobSettings:
    return JobSettings(command=command, done=str(tmp_path / "run" / "made"), **further)


def test_a_command_runs_once_with_its_words_as_a_shell_would_split_them(tmp_path: Path) -> None:
    command = f"python -c 'import sys; print(sys.argv[1:])' \\(0.9,\\ 0.98\\) {tmp_path}"
    assert run_job(settings(tmp_path, command))
    assert (tmp_path / "run" / "made").exists()
    log = tmp_path / "run" / "made.log"
    assert log.read_text() == f"['(0.9, 0.98)', '{tmp_path}']\n"
    assert not run_job(settings(tmp_path, command))
    assert len(log.read_text().splitlines()) == 1


def test_what_the_command_itself_makes_is_kept(tmp_path: Path) -> None:
    made = tmp_path / "run" / "made"
    log = tmp_path / "logs" / "one.log"
    assert run_job(settings(tmp_path, f'python -c \'open("{made}", "w").write("whole")\'', log=str(log)))
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
            "ended with status 1; the end of .*made.log: 7 / too bad",
        ),
    ],
)
def test_failures_name_the_reason_and_leave_nothing_done(tmp_path: Path, command: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_job(settings(tmp_path, command))
    assert not (tmp_path / "run" / "made").exists()


def test_two_at_once_are_refused_and_a_killed_one_takes_its_command_along(tmp_path: Path) -> None:
    sleeper = "python -c 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'"
    code = f"from nmt_plugin.job import *; run_job(JobSettings({sleeper!r}, {str(tmp_path / 'run' / 'made')!r}))"
    first = subprocess.Popen([sys.executable, "-c", code])
    log = tmp_path / "run" / "made.log"
    wait_until(lambda: log.exists() and log.read_text().strip())
    with pytest.raises(UserError, match="another process is making made in"):
        run_job(settings(tmp_path, "python -c pass"))
    pid = int(log.read_text())
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not alive(pid))
    assert run_job(settings(tmp_path, "python -c pass"))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def wait_until(condition) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
