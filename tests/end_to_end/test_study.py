"""scripts/study.sh with --quick to its end, killed and called again, and what it refuses."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from shared.results import Result, read_results
from tests.end_to_end.conftest import ROOT

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
VISION = ["bash", "scripts/study.sh", "vision", "--quick", "--temperatures", "1 2"]
NMT = ["bash", "scripts/study.sh", "nmt", "--quick", "--pairs", "en-de", "--temperatures", "1 2"]


def by_name(folder: Path) -> dict[str, Result]:
    return {result.name: result for result in read_results(folder)}


def measured(result: Result) -> Any:
    """What a record measured; its provenance says when and how long, and so do fairseq's checkpoints."""
    files = [model.sha256 for model in result.models if result.task == "image-classification"]
    return result.metrics, result.eta, result.panels, files


@pytest.fixture(scope="module")
def whole(run: Command, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "CompletedProcess[str]"]:
    folder = tmp_path_factory.mktemp("study") / "whole"
    made = run(*VISION, "--seeds", "1 2", "--output", folder, "--publish", folder.parent / "published")
    assert made.returncode == 0, made.stdout[-1000:] + made.stderr[-3000:]
    return folder, made


def test_the_vision_study_ends_in_verdicts(whole: tuple[Path, "CompletedProcess[str]"]) -> None:
    folder, made = whole
    results = by_name(folder)
    kinds = [result.kind for result in results.values()]
    # 2 alphas and 2 seeds: teachers and two students each; the clusters of each; eta of one step; one projection
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "model": 12,
        "clusters": 12,
        "diffusion": 4,
        "projection": 1,
    }
    assert "29 of 29 records, about 0 min left" in made.stdout
    report = (folder / "report.md").read_text(encoding="utf-8")
    for claim in ("C1", "C2", "C3", "C4", "C5"):
        assert claim in report
    assert "Quick run" in report


def test_what_is_published_makes_the_same_report_without_weights(whole: tuple[Path, "CompletedProcess[str]"]) -> None:
    folder, _ = whole
    published = folder.parent / "published"
    assert (published / "report.md").read_bytes() == (folder / "report.md").read_bytes()
    files = {path.name for path in published.rglob("*") if path.is_file()}
    figures = {path.name for path in (published / "report_figures").iterdir()}
    assert files - figures == {"result.json", "outcomes.npz", "study.json", "report.html", "report.md"}
    assert sum(path.stat().st_size for path in published.rglob("*")) < 3_000_000


def test_a_finished_study_does_nothing_again(run: Command, whole: tuple[Path, "CompletedProcess[str]"]) -> None:
    folder, _ = whole
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")}
    again = run(*VISION, "--seeds", "1 2", "--output", folder)
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")} == before


