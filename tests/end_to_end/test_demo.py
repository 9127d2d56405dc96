"""scripts/demo.sh --quick: the whole main job, then a second call that finds everything done."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from shared.results import read_results

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]


def test_quick_demo_ends_with_the_report_and_is_not_run_again(run: Command, tmp_path: Path) -> None:
    output = tmp_path / "demo"
    first = run("bash", "scripts/demo.sh", "--quick", "--output", output, timeout=1500)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert "BLEU" in first.stdout
    assert "report.html" in first.stdout.strip().splitlines()[-1]
    results = read_results(output)
    tasks = [(result.task, result.kind) for result in results]
    assert tasks.count(("translation", "model")) == 3
    assert tasks.count(("image-classification", "model")) == 6
    assert tasks.count(("image-classification", "diffusion")) == 2
    assert tasks.count(("image-classification", "projection")) == 1
    report = (output / "report.md").read_text(encoding="utf-8")
    assert "Quick run" in report

    again = run("bash", "scripts/demo.sh", "--quick", "--output", output)
    assert again.returncode == 0, again.stderr
    assert "0 steps to do" in again.stdout
    assert (output / "report.md").read_text(encoding="utf-8") == report

    rebuilt = run("python", "-m", "shared.report", output, "--output", tmp_path / "rebuilt")
    assert rebuilt.returncode == 0, rebuilt.stderr
    pages = [folder / "report.html" for folder in (output, tmp_path / "rebuilt")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_an_unknown_option_is_refused(run: Command, tmp_path: Path) -> None:
    refused = run("bash", "scripts/demo.sh", "--fast")
    assert refused.returncode == 2
    assert re.match(r"error: unknown option --fast; choose", refused.stderr)


def test_setup_is_done_at_once_the_second_time(run: Command) -> None:
    done = run("bash", "scripts/setup.sh", timeout=5)
    assert done.returncode == 0, done.stderr
    assert "ready" in done.stderr
