"""scripts/nmt/*.sh on a tiny corpus, a few updates each: all cells, the report, interruption, failure, refusals."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from shared.results import Result, read_results

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
ROOT = Path(__file__).parent.parent.parent
QUICK = ("--pair", "en-de", "--updates", "4", "--beam", "1", "--max-len", "10")


@pytest.fixture(scope="module")
def text(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus under a name that says its pair; without `.en-de`, as --corpus takes a family of corpora."""
    folder = tmp_path_factory.mktemp("corpora") / "tiny.en-de"
    shutil.copytree(corpus, folder)
    return folder.with_suffix("")


def preset(name: str, text: Path, output: Path, *options: str) -> list[str]:
    return ["bash", f"scripts/nmt/{name}.sh", "--corpus", str(text), "--output", str(output), *QUICK, *options]


def student_settings(results: list[Result]) -> set[tuple[float | None, float | None, float | None]]:
    """Teacher's alpha, T and weight of every student; each student's own smoothing is the same."""
    students = [r for r in results if r.models[0].role == "student"]
    assert {r.models[0].alpha for r in students} == {0.1}
    return {(r.teacher.alpha, r.models[0].temperature, r.models[0].kd_weight) for r in students if r.teacher}


def test_paper_is_interrupted_then_makes_the_whole_table(
    run: Command, interrupt: Command, text: Path, tmp_path: Path
) -> None:
    output = tmp_path / "table"
    command = preset("paper", text, output, "--temperatures", "64")
    stopped = interrupt(command, output, "teacher", timeout=600)
    assert stopped.returncode == 130, stopped.stdout
    assert "goes on from there" in stopped.stdout
    trained = {path: path.stat().st_mtime_ns for path in output.rglob("checkpoint_last.pt")}
    finished = [path for path in trained if path.with_name("trained").exists()]
    assert finished

    made = run(*command)
    assert made.returncode == 0, made.stderr[-2000:]
    assert all(path.stat().st_mtime_ns == trained[path] for path in finished)
    assert re.search(r"\d+ of \d+ steps done, about \d+ min left", made.stdout)
    results = read_results(output)
    assert sorted(r.models[0].alpha or 0.0 for r in results if r.models[0].role == "teacher") == [0.0, 0.1]
    assert student_settings(results) == {(0.0, 64.0, 0.9), (0.1, 64.0, 0.9)}
    report = (output / "report.md").read_text(encoding="utf-8")
    assert "tiny (here), and the paper's IWSLT14, a different corpus" in report.replace("\\", "")
    row = next(line for line in report.splitlines() if line.startswith("| T = 64 |"))
    assert [cell.strip() for cell in row.split("|")][4:6] == ["6.564", "6.461"]
    assert "Miniature: small models, on CPU cores. Every model was trained for 4 updates only" in report

    again = run(*command)
    assert again.returncode == 0, again.stderr
    assert "0 steps to do" in again.stdout

    other = run(*command, "--kd-weight", "1")
    assert other.returncode == 2
    assert "holds results of other settings" in other.stderr


def test_what_fails_is_listed_and_the_rest_is_done(run: Command, text: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.en-de"
    shutil.copytree(text.with_suffix(".en-de"), broken)
    (broken / "data-bin" / "train.en-de.de.idx").unlink()
    failed = run(*preset("paper", broken, tmp_path / "table", "--alphas", "0.1", "--temperatures", "1"))
    assert failed.returncode == 2
    assert "error: en-de seed 1 teacher-a0.1 failed; the end of" in failed.stderr
    assert "skipped: en-de seed 1 student-a0.1-T1 (what it needs has failed)" in failed.stderr


def test_tan_distils_the_renormalized_top_four(run: Command, text: Path, tmp_path: Path) -> None:
    made = run(*preset("tan", text, tmp_path / "tan", "--alphas", "0.1", "--temperatures", "1"))
    assert made.returncode == 0, made.stderr[-2000:]
    results = read_results(tmp_path / "tan")
    assert student_settings(results) == {(0.1, 1.0, 0.9)}
    (student,) = [r.models[0] for r in results if r.models[0].role == "student"]
    assert (student.recipe["criterion.topk"], student.recipe["criterion.topk_policy"]) == (4, "renormalize")


def test_sequence_kd_trains_on_translations_alone_and_with_word_level(run: Command, text: Path, tmp_path: Path) -> None:
    made = run(*preset("sequence_kd", text, tmp_path / "seq", "--alphas", "0.1"))
    assert made.returncode == 0, made.stderr[-2000:]
    assert student_settings(read_results(tmp_path / "seq")) == {(0.1, None, 0.0), (0.1, 1.0, 0.9)}
    card = json.loads((tmp_path / "seq" / "corpora" / "en-de.seed1.a0.1" / "card.json").read_text(encoding="utf-8"))
    assert card["request"]["beam"] == 1
    logs = [
        path.read_text(encoding="utf-8")
        for path in (tmp_path / "seq" / "log").glob("*sequence*")
        if "scores" not in path.name
    ]
    assert len(logs) == 2
    assert all("seq/corpora/en-de.seed1.a0.1/data-bin" in log for log in logs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fast"], "error: unknown option --fast; see --help"),
        (["--alphas"], "error: --alphas needs a value; see --help"),
        (["--alphas", "0 1.5"], r"error: --alphas 0 1.5: 1.5 is not right; e.g. --alphas \"0 0.1\""),
        (["--temperatures", "1 0"], "error: --temperatures 1 0: 0 is not right"),
        (["--scale", "huge"], "error: --scale huge: choose mini or full"),
        (["--pair", "en-fr"], "error: --pair en-fr: choose en-de, en-ru or both"),
        (["--corpus", "nowhere"], "error: --corpus: .*/nowhere.en-de is no corpus; build it"),
        (["--output", "a,b"], "error: --output .*a,b: choose a path of letters"),
    ],
)
def test_wrong_options_are_refused(run: Command, options: list[str], message: str) -> None:
    refused = run("bash", "scripts/nmt/paper.sh", *options)
    assert refused.returncode == 2
    assert re.match(message, refused.stderr)


def test_a_corpus_of_another_pair_is_refused(run: Command, text: Path) -> None:
    refused = run("bash", "scripts/nmt/paper.sh", "--pair", "en-ru", "--corpus", text.with_suffix(".en-de"))
    assert refused.returncode == 2
    assert "is not of the pair en-ru" in refused.stderr


@pytest.mark.parametrize("name", ["paper", "tan", "sequence_kd"])
def test_help_works_from_anywhere(run: Command, tmp_path: Path, name: str) -> None:
    shown = run("bash", ROOT / "scripts" / "nmt" / f"{name}.sh", "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"default: runs/{name}-SCALE" in shown.stdout


def test_the_full_recipe_is_that_of_the_published_one() -> None:
    """REFERENCE.md, section 2: nothing here trains at full scale."""
    script = 'source scripts/lib/nmt.sh; printf "%s\\n" "${FULL_MODEL[@]}" "${FULL_RECIPE[@]}"'
    told = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = told.splitlines()
    assert dict(zip(words[::2], words[1::2], strict=True)) == {
        "--arch": "transformer_iwslt_de_en",
        "--dropout": "0.3",
        "--optimizer": "adam",
        "--adam-betas": "(0.9, 0.98)",
        "--lr": "5e-4",
        "--lr-scheduler": "inverse_sqrt",
        "--warmup-updates": "4000",
        "--warmup-init-lr": "1e-7",
        "--max-tokens": "4096",
        "--required-batch-size-multiple": "1",
    }
