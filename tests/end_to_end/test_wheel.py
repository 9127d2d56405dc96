"""The built wheel, unpacked elsewhere: YAML files are in it, and both halves work outside the checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent
Command = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def site(run: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: building in the checkout would leave build/ behind
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("nmt_plugin", "shared", "vision"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "-q", "install", "--no-deps", "--no-build-isolation", "--no-index")
    installed = run(*pip, "--target", folder / "site", source)
    assert installed.returncode == 0, installed.stderr
    return folder / "site"


def outside(site: Path, *command: object) -> "CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=site.parent, env=environment, capture_output=True, text=True, check=False)


def test_packages_and_their_files_come_from_the_wheel(site: Path) -> None:
    program = "import nmt_plugin, shared, vision; print(nmt_plugin.__file__, shared.__file__, vision.__file__)"
    found = outside(site, sys.executable, "-c", program)
    assert found.returncode == 0, found.stderr
    assert all(Path(path).is_relative_to(site) for path in found.stdout.split())
    in_checkout = {
        p.relative_to(ROOT) for package in ("nmt_plugin", "vision") for p in (ROOT / package).rglob("*.yaml")
    }
    assert in_checkout
    assert all((site / name).is_file() for name in in_checkout)


def test_vision_trains_from_the_wheel(site: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "vision.train", "data=digits", "model=tiny_resnet", "recipe=tiny")
    trained = outside(site, *command, "recipe.epochs=1", "recipe.warmup_epochs=0", f"output={tmp_path / 'digits'}")
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "digits" / "result.json").is_file()
    reported = outside(site, sys.executable, "-m", "shared.report", tmp_path / "digits")
    assert reported.returncode == 0, reported.stderr


def test_fairseq_learns_the_criteria_from_the_wheel(site: Path) -> None:
    program = "from fairseq_cli.train import cli_main; cli_main()"
    shown = outside(site, sys.executable, "-c", program, "--user-dir", site / "nmt_plugin", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "word_kd" in shown.stdout
    assert "smoothed_cross_entropy" in shown.stdout
