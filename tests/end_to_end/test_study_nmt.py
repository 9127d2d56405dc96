"""scripts/study.sh nmt with --quick to its end, and killed and called again."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.end_to_end.studies import assert_same_records, by_name, kill_in_the_middle

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
ROOT = Path(__file__).parent.parent.parent
NMT = ["bash", "scripts/study.sh", "nmt", "--quick", "--pairs", "en-de", "--temperatures", "1 2"]


@pytest.fixture(scope="module")
def whole(run: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nmt") / "whole"
    made = run(*NMT, "--output", folder)
    assert made.returncode == 0, made.stdout[-1000:] + made.stderr[-3000:]
    return folder


def test_the_nmt_study_ends_in_verdicts(whole: Path) -> None:
    results = by_name(whole)
    kinds = [result.kind for result in results.values()]
    wanted = {"model": 6, "clusters": 6, "diffusion": 2, "projection": 1}
    assert {kind: kinds.count(kind) for kind in set(kinds)} == wanted
    sets = [{(eta.target, eta.set_name, tuple(eta.members)) for eta in r.eta} for r in results.values() if r.eta]
    assert sets[0] == sets[1]
    design = json.loads((whole / "study.json").read_text())["design"]
    assert design == {"alphas": [0, 0.1], "temperatures": [1, 2], "seeds": [1], "data": ["libreoffice.en-de"]}


def test_a_killed_nmt_study_goes_on_to_the_same_records(run: Command, whole: Path) -> None:
    """By SIGKILL, in the middle of the students."""
    folder = whole.parent / "killed"
    command = [*NMT, "--output", str(folder)]

    def trains() -> bool:
        logs = (folder / "log" / "en-de").glob("student-*-trained.log")
        return any("num_updates=20," in log.read_text(encoding="utf-8") for log in logs)

    kill_in_the_middle(command, folder, trains)
    again = run(*command)
    assert again.returncode == 0, again.stdout[-1000:] + again.stderr[-3000:]
    assert_same_records(folder, whole)


def test_more_teachers_choose_the_sets_anew(tmp_path: Path) -> None:
    """What was measured by the sets of fewer is measured again, and the models stay. Sweeps are stood in for."""
    script = """
set -euo pipefail
source scripts/lib/study_nmt.sh
first_of() { echo "${1%% *}"; }
sweep() { echo "$@" >>"$base/log"; mkdir -p "$base/sets"; touch "$base/sets/result.json"; }
base=$1 pair=en-de corpus=c TEMPERATURES="1 2" ALPHAS="0 0.1" low=1 highs=2
for SEEDS in "1" "1" "1 2"; do
  sets_of_pair
  mkdir -p "$base/clusters-teacher-a0-seed${SEEDS##* }"
done
SEEDS=1 # fewer: they keep the sets of all
sets_of_pair
"""
    models = [f"{kind}-seed{n}" for n in (1, 2) for kind in ("teacher-a0", "teacher-a0.1")]
    for name in (*models, "student-a0.1-T1-seed1", "student-a0.1-T2-seed1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trained").touch()
    subprocess.run(["bash", "-c", script, "_", str(tmp_path)], cwd=ROOT, check=True)
    first, second = (tmp_path / "log").read_text().splitlines()
    assert [first.count("teacher-a"), second.count("teacher-a")] == [2, 4]
    assert [path.name for path in tmp_path.glob("clusters-*")] == ["clusters-teacher-a0-seed2"]
    assert (tmp_path / "sets.json").is_file()
    assert all((tmp_path / name / "trained").is_file() for name in models)
