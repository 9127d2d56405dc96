"""Records survive a round trip, and what is no record is refused by the name of its field."""

import dataclasses
import json
import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared import provenance
from shared.errors import UserError
from shared.results import (
    Model,
    RunClock,
    finite,
    read_result,
    read_results,
    read_results_by_path,
    result_paths,
    write_result,
)


def test_every_kind_survives_a_round_trip(sample: ModuleType, tmp_path: Path) -> None:
    records = sample.demo_records()
    assert {record.kind for record in records} == {"model", "diffusion", "projection"}
    for index, record in enumerate(records):
        assert read_result(write_result(tmp_path / str(index), record)) == record


def several(sample: ModuleType, count: int = 3) -> list[Model]:
    return [sample.teacher(0.0, seed) for seed in range(1, count + 1)]


def test_an_ensemble_and_a_student_of_several_teachers_survive_a_round_trip(sample: ModuleType, tmp_path: Path) -> None:
    teachers = several(sample)
    noisy = dataclasses.replace(sample.FASHION, label_noise=0.2)
    student = dataclasses.replace(sample.student(teachers[0], 1.0), loss="epl")
    for record in (
        dataclasses.replace(sample.ensemble_record("e", teachers, 80.0, "vote"), data=noisy),
        dataclasses.replace(sample.model_record("s", student, {}, teachers[0]), teachers=teachers),
    ):
        assert read_result(write_result(tmp_path / record.name, record)) == record


def test_a_record_from_before_several_teachers_reads(sample: ModuleType, tmp_path: Path) -> None:
    """As this file was written before `loss`, `teachers`, `combination` and `label_noise`."""
    of = sample.teacher(0.1)
    record = sample.model_record("old", sample.student(of, 3.0), sample.image_metrics(90.0), of)
    file = write_result(tmp_path, record)
    raw = json.loads(file.read_text())
    for place, name in ((raw, "teachers"), (raw, "combination"), (raw["data"], "label_noise")):
        del place[name]
    for model in (raw["models"][0], raw["teacher"]):
        del model["loss"]
    file.write_text(json.dumps(raw))
    assert read_result(file) == record
    assert (record.models[0].loss, record.teachers, record.data.label_noise) == (None, [], None)


def test_several_are_several(sample: ModuleType) -> None:
    one, two, three = several(sample)
    ensemble = sample.ensemble_record("e", [one, two], 80.0, "logits")
    record = sample.model_record("s", sample.student(one, 1.0), {}, one)
    assert dataclasses.replace(record, teachers=[one, three]).teachers == [one, three]
    for changes, message in (
        ({"models": [one]}, "2 models or more, got 1"),
        ({"combination": None}, "how its members were combined"),
    ):
        with pytest.raises(UserError, match=message):
            dataclasses.replace(ensemble, **changes)
    for changes, message in (
        ({"combination": "vote"}, "how its members were combined"),
        ({"teachers": [one]}, "all of several"),
        ({"teachers": [two, one]}, "the first of them"),
    ):
        with pytest.raises(UserError, match=message):
            dataclasses.replace(record, **changes)


def test_file_is_readable_json_with_its_letters_kept(sample: ModuleType, tmp_path: Path) -> None:
    record = dataclasses.replace(sample.demo_records()[0], name="Käse")
    text = write_result(tmp_path, record).read_text(encoding="utf-8")
    assert "Käse" in text
    assert json.loads(text)["schema"] == 1


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metrics", "last/test/top1", "value"), "91", r"metrics\.last/test/top1\.value must be a number, not \"91\""),
        (("metrics", "last/test/top1", "count"), 1.5, r"count must be a whole number, not 1\.5"),
        (("models", 0, "seed"), True, r"models\[0\]\.seed must be a whole number, not true"),
        (("models", 0, "colour"), 1, r"models\[0\] has unknown fields: colour"),
        (("data",), [], r"data must be an object"),
        (("models",), [], r"kind model is about 1 models, got 0"),
        (("kind",), "plot", r"kind 'plot' is not one of model, ensemble, diffusion, clusters, projection"),
        (("task",), "speech", r"task 'speech' is not one of"),
        (("schema",), 2, r"schema 2 is not supported"),
        (("metrics", "last/test/top1", "value"), float("nan"), r"holds NaN"),
        (("provenance", "deterministic"), 1, r"deterministic must be true or false, not 1"),
        (("provenance", "command"), "python", r"command must be a list"),
    ],
)
def test_a_wrong_field_is_named(
    sample: ModuleType, tmp_path: Path, path: tuple[Any, ...], value: Any, message: str
) -> None:
    record = sample.model_record("one", sample.teacher(0.1), sample.image_metrics(90.0))
    file = write_result(tmp_path, record)
    raw = json.loads(file.read_text())
    place = raw
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    file.write_text(json.dumps(raw))
    with pytest.raises(UserError, match=message) as caught:
        read_result(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named(sample: ModuleType, tmp_path: Path) -> None:
    file = write_result(tmp_path, sample.demo_records()[0])
    raw = json.loads(file.read_text())
    del raw["provenance"]["device"]
    file.write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"result\.provenance lacks device"):
        read_result(file)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError, match="not a result"):
        read_result(tmp_path / "result.json")


