"""`vision.train` with several teachers, mixed images and parts of the data: what reaches the training itself."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.errors import UserError
from shared.files import sha256
from shared.results import read_result
from vision.checkpoint import load_export
from vision.train import train
from vision.training import distillation
from vision.training.distillation import Distillation
from vision.training.frozen_teacher import FrozenTeacher


@pytest.fixture
def short(study):
    """One epoch of six updates."""
    return [*study.common, "recipe.epochs=1", "recipe.warmup_epochs=0"]


@pytest.fixture
def teachers(study, tmp_path):
    """The study's, and one whose last layer was turned a little."""
    weights = load_file(study.teacher)
    weights["fc.bias"] = weights["fc.bias"].roll(1)
    save_file(weights, tmp_path / "other.safetensors")
    card = json.loads(study.teacher.with_suffix(".json").read_text())
    card["model"] |= {"sha256": sha256(tmp_path / "other.safetensors"), "seed": 2}
    (tmp_path / "other.json").write_text(json.dumps(card))
    return [str(study.teacher), str(tmp_path / "other.safetensors")]


def test_the_recipes_mixing_reaches_student_and_teacher(short, study, compose, tmp_path, monkeypatch):
    """Every batch is mixed anew, and nobody sees it unmixed."""
    given, seen = [], {"student": [], "teacher": []}
    step, forward, answer = Distillation.training_step, Distillation.forward, FrozenTeacher.__call__

    def training_step(self, batch, batch_idx):
        given.append(batch[0].clone())
        return step(self, batch, batch_idx)

    def student(self, images):
        if self.training:
            seen["student"].append(images.clone())
        return forward(self, images)

    def teacher(self, images):
        seen["teacher"].append(images.clone())
        return answer(self, images)

    monkeypatch.setattr(Distillation, "training_step", training_step)
    monkeypatch.setattr(Distillation, "forward", student)
    monkeypatch.setattr(FrozenTeacher, "__call__", teacher)
    overrides = ["recipe.mixup=1", f"teacher={study.teacher}", "temperature=1", f"output={tmp_path}/mixed"]
    train(compose("train", [*short, *overrides]))
    assert len(given) == len(seen["student"]) == len(seen["teacher"]) == 6
    shares = []
    for images, mixed, taught in zip(given, seen["student"], seen["teacher"], strict=True):
        assert torch.equal(mixed, taught)
        pairs = images.flip(0)
        differ = images != pairs
        shares.append(round(float(((mixed - pairs)[differ] / (images - pairs)[differ]).median()), 4))
    assert len(set(shares)) == 6


@pytest.mark.parametrize("draw", ["example", "batch"])
def test_rpl_draws_anew_for_every_update(short, teachers, compose, tmp_path, monkeypatch, draw):
    drawn, real = [], distillation.draw_teachers
    monkeypatch.setattr(distillation, "draw_teachers", lambda *given: drawn.append(real(*given)) or drawn[-1])
    overrides = [f"teacher=[{','.join(teachers)}]", "distill.loss=rpl", f"distill.draw={draw}"]
    train(compose("train", [*short, "recipe.epochs=4", *overrides, f"output={tmp_path}/rpl"]))
    assert len(drawn) == 24
    assert {which.ndim for which in drawn} == {1 if draw == "example" else 0}
    assert 0.2 < torch.stack([which.double().mean() for which in drawn]).mean() < 0.8
    assert len({tuple(which.flatten().tolist()) for which in drawn}) > (20 if draw == "example" else 1)


def test_a_record_names_all_teachers_and_the_loss(short, teachers, compose, tmp_path):
    overrides = [f"teacher=[{','.join(teachers)}]", "distill.loss=epl", "distill.ensemble=vote"]
    train(compose("train", [*short, *overrides, f"output={tmp_path}/epl"]))
    result = read_result(tmp_path / "epl" / "result.json")
    assert [teacher.seed for teacher in result.teachers] == [1, 2]
    assert result.teacher == result.teachers[0]
    assert (result.models[0].loss, result.models[0].distill["ensemble"]) == ("epl", "vote")
    assert result.models[0].alpha is None


def test_runs_that_differ_in_teacher_or_loss_alone_have_other_names(short, teachers, compose, tmp_path):
    """A report refuses two records of one name."""
    dist = ["distill=dist", "temperature=1"]
    runs = {
        "one": [*dist, f"teacher={teachers[0]}"],
        "other": [*dist, f"teacher={teachers[1]}"],
        "gamma": [*dist, f"teacher={teachers[0]}", "distill.gamma=2"],
    }
    for name, overrides in runs.items():
        train(compose("train", [*short, *overrides, f"output={tmp_path}/{name}"]))
    assert len({read_result(tmp_path / name / "result.json").name for name in runs}) == 3


def test_a_student_of_unlabelled_images_wants_teachers_of_the_others(short, study, compose, tmp_path):
    part = ["recipe.train_size=null", "data.labelled_size=100"]
    train(compose("train", [*short, *part, "data.part=labelled", f"output={tmp_path}/teacher"]))
    student = [*short, *part, "data.part=unlabelled", "temperature=1", f"output={tmp_path}/student"]
    with pytest.raises(UserError, match=r"learned from data\.part=all .*other_data=true"):
        train(compose("train", [*student, f"teacher={study.teacher}"]))
    teacher = f"teacher={tmp_path}/teacher/last.safetensors"
    with pytest.raises(UserError, match=r"of data\.labelled_size=100"):
        train(compose("train", [*student, teacher, "data.labelled_size=90"]))
    for name in ("last.safetensors", "best.ckpt"):
        output = f"output={tmp_path}/student_of_{name}"
        train(compose("train", [*student, f"teacher={tmp_path}/teacher/{name}", output]))
        assert read_result(tmp_path / f"student_of_{name}" / "result.json").data.sizes["train"] == 140


def test_a_teacher_reads_images_as_it_was_trained_to(short, study, compose, tmp_path, monkeypatch):
    """Its student's images are normalized by another mean and standard deviation."""

    def caught(networks, **_):
        given.extend(networks)
        raise InterruptedError

    given = []
    monkeypatch.setattr("vision.train.FrozenTeacher", caught)
    other = [f"teacher={study.teacher}", "temperature=1", "data.mean=[0.5]", "data.std=[0.25]", f"output={tmp_path}"]
    with pytest.raises(InterruptedError):
        train(compose("train", [*short, *other]))
    network, card = load_export(study.teacher)
    pixels = torch.randint(256, (4, 1, 28, 28)) / 255
    with torch.no_grad():
        expected = network.eval()((pixels - card.mean[0]) / card.std[0])
        torch.testing.assert_close(given[0]((pixels - 0.5) / 0.25), expected, rtol=1e-4, atol=1e-4)


def test_one_network_has_one_vote(short, study, compose, tmp_path):
    """Whatever file it comes from: the run's checkpoint has other bytes than its export."""
    asked = f"teacher=[{study.teacher},{study.teacher.with_name('last.ckpt')}]"
    with pytest.raises(UserError, match=r"last\.safetensors and .*/last\.ckpt are the same network"):
        train(compose("train", [*short, asked, "distill.loss=epl", f"output={tmp_path}/twice"]))
