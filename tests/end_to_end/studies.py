"""What the tests of scripts/study.sh share: a study killed in the middle, its records held against a whole one's."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.results import Result, read_results
from tests.end_to_end.conftest import ROOT


def by_name(folder: Path) -> dict[str, Result]:
    return {result.name: result for result in read_results(folder)}


def measured(result: Result) -> Any:
    """What a record measured; its provenance says when and how long, and so do fairseq's checkpoints."""
    files = [model.sha256 for model in result.models if result.task == "image-classification"]
    return result.metrics, result.eta, result.panels, files


def kill_in_the_middle(command: list[str], folder: Path, begun: Callable[[], bool]) -> None:
    """SIGKILL of the study in `folder`, once it has `begun` what it is to be killed in."""
    study = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: begun() or study.poll() is not None)
        assert study.poll() is None, "it has ended"
    finally:
        study.kill()
        study.wait()
    wait_for(lambda: not working_in(folder), seconds=30)  # what it had started ends with it, not after its work


def assert_same_records(folder: Path, whole: Path, part: str = "") -> None:
    """Of `whole`, those with `part` in their names; but for the projection, which is of all that a study has."""
    mine, theirs = by_name(folder), by_name(whole)
    names = {name for name, result in theirs.items() if part in name and result.kind != "projection"}
    assert names
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


def wait_for(condition: Callable[[], bool], seconds: float = 1800) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
