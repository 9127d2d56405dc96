"""scripts/study.sh vision with --quick to its end, killed and called again, and what the script refuses."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.end_to_end.conftest import ROOT
from tests.end_to_end.studies import assert_same_records, by_name, kill_in_the_middle

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
VISION = ["bash", "scripts/study.sh", "vision", "--quick", "--temperatures", "1 2"]


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
    assert "of 29 records" not in again.stdout  # it starts no sweep: each would take ten seconds to find that
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")} == before


def test_killed_and_then_failing_it_goes_on_to_the_same_records(
    run: Command, whole: tuple[Path, "CompletedProcess[str]"]
) -> None:
    """By SIGKILL, in the middle of the students; of seed 2 alone, which the whole study has too. Then one job fails."""
    undisturbed, _ = whole
    folder, command = undisturbed.parent / "killed", [*VISION, "--seeds", "2"]
    kill_in_the_middle([*command, "--output", str(folder)], folder, lambda: any(folder.glob("student-*/config.yaml")))
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
    assert "] clusters: " in again.stdout
    for sweep in ("teachers", "students student", "diffusion student", "projection student"):
        assert f"] {sweep}: " not in again.stdout  # it has nothing to make
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