def test_a_projection_point_has_two_coordinates(sample: ModuleType) -> None:
    panel = sample.projection_record().panels[0]
    with pytest.raises(UserError, match="has 3 coordinates"):
        dataclasses.replace(panel, centroids={"coat": [1.0, 2.0, 3.0]})


def test_nan_is_not_written(sample: ModuleType, tmp_path: Path) -> None:
    record = sample.model_record("one", sample.teacher(0.1), sample.image_metrics(float("nan")))
    with pytest.raises(ValueError, match="Out of range float"):
        write_result(tmp_path, record)
    assert list(tmp_path.iterdir()) == []


def test_results_are_ordered_by_name_and_keep_their_paths(sample: ModuleType, demo: Path) -> None:
    names = [record.name for record in read_results(demo)]
    assert names == sorted(record.name for record in sample.demo_records())
    assert all(read_result(path) == record for path, record in read_results_by_path(demo).items())


def test_linked_folders_are_read_and_each_record_once(sample: ModuleType, demo: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    for place in ("first", "second"):
        (study / place).symlink_to(demo)
    (demo / "circle").symlink_to(study)
    assert len(read_results(study)) == len(read_results(demo)) == len(sample.demo_records())
    assert {path.relative_to(study).parts[0] for path in read_results_by_path(study)} == {"first"}


def test_a_record_reached_through_links_too_stands_by_its_path_without_them(sample: ModuleType, tmp_path: Path) -> None:
    """A link to its folder and one to its file, which stand before it, and one to another study's file."""
    one, other = sample.demo_records()[:2]
    study = tmp_path / "study"
    record = write_result(study / "b" / "deep", one)
    far = write_result(tmp_path / "elsewhere", other)
    for place in ("a", "linked"):
        (study / place).mkdir()
    (study / "a" / "latest").symlink_to(record.parent)
    (study / "a" / "result.json").symlink_to(record)
    (study / "linked" / "result.json").symlink_to(far)
    found = read_results_by_path(study)
    assert found == {record: one, study / "linked" / "result.json": other}
    assert sorted(result_paths(study)) == sorted(found)
    assert result_paths(tmp_path / "absent") == []


def test_two_records_of_one_name_are_refused(sample: ModuleType, tmp_path: Path) -> None:
    record = sample.demo_records()[0]
    write_result(tmp_path / "a", record)
    write_result(tmp_path / "b", record)
    with pytest.raises(UserError, match="are both named"):
        read_results(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no result"):
        read_results(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        read_results(tmp_path / "absent")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_diverged_metric_is_refused(value: float) -> None:
    assert finite(0.5, "nll") == 0.5
    with pytest.raises(UserError, match=r"^last/test/nll is .*diverged"):
        finite(value, "last/test/nll")


def test_the_clock_tells_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.orig_argv", ["/somewhere/bin/python", "-m", "vision.train", "seed=1"])
    assert RunClock().provenance("cpu").command == ["python", "-m", "vision.train", "seed=1"]
    started = time.monotonic()
    made = RunClock(["python", "-m", "x"]).provenance("cpu", extra_seconds=100.0)
    assert made.command == ["python", "-m", "x"]
    assert 100.0 <= made.wall_seconds <= 100.001 + time.monotonic() - started
    assert made.peak_memory_bytes > 10 * 2**20
    assert made.versions["python"].startswith("3.")
    assert "torch" in made.versions


def test_commit_of_this_checkout_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy installed inside another project's checkout must not report that project's commit."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    made = ["git", *identity, "commit", "-q", "--allow-empty", "--no-verify", "-m", "x"]
    subprocess.run(made, cwd=tmp_path, check=True)
    inside = tmp_path / "site-packages" / "shared" / "provenance.py"
    inside.parent.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(inside))
    assert provenance.git_commit() is None
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "shared" / "provenance.py"))
    expected = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert provenance.git_commit() == expected.stdout.strip()


def test_commit_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.git_commit() is None
