"""scripts/lib/cells.sh, the list of steps under the demo and the presets, on steps that only wait for a file."""

import fcntl
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent
OPENED = """
set -euo pipefail
RUNS=$1 WORKERS=2 FRESH=${2-no}
source scripts/lib/cells.sh
open_study trial
"""
STUDY = f"""{OPENED}
step() {{ until [ -e "$RUNS/go" ]; do sleep 0.1; done; }}
for n in 1 2 3; do add_cell "step $n" "$RUNS/made$n" "" 1 step; done
run_cells
"""


def study(output: Path) -> "subprocess.Popen[str]":
    command = ["bash", "-c", STUDY, "study", str(output)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def said(script: str, output: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-c", script, "study", str(output), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def becomes_free(lock: Path, seconds: float) -> bool:
    """Whether every process that holds the lock has ended by then."""
    deadline = time.monotonic() + seconds
    with lock.open() as file:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
            else:
                return True
    return False


def test_a_run_that_is_killed_outright_takes_its_steps_with_it(tmp_path: Path) -> None:
    output = tmp_path / "results"
    killed = study(output)
    try:
        deadline = time.monotonic() + 60
        while len(list(output.glob("state/worker[12]"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        killed.kill()
        killed.wait()
        assert becomes_free(output / ".lock", seconds=60)
        assert not (output / "state" / "taken" / "2").exists()
    finally:
        (output / "go").touch()

    again = study(output)
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert "3 steps to do" in said
    assert sorted(path.name for path in output.glob("made*")) == ["made1", "made2", "made3"]
    assert becomes_free(output / ".lock", seconds=60)


def test_progress_is_shown_of_a_step_whose_log_is_not_there(tmp_path: Path) -> None:
    shown = f"""{OPENED}
add_cell one made "" 1 true
add_cell two made "" 1 true
steps=2 expected=2
printf '%s\n' "step 2" "$RUNS/log/nowhere.log" 0 1 >"$RUNS/state/worker1"
view | cat
failed_cell 1 "$RUNS/log/nowhere.log"
echo and the study goes on
"""
    ended = said(shown, tmp_path / "results")
    assert ended.returncode == 0, ended.stderr
    assert "step 2" in ended.stdout
    assert ended.stdout.endswith("and the study goes on\n")


def test_two_steps_that_fail_at_once_are_both_told(tmp_path: Path) -> None:
    """The second fails while the first one's failure is being written."""
    script = f"""{OPENED}
add_cell one made "" 1 false
add_cell two made "" 1 false
tail() {{ unset -f tail; failed_cell 1 "$RUNS/log/two.log"; }}
failed_cell 0 "$RUNS/log/one.log"
"""
    ended = said(script, tmp_path)
    assert ended.returncode == 0, ended.stderr
    for number, name in enumerate(("one", "two")):
        assert (tmp_path / "state" / f"failed.{number}").read_text().startswith(f"error: {name} failed")


def test_a_folder_is_opened_again_wherever_opening_it_was_stopped(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / "settings.part").touch()
    assert said(OPENED, tmp_path).returncode == 0
    (tmp_path / "vision").mkdir()
    assert said(OPENED, tmp_path, "yes").returncode == 0
    assert not (tmp_path / "vision").exists()


def test_fresh_removes_nothing_of_another_study(tmp_path: Path) -> None:
    assert said(OPENED, tmp_path).returncode == 0
    (tmp_path / "vision").mkdir()
    refused = said(OPENED.replace("trial", "other"), tmp_path, "yes")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is not of other; choose another --output" in refused.stderr
    assert (tmp_path / "vision").is_dir()
