"""The studies on Fashion-MNIST in scripts/vision/, with --quick to their end, and what they refuse."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from shared.results import read_results

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]


def test_noisy_teachers_end_in_the_report(run: Command, tmp_path: Path) -> None:
    made = run("bash", "scripts/vision/noisy_teachers.sh", "--quick", "--output", tmp_path / "study")
    assert made.returncode == 0, made.stdout[-1000:] + made.stderr[-2000:]
    results = {result.name: result for result in read_results(tmp_path / "study")}
    assert results["ensemble-k2-seed1"].kind == "ensemble"
    assert "test/tv_to_noise_law" in results["ensemble-k2-seed1"].metrics
    assert "test/tv_to_noise_law" in results["teacher-seed1-1-scores"].metrics
    members = [model.sha256 for model in results["ensemble-k2-seed1"].models]
    for loss in ("epl", "rpl"):
        student = results[f"{loss}-k2-seed1"]
        assert student.models[0].loss == loss
        assert [teacher.sha256 for teacher in student.teachers] == members
        assert student.data.label_noise == 0.2
    teacher, student = (results[name].models[0].recipe for name in ("teacher-seed1-1", "epl-k2-seed1"))
    assert (teacher["part"], student["part"]) == ("labelled", "unlabelled")
    for said in ("test-time ensemble, k = 2", "EPL, k = 2", "RPL, k = 2", "Quick run"):
        assert said in made.stdout
    again = run("bash", "scripts/vision/noisy_teachers.sh", "--quick", "--output", tmp_path / "study")
    assert "0 steps to do" in again.stdout


def test_stronger_teachers_end_in_the_report(run: Command, tmp_path: Path) -> None:
    made = run("bash", "scripts/vision/stronger_teachers.sh", "--quick", "--output", tmp_path / "study")
    assert made.returncode == 0, made.stdout[-1000:] + made.stderr[-2000:]
    results = read_results(tmp_path / "study")
    students = [result for result in results if result.teacher]
    assert {(r.models[0].loss, r.teacher.arch) for r in students if r.teacher} == {
        (loss, arch) for loss in ("kd", "dist") for arch in ("slim-resnet", "half-resnet")
    }
    assert "DIST" in (tmp_path / "study" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sed", "1"], "unknown option --sed; see --help"),
        (["--seeds", "one"], '--seeds one: one is not right; e.g. --seeds "1 2 3"'),
        (["--workers", "0"], "--workers 0: want a whole number above 0"),
        (["--output"], "--output needs a value; see --help"),
    ],
)
def test_mistakes_are_named_before_anything_runs(run: Command, options: list[str], message: str) -> None:
    made = run("bash", "scripts/vision/noisy_teachers.sh", *options)
    assert (made.returncode, made.stderr.strip()) == (2, f"error: {message}")
