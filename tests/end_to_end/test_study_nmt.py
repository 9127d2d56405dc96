"""scripts/study.sh nmt with --quick to its end, and killed and called again."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.end_to_end.studies import assert_same_records, by_name, kill_in_the_middle

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
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