def test_killed_and_then_failing_it_goes_on_to_the_same_records(
    run: Command, whole: tuple[Path, "CompletedProcess[str]"]
) -> None:
    """By SIGKILL, in the middle of the students; of seed 2 alone, which the whole study has too. Then one job fails."""
    undisturbed, _ = whole
    folder, command = undisturbed.parent / "killed", [*VISION, "--seeds", "2"]
    kill_in_the_middle([*command, "--output", str(folder)], folder, "student-*/config.yaml")
    obstacle = folder / "clusters-teacher-a0.1-seed2"
    obstacle.touch()
    failed = run(*command, "--output", folder)
    assert failed.returncode == 2
    assert f"error: not there:\n  {obstacle}/result.json\n{folder}/log/clusters" in failed.stderr
    finished = {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")}
    obstacle.unlink()
    again = run(*command, "--output", folder)
    assert again.returncode == 0, again.stdout[-1000:] + again.stderr[-3000:]
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")}
    assert after.keys() - finished.keys() == {obstacle / "result.json"}
    assert finished.items() <= after.items()
    assert_same_records(folder, undisturbed, "seed2")


def test_what_failed_is_listed_and_other_settings_are_refused(run: Command, tmp_path: Path) -> None:
    command = [*VISION, "--seeds", "1", "--alphas", "0.1", "--output", str(tmp_path / "study")]
    failed = run(*command, "--", "recipe.lr=1e6")  # diverges
    assert failed.returncode == 2
    for lost in ("teacher-a0.1-seed1", "student-a0.1-T2-seed1", "clusters-teacher-a0.1-seed1"):
        assert f"{tmp_path}/study/{lost}/result.json" in failed.stderr
    assert failed.stderr.endswith("error: some records are missing (above); call it again to run what is missing\n")
    other = run(*command)
    assert other.returncode == 2
    assert "holds results of other settings; choose another --output, or --fresh replaces them" in other.stderr


@pytest.fixture(scope="module")
def whole_nmt(run: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nmt") / "whole"
    made = run(*NMT, "--output", folder)
    assert made.returncode == 0, made.stdout[-1000:] + made.stderr[-3000:]
    return folder


def test_the_nmt_study_ends_in_verdicts(whole_nmt: Path) -> None:
    results = by_name(whole_nmt)
    kinds = [result.kind for result in results.values()]
    wanted = {"model": 6, "clusters": 6, "diffusion": 2, "projection": 1}
    assert {kind: kinds.count(kind) for kind in set(kinds)} == wanted
    sets = [{(eta.target, eta.set_name, tuple(eta.members)) for eta in r.eta} for r in results.values() if r.eta]
    assert sets[0] == sets[1]
    design = json.loads((whole_nmt / "study.json").read_text())["design"]
    assert design == {"alphas": [0, 0.1], "temperatures": [1, 2], "seeds": [1]}


def test_a_killed_nmt_study_goes_on_to_the_same_records(run: Command, whole_nmt: Path) -> None:
    """By SIGKILL, in the middle of the students; of the smoothed teacher alone, which the whole study has too."""
    folder = whole_nmt.parent / "killed"
    command = [*NMT, "--alphas", "0.1", "--output", str(folder)]
    kill_in_the_middle(command, folder, "en-de/student-*/checkpoint_last.pt")
    again = run(*command)
    assert again.returncode == 0, again.stdout[-1000:] + again.stderr[-3000:]
    assert_same_records(folder, whole_nmt, "a0.1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say which study: bash scripts/study.sh vision, or nmt; see --help"),
        (["visoin"], "say which study: bash scripts/study.sh vision, or nmt; see --help"),
        (["vision", "--scale", "big"], "--scale big: choose mini or full"),
        (["vision", "--launcher", "slurm"], "--launcher slurm: choose basic, joblib or submitit_slurm"),
        (["nmt", "--seeds", "1 1"], "--seeds 1 1: 1 stands there twice; name each once"),
        (["nmt", "--pairs", "en-fr"], "--pairs en-fr: choose of en-de and en-ru"),
        (
            ["nmt", "--temperatures", "1 2.50"],
            '--temperatures 1 2.50: 2.50 is not right; e.g. --temperatures "1 2 3 64"',
        ),
        (["vision", "--alphas", "0.1 .0"], '--alphas .0 0.1: .0 is not right; e.g. --alphas "0 0.1"'),
        (["vision", "--scale", "full", "--quick"], "--quick is for --scale mini; leave one of them out"),
        (["vision", "--publish", "."], f"--publish {ROOT} holds the study itself; choose another folder"),
        (
            ["vision", "--publish", "tests"],
            f"--publish {ROOT}/tests holds something else than a published study; choose another folder",
        ),
        (
            ["nmt", "--", "recipe.lr=1"],
            "recipe.lr=1 is for vision; nmt takes its settings from scripts/lib/nmt.sh, and hydra.launcher.* from here",
        ),
        (["vision", "--output"], "--output needs a value; see --help"),
    ],
)
def test_mistakes_are_named_before_anything_runs(run: Command, options: list[str], message: str) -> None:
    made = run("bash", "scripts/study.sh", *options)
    assert (made.returncode, made.stderr.strip()) == (2, f"error: {message}")


def kill_in_the_middle(command: list[str], folder: Path, sign: str) -> None:
    """SIGKILL once a file of the pattern `sign` is in the study's folder."""
    study = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: any(folder.glob(sign)))
    study.send_signal(signal.SIGKILL)
    study.wait()
    wait_for(lambda: not working_in(folder), seconds=15)  # what it had started ends with it, not after its work


def assert_same_records(folder: Path, whole: Path, part: str) -> None:
    """Of `whole`, those with `part` in their names; but for the projection, which is of all that a study has."""
    mine, theirs = by_name(folder), by_name(whole)
    names = {name for name, result in theirs.items() if part in name and result.kind != "projection"}
    assert names == {name for name, result in mine.items() if part in name and result.kind != "projection"}
    for name in names:
        assert measured(mine[name]) == measured(theirs[name]), name
    assert not list(folder.rglob("*.part"))


def working_in(folder: Path) -> bool:
    """Whether a process has the study's lock open."""
    try:
        subprocess.run(["flock", "-n", folder / ".lock", "true"], check=True)
    except subprocess.CalledProcessError:
        return True
    return False


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
