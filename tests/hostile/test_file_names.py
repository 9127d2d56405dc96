"""Names of files, folders and classes: they stay what they are, run nothing, and lead nowhere else; or are refused."""

import json
import operator
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt_plugin.compare import main as compare
from nmt_plugin.records import TrainedModel
from nmt_plugin.scores.averaging import average_checkpoints
from nmt_plugin.teachers.live import LiveTeacher
from nmt_plugin.teachers.store import Store
from shared.files import atomic_path, write_text
from shared.predictions import Predictions, read_predictions, write_predictions
from shared.results import RunClock, read_results_by_path, write_result
from tests.hostile.names import NAMES, NO_TEXT
from tests.hostile.outcomes import exit_status
from tests.hostile.pickle_places import card
from tests.hostile.pictures import flat, save
from tests.hostile.test_arrays import cache
from tests.nmt_plugin import conftest as tiny
from tests.shared import conftest as records
from vision import cli
from vision.checkpoint import load_export, save_export
from vision.data import load_data
from vision.data.file_reader import FileReader
from vision.data.readable import check_readable
from vision.data.views import Views
from vision.networks.open import open_network
from vision.networks.settings import NetworkSettings
from vision.settings import DataSettings, TrainSettings
from vision.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("bounded")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(params=NAMES.values(), ids=list(NAMES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, for names that begin with a minus."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nothing_else(folder: Path, *names: str) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def images(root: Path, name: str) -> DataSettings:
    """A data set whose folder, class and image have the name; a class called `other` too."""
    for part in ("train", "val"):
        for kind in (name, "other"):
            (root / part / kind).mkdir(parents=True)
            for number in range(3):
                (root / part / kind / f"{number} {name[:60]}.png").write_bytes(save(flat(), "PNG"))
    return DataSettings("folder", [0.5] * 3, [0.5] * 3, 2, data_dir=str(root), image_size=16)


def test_a_folder_of_images(name: str, here: Path) -> None:
    data = load_data(images(here / name, name), None)
    assert sorted(data.class_names) == sorted([name, "other"])
    split: Any = data.splits["test"]
    check_readable(split.paths, here)
    read = [FileReader(split, Views(16), None).read(row, 0)[0] for row in range(len(split))]
    assert [file.path for file in read] == split.paths
    assert {Path(file.path).parent.name for file in read} == {name, "other"}
    nothing_else(here, name)


@pytest.mark.parametrize("kind", NO_TEXT)
@pytest.mark.parametrize("what", ["class", "image"])
def test_names_of_classes_and_images_that_are_no_text_are_refused(
    what: str, kind: str, here: Path, refused: Callable[..., str]
) -> None:
    settings = images(here / "set", "ant")
    for part in ("train", "val"):
        old = here / "set" / part / "ant"
        old = old if what == "class" else old / "0 ant.png"
        os.rename(os.fsencode(old), os.fsencode(old.parent) + b"/" + NO_TEXT[kind] + os.fsencode(old.suffix))
    assert "rename it" in refused(load_data, settings, None)


@pytest.mark.parametrize("kind", NO_TEXT)
def test_a_command_line_that_is_no_text_is_refused_before_the_work(kind: str, refused: Callable[..., str]) -> None:
    """Lines may end in it; bytes that are no UTF-8 could be in no record."""
    word = os.fsdecode(NO_TEXT[kind])
    if kind in ("Latin-1", "half an emoji"):
        assert "not UTF-8" in refused(RunClock, ["python", "-m", "vision.train", f"output={word}"])
    else:
        assert RunClock(["x", word]).provenance("cpu").command == ["x", word]


def test_an_export(name: str, here: Path) -> None:
    path = here / name / f"{name[:60]}.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"")
    of = card(path)
    made = of.build()
    saved = save_export(path, made, of)
    model, found = load_export(path)
    assert found == saved
    assert all(torch.equal(one, other) for one, other in zip(made.parameters(), model.parameters(), strict=True))
    nothing_else(here, name)
    nothing_else(path.parent, path.name, path.with_suffix(".json").name)


def test_a_teachers_file(name: str, here: Path, refused: Callable[..., str]) -> None:
    """As itself; and where there is none, it is named in one line."""
    path = here / f"{name}.pt"
    assert "no such file" in refused(open_network, str(path))
    path.write_bytes(b"")
    of = card(path)
    with path.open("wb") as file:  # by its name, torch refuses some
        torch.save(of.build().state_dict(), file)
    network = open_network(path.name, NetworkSettings(arch=of.arch, kwargs=of.kwargs))
    assert network.spec == path.name


def test_a_runs_folder(name: str, here: Path, composed: Callable[..., Any]) -> None:
    settings = composed(output=name)
    run = RunFolder(name)
    with run.alone():
        run.claim(settings, {})
    torch.save({"callbacks": {}, "state_dict": {}, "loops": {}, "optimizer_states": [], "epoch": 1, "global_step": 1},
               run.resume_from)  # fmt: skip
    run.check(settings, {})
    nothing_else(here, name)


@pytest.fixture
def composed() -> Callable[..., Any]:
    import dataclasses

    from tests.hostile.pickle_places import _settings

    return lambda **changes: dataclasses.replace(_settings(), **changes)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """`trained(word, ...)`: the settings that `python -m vision.train word ...` trains with; else its one line."""

    def call(*words: str) -> Any:
        got: list[TrainSettings] = []
        monkeypatch.setattr("sys.argv", ["train.py", *words])
        capsys.readouterr()
        status, lines = exit_status(cli.run, "train", TrainSettings, got.append), capsys.readouterr().err.splitlines()
        assert (status, [line[:7] for line in lines]) in ((0, []), (2, ["error: "]))
        return got[0] if got else lines[0]

    return call


KEYS = ("data.data_dir", "output", "name", "model.weights", "wandb")


def in_quotes(name: str) -> str:
    """As Hydra's manual has it: a backslash says something before a quote only."""
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + "\\'" * bool(found[2]), name) + "'"


@pytest.mark.parametrize("start", range(0, len(NAMES), len(KEYS)))
def test_in_hydras_quotes_on_the_command_line(start: int, here: Path, trained: Callable[..., Any]) -> None:
    """A name is itself; but for `${`, which is Hydra's and says nothing here."""
    names = [name for name in NAMES.values() if "${" not in name][start : start + len(KEYS)]
    words = [f"{key}={in_quotes(name)}" for key, name in zip(KEYS, names, strict=False)]
    found = trained("data=fashion_mnist", "output=x", *words)
    assert [operator.attrgetter(key)(found) for key, _ in zip(KEYS, names, strict=False)] == names
    nothing_else(here)


@pytest.mark.parametrize(
    "kind", ["blanks", "a shell's signs", "variables", "backslashes", "a number", "a word of YAML"]
)
def test_without_quotes_on_the_command_line(kind: str, here: Path, trained: Callable[..., Any]) -> None:
    """It is itself, or refused, or what Hydra says such a word is; nothing runs."""
    found = trained("data=fashion_mnist", "output=x", f"data.data_dir={NAMES[kind]}")
    taken = {"blanks": NAMES["blanks"].strip(), "a number": "1000.0", "a word of YAML": None}
    assert isinstance(found, str) or found.data.data_dir == taken.get(kind, NAMES[kind])
    nothing_else(here)


def test_files_that_are_whole_or_absent(name: str, here: Path) -> None:
    write_text(here / name / name, "text")
    with atomic_path(here / name / name) as beside:
        beside.write_text("newer")
    assert (here / name / name).read_text() == "newer"
    nothing_else(here, name)
    nothing_else(here / name, name)


def test_records_and_predictions(name: str, here: Path) -> None:
    record = records.demo_records()[1]
    write_result(here / name, record)
    assert list(read_results_by_path(name if not name.startswith("-") else f"./{name}")) == [Path(name) / "result.json"]
    ones = np.ones(2, np.int64)
    made = Predictions(np.array([name, "b"]), ones, ones, ones > 0, ones * 0.5, ones * 0.5)
    write_predictions(here / name / "predictions.npz", made)
    assert read_predictions(here / name / "predictions.npz").ids.tolist() == [name, "b"]


def test_a_translation_teacher_and_its_cache(name: str, here: Path, refused: Callable[..., str]) -> None:
    folder = here / name
    folder.mkdir()
    for language in ("en", "de"):
        tiny.dictionary().save(str(folder / f"dict.{language}.txt"))
    criterion = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
    path = tiny.save_checkpoint(folder / "x.pt", tiny.model(tiny.task()), criterion, folder)
    if "${" in name:  # omegaconf's own; where the checkpoint says that its data were
        assert "which fairseq could run" in refused(TrainedModel, path)
    elif ":" in name:  # fairseq's own, between several
        assert "no such checkpoint" in refused(LiveTeacher, str(path), tiny.task())
    else:
        assert LiveTeacher(str(path), tiny.task()).models
        average_checkpoints([path], folder / "mean.pt")
    assert Store(cache(folder)).records(np.array([0])).size == 2
    nothing_else(here, name)


def test_systems_that_are_compared(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for which in ("a", "b", "r"):
        (here / f"{name}{which}").write_text(f"one two three four {which}\nsix seven eight nine ten\n")
    files = [f"./{name}{which}" for which in "abr"]
    words = ["--baseline", files[0], "--systems", files[1], "--references", files[2], "--samples", "10"]
    compare([*words, "--output", f"./{name}.json"])
    found = json.loads((here / f"{name}.json").read_text(encoding="utf-8"))
    assert [system["file"] for system in found["systems"]] == [f"{name}{which}" for which in "ab"]
    nothing_else(here, *(f"{name}{which}" for which in "abr"), f"{name}.json")


SCRIPTS = {
    "scripts/demo.sh": ["--output", "NAME"],
    "scripts/study.sh": ["vision", "--output", "NAME"],
    "scripts/nmt/paper.sh": ["--output", "NAME"],
    "scripts/nmt/tan.sh": ["--output", "NAME"],
    "scripts/nmt/sequence_kd.sh": ["--corpus", "NAME"],
    "scripts/vision/noisy_teachers.sh": ["--output", "NAME"],
    "scripts/vision/stronger_teachers.sh": ["--output", "NAME"],
    "scripts/vision/cub.sh": [".", "NAME"],
    "scripts/vision/imagenet.sh": ["NAME", "out"],
}
TAKEN = ("a minus in front", "a number", "a word of YAML")  # `-rf` becomes a path below the working folder
UNKNOWN = [os.fsencode(name) for kind, name in NAMES.items() if kind not in TAKEN][::2] + list(NO_TEXT.values())[::2]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_refuse_what_they_do_not_support(script: str, tmp_path: Path) -> None:
    """In one line, before anything is set up."""
    for name in UNKNOWN:
        words = [name if word == "NAME" else word.encode() for word in SCRIPTS[script]]
        run = subprocess.run(
            ["bash", ROOT / script, *words], cwd=tmp_path, capture_output=True, check=False, timeout=20
        )
        lines = run.stderr.splitlines()
        assert run.returncode == 2, name
        assert len(lines) == 1, lines
        assert lines[0].startswith(b"error: ")
        assert run.stdout == b""
    assert list(tmp_path.iterdir()) == []
