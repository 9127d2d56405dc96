"""Whose a run's folder is: what goes on there, what is refused, and what `fresh` removes."""

import json
import os
import shutil

import pytest
from safetensors.torch import load_file, save_file

from shared.errors import UserError
from shared.files import sha256
from shared.locks import lock_folder
from vision.train import train
from vision.training.run_folder import RunFolder


def test_a_finished_run_is_not_repeated(study, compose, capsys):
    before = study.low.stat().st_mtime_ns
    train(compose("train", [*study.common, f"teacher={study.teacher}", "temperature=1", f"output={study.low.parent}"]))
    assert "already finished" in capsys.readouterr().out
    assert study.low.stat().st_mtime_ns == before


def test_a_folder_of_another_run_is_refused(study, compose):
    with pytest.raises(UserError, match=r"holds another run \(temperature: 1\.0 there, 2\.0 here\)"):
        train(
            compose("train", [*study.common, f"teacher={study.teacher}", "temperature=2", f"output={study.low.parent}"])
        )


def test_another_teacher_in_the_same_place_is_refused(study, compose, tmp_path):
    """The same card, other weights."""
    weights = load_file(study.teacher)
    weights["fc.bias"] = weights["fc.bias"] + 1
    save_file(weights, tmp_path / "t.safetensors")
    card = json.loads(study.teacher.with_suffix(".json").read_text())
    card["model"]["sha256"] = sha256(tmp_path / "t.safetensors")
    (tmp_path / "t.json").write_text(json.dumps(card))
    overrides = [*study.common, f"teacher={tmp_path}/t.safetensors", "temperature=1", f"output={study.low.parent}"]
    with pytest.raises(UserError, match=r"holds another run \(teacher_sha256"):
        train(compose("train", overrides))


def test_a_finished_run_knows_its_data(study, compose, make_fashion_mnist, tmp_path, capsys):
    finished = [*study.common, "alpha=0.1", f"output={study.teacher.parent}"]
    train(compose("train", [*finished, "~data.sets.coat", "data.projection=[bag,coat,shirt]"]))
    assert "already finished" in capsys.readouterr().out  # the sets of the other commands are no part of a training
    train(compose("train", [*finished, "+data.download=true"]))
    assert "already finished" in capsys.readouterr().out  # how the files came there is none either
    other = make_fashion_mnist(tmp_path / "other", test=50)
    with pytest.raises(UserError, match=r"holds another run \(data_sha256"):
        train(compose("train", [*finished, f"data.data_dir={other}"]))


def test_a_damaged_config_is_named(study, compose, tmp_path):
    (tmp_path / "last.ckpt").touch()
    (tmp_path / "config.yaml").write_text("data: {name: fashion_mn")
    with pytest.raises(UserError, match=r"config\.yaml is damaged"):
        train(compose("train", [*study.common, f"output={tmp_path}"]))


def test_fresh_removes_what_was_there(study, compose, tmp_path):
    settings = compose("train", [*study.common, f"output={tmp_path}", "fresh=true"])
    for name in ("result.json", "last.ckpt", "best.safetensors", "mine.txt"):
        (tmp_path / name).write_text("x")
    RunFolder(settings.output).claim(settings, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "mine.txt"]


@pytest.mark.parametrize("what", ["teacher", "model.weights"])
def test_fresh_removes_no_network_that_the_run_reads(study, compose, what):
    """Also by another way to the same file."""
    place = study.teacher.parent
    read = place.parent / "." / place.name / ".." / place.name / study.teacher.name
    asked = [*study.common, f"output={place}", "fresh=true", f"{what}={read}"]
    asked += ["temperature=1"] if what == "teacher" else []
    before = study.teacher.read_bytes()
    with pytest.raises(UserError, match=r"which this run reads and fresh=true would remove; name another folder"):
        train(compose("train", asked))
    assert study.teacher.read_bytes() == before


@pytest.mark.parametrize("name", ["config.yaml", "epoch=3.ckpt", "last.ckpt", "best.pt", "result.json", "logs"])
def test_fresh_removes_nothing_of_somebody_elses(study, compose, tmp_path, name):
    mine = tmp_path / name if name != "logs" else tmp_path / name / "mine.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("model: {name: mine}\ndata: mine\n")
    settings = compose("train", [*study.common, f"output={tmp_path}", "fresh=true"])
    with pytest.raises(UserError, match=f"holds {name} of no run of vision.train; name another folder"):
        train(settings)
    if name == "config.yaml":
        with pytest.raises(UserError, match=r"holds config\.yaml of no run"):  # without fresh it would be replaced
            train(compose("train", [*study.common, f"output={tmp_path}"]))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


@pytest.mark.parametrize("left", [["config.yaml"], ["config.yaml", "logs"], ["last.ckpt", "best.safetensors"]])
def test_fresh_knows_a_run_by_its_config_or_else_by_its_checkpoint(study, compose, tmp_path, left):
    for name in left:
        there = study.low.with_name(name)
        (tmp_path / name).write_bytes(there.read_bytes()) if there.is_file() else (tmp_path / name).mkdir()
    settings = compose("train", [*study.common, f"output={tmp_path}", "fresh=true"])
    RunFolder(settings.output).check(settings, {})
    if "config.yaml" in left:  # as a disk's fault leaves it
        (tmp_path / "config.yaml").write_bytes(study.low.with_name("config.yaml").read_bytes() + b"\xff: [")
        RunFolder(settings.output).check(settings, {})


def test_a_removal_that_is_killed_leaves_a_run(study, compose, tmp_path, monkeypatch):
    shutil.copytree(study.low.parent, tmp_path / "run")
    settings = compose("train", [*study.common, f"output={tmp_path}/run", "fresh=true"])
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        RunFolder(settings.output).claim(settings, {})
    RunFolder(settings.output).check(settings, {})


def test_two_processes_do_not_train_in_one_folder(study, compose, tmp_path):
    handle = lock_folder(tmp_path, "training in")
    with pytest.raises(UserError, match=r"another process is training in .*; wait for it to end"):
        train(compose("train", [*study.common, f"output={tmp_path}"]))
    os.close(handle)
    assert list(tmp_path.iterdir()) == []
