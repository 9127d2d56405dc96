"""scripts/demo.sh --quick: interrupted, taken up again to the end, then called when everything is done."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from shared.results import read_results

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]
ROOT = Path(__file__).parent.parent.parent


def processes_naming(path: Path) -> list[str]:
    """Command lines of running processes that mention `path`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended while we looked
            continue
        if str(path) in command:
            found.append(command)
    return found


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder that the tests below fill one after the other."""
    return tmp_path_factory.mktemp("demo") / "results"


def test_interrupted_demo_stops_what_it_started_and_keeps_what_is_finished(interrupt: Command, output: Path) -> None:
    command = ["bash", "scripts/demo.sh", "--quick", "--output", str(output)]
    stopped = interrupt(command, output, "vision/teacher-a0", timeout=600)
    assert stopped.returncode == 130, stopped.stdout
    assert "goes on from there" in stopped.stdout
    assert (output / "vision" / "teacher-a0" / "result.json").is_file()
    assert processes_naming(output) == []
    assert not list(output.rglob("*.part"))


def test_quick_demo_goes_on_and_ends_with_the_report(run: Command, output: Path, tmp_path: Path) -> None:
    finished = (output / "vision" / "teacher-a0" / "result.json").stat().st_mtime_ns
    first = run("bash", "scripts/demo.sh", "--quick", "--output", output, timeout=1800)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert (output / "vision" / "teacher-a0" / "result.json").stat().st_mtime_ns == finished
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


def test_results_of_other_settings_are_not_taken_for_these(run: Command, output: Path) -> None:
    refused = run("bash", "scripts/demo.sh", "--output", output)
    assert refused.returncode == 2
    assert "holds results of other settings" in refused.stderr.splitlines()[-1]


def test_a_folder_of_something_else_is_left_alone(run: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    refused = run("bash", "scripts/demo.sh", "--fresh", "--output", tmp_path)
    assert refused.returncode == 2
    assert "is not a demo's" in refused.stderr.splitlines()[-1]
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fast"], "error: unknown option --fast; choose"),
        (["--output"], "error: --output needs a folder"),
        (["--output", "--quick"], "error: --output needs a folder"),
        (["--output", "a,b"], "error: --output .*a,b: choose a path of letters"),
    ],
)
def test_wrong_options_are_refused(run: Command, arguments: list[str], message: str) -> None:
    refused = run("bash", "scripts/demo.sh", *arguments)
    assert refused.returncode == 2
    assert re.match(message, refused.stderr)


def test_help_works_from_anywhere(run: Command, tmp_path: Path) -> None:
    shown = run("bash", ROOT / "scripts" / "demo.sh", "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "--output DIR" in shown.stdout


def test_setup_is_done_at_once_the_second_time(run: Command) -> None:
    done = run("bash", "scripts/setup.sh", timeout=60)
    assert done.returncode == 0, done.stderr
    assert "ready" in done.stderr


def test_setup_says_what_to_do_where_apt_is_absent(tmp_path: Path) -> None:
    """The environment is there, the data are not, and neither apt-get nor dpkg can be found."""
    lock = ["scripts/lock/environment.txt", "scripts/lock/dali-cuda120.txt"]
    for name in ("pyproject.toml", "scripts/setup.sh", *lock):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    key = f"{{ pwd; echo cuda120; cat pyproject.toml {' '.join(lock)} scripts/setup.sh; }} | sha256sum | cut -d' ' -f1"
    (tmp_path / ".venv").mkdir()
    with (tmp_path / ".venv" / ".lskd-environment").open("w") as stamp:
        subprocess.run(["bash", "-c", key], cwd=tmp_path, stdout=stamp, check=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "cat", "cut", "dirname", "flock", "mkdir", "rm", "sha256sum"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    environment = {**os.environ, "PATH": str(tools)}
    done = subprocess.run(
        ["bash", "scripts/setup.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: apt-get and dpkg are not here: on a Debian machine unpack")
    assert "libreoffice-help-en-us" in done.stderr
    assert not (tmp_path / "data" / "libreoffice-help").exists()
