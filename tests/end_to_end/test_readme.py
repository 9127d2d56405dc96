"""Every command of README.md is run, so that none can rot: as printed, but on a tiny corpus and with few updates."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from shared.results import read_results

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")

# Commands that are not run here, and where they are.
ELSEWHERE = {
    "bash scripts/demo.sh": "test_demo.py runs it with --quick",
    "bash scripts/test.sh": "it is what runs this test",
    "bash scripts/study.sh vision": "test_study.py runs it with --quick",
    "source .venv/bin/activate": "the tests run in that environment already",
}
SHORTER = {
    "fairseq-train": [
        *("--max-update", "3", "--warmup-updates", "1", "--max-tokens", "500", "--cpu"),
        *("--encoder-layers", "1", "--decoder-layers", "1", "--encoder-embed-dim", "32", "--decoder-embed-dim", "32"),
    ],
    "python -m vision.train": ["recipe=quick", "recipe.epochs=1", "recipe.train_size=1000"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


def shortened(command: str) -> list[str]:
    words = shlex.split(command)
    for start, more in SHORTER.items():
        if command.startswith(start):
            return words + more
    return words


def test_readme_has_the_commands_this_test_knows() -> None:
    assert ELSEWHERE.keys() <= set(commands())
    for start in SHORTER:
        assert any(command.startswith(start) for command in commands())


def test_commands_run_in_the_order_printed(run: Command, corpus: Path, tmp_path: Path) -> None:
    for command in commands():
        if command in ELSEWHERE:
            continue
        here = command.replace("data/nmt/libreoffice.en-de", str(corpus)).replace("runs/my", str(tmp_path / "my"))
        here = here.replace("data/nmt/libreoffice.en-ru", str(tmp_path / "libreoffice.en-ru"))
        done = run(*shortened(here))
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    kinds = [result.kind for result in read_results(tmp_path / "my")]
    assert sorted(kinds) == ["diffusion", *["model"] * 6, "projection"]
    assert (tmp_path / "my" / "report.html").is_file()
    assert (tmp_path / "libreoffice.en-ru" / "data-bin" / "dict.ru.txt").is_file()


def test_readme_shows_what_the_demo_prints() -> None:
    shown = README.partition("where the report is:")[2].split("```")[1]
    for line in ("teacher ", "student, T = 1", "student, T = 3", "report: runs/demo/report.html"):
        assert line in shown


def test_python_examples_run(run: Command) -> None:
    (example,) = blocks("python")
    done = run("python", "-c", example)
    assert done.returncode == 0, done.stderr


def test_links_of_every_readme_lead_somewhere() -> None:
    root = Path(__file__).parent.parent.parent
    for page in (root / "README.md", *root.glob("*/README.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page}: {target}"
