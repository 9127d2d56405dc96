"""scripts/lib/cells.sh, the list of steps under the demo and the presets, on steps that only wait for a file."""

import fcntl
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent
STUDY = """
set -euo pipefail
RUNS=$1 WORKERS=2 FRESH=no
source scripts/lib/cells.sh
step() { until [ -e "$RUNS/go" ]; do sleep 0.1; done; }
open_study trial
for n in 1 2 3; do add_cell "step $n" "$RUNS/made$n" "" 1 step; done
run_cells
"""


def study(output: Path) -> "subprocess.Popen[str]":
    command = ["bash", "-c", STUDY, "study", str(output)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


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
        deadline = time.monotonic() + 20
        while len(list(output.glob("state/worker[12]"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        killed.kill()
        killed.wait()
        assert becomes_free(output / ".lock", seconds=10)
        assert not (output / "state" / "taken" / "2").exists()
    finally:
        (output / "go").touch()

    again = study(output)
    said, _ = again.communicate(timeout=30)
    assert again.returncode == 0, said
    assert "3 steps to do" in said
    assert sorted(path.name for path in output.glob("made*")) == ["made1", "made2", "made3"]
    assert becomes_free(output / ".lock", seconds=5)


def test_progress_is_shown_of_a_step_whose_log_is_not_there(tmp_path: Path) -> None:
    shown = STUDY.replace(
        "run_cells",
        """steps=3 expected=3
printf '%s\n' "step 2" "$RUNS/log/nowhere.log" 0 1 >"$RUNS/state/worker1"
view | cat
failed_cell 1 "$RUNS/log/nowhere.log"
echo and the study goes on""",
    )
    command = ["bash", "-c", shown, "study", str(tmp_path / "results")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "step 2" in ended.stdout
    assert ended.stdout.endswith("and the study goes on\n")
