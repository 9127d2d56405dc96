"""Two processes do not write one folder: the second is refused, by every command that writes one.

Where a command is not here, its own tests have it: vision.train in tests/vision/test_train.py, corpora, caches, shards
and jobs in tests/nmt_plugin/, studies in tests/end_to_end/test_study.py.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from nmt_plugin import advise, clusters, diffusion, evaluate, project
from shared.locks import alone_in, lock_folder
from shared.report.__main__ import main as report
from tests.faults.inputs import Inputs, translation_command
from vision.cli import run
from vision.settings import AdviseSettings, ClustersSettings, DiffusionSettings, EvaluateSettings, ProjectSettings

CHECKPOINT = "x/checkpoint_last.pt"
NMT = {
    "evaluate": (evaluate.main, ["--model", CHECKPOINT, "--corpus", "x"]),
    "diffusion": (diffusion.main, ["--low", CHECKPOINT, "--high", CHECKPOINT, "--corpus", "x"]),
    "clusters": (clusters.main, ["--model", CHECKPOINT, "--corpus", "x"]),
    "project": (project.main, ["--students", CHECKPOINT, "--corpus", "x", "--tokens", "a", "b", "c"]),
    "advise": (advise.main, ["--model", CHECKPOINT, "--corpus", "x"]),
}
VISION = {
    "evaluate": (EvaluateSettings, ["checkpoint=x.safetensors"]),
    "diffusion": (DiffusionSettings, ["low=x.safetensors", "high=y.safetensors"]),
    "clusters": (ClustersSettings, ["checkpoint=x.safetensors"]),
    "project": (ProjectSettings, ["students=[x.safetensors]"]),
    "advise": (AdviseSettings, ["checkpoint=x.safetensors"]),
}


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A folder that another holds."""
    handle = lock_folder(tmp_path / "taken", "writing")
    yield tmp_path / "taken"
    os.close(handle)


def refused(capsys: pytest.CaptureFixture[str], command: Callable[[], object]) -> str:
    with pytest.raises(SystemExit) as stopped:
        command()
    assert stopped.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("name", NMT)
def test_translation_commands_are_refused(taken: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    main, words = NMT[name]
    line = refused(capsys, lambda: main([*words, "--output", str(taken)]))
    assert line == f"error: another process is writing {taken}; wait for it to end"


@pytest.mark.parametrize("name", VISION)
def test_vision_commands_are_refused(
    taken: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings, words = VISION[name]
    done: list[object] = []
    monkeypatch.setattr(sys, "argv", [name, *words, f"output={taken}"])
    line = refused(capsys, lambda: run(name, settings, done.append))
    assert line == f"error: another process is writing {taken}; wait for it to end"
    assert not done


def test_a_report_is_refused(taken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a study elsewhere; a report of the folder itself is refused by the same lines."""
    study = Path(__file__).parents[2] / "results" / "nmt-libreoffice"
    line = refused(capsys, lambda: report([str(study), "--output", str(taken)]))
    assert line == f"error: another process is writing {taken}; wait for it to end"
    assert list(taken.iterdir()) == []


def test_a_folder_that_was_made_in_vain_goes_again(tmp_path: Path) -> None:
    with alone_in(tmp_path / "new" / "folder"):
        pass
    assert not (tmp_path / "new" / "folder").exists()
    with alone_in(tmp_path / "new"):
        (tmp_path / "new" / "result.json").touch()
    assert (tmp_path / "new" / "result.json").exists()
    with alone_in(None):
        pass


def test_who_has_a_folder_clears_it_of_what_a_killed_process_left(tmp_path: Path) -> None:
    for name in (".last.ckpt.123.part", "mine.part", ".hidden", "last.ckpt"):
        (tmp_path / name).touch()
    os.close(lock_folder(tmp_path, "writing"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "last.ckpt", "mine.part"]


@pytest.mark.e2e
def test_fairseq_train_is_refused(
    taken: Path, inputs: Inputs, fork: Callable[[list[str]], "CompletedProcess[str]"]
) -> None:
    done = fork(translation_command(inputs, taken, "2"))
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == f"error: another process is training in {taken}; wait for it to end"
    assert list(taken.iterdir()) == []
