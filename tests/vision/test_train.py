import csv
import json
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from shared.errors import UserError
from shared.files import sha256
from shared.locks import lock_folder
from shared.outcomes import read_outcomes
from shared.results import read_result
from tests.vision.generated import write_folder
from vision.checkpoint import load_card, load_export
from vision.data import load_data
from vision.train import train
from vision.training.best_and_last import BestAndLast
from vision.training.outcome import _over_ranks, export_and_score
from vision.training.run_folder import RunFolder


def test_the_record_of_a_student(study):
    result = read_result(study.low.with_name("result.json"))
    (model,) = result.models
    assert (result.kind, result.task, model.role) == ("model", "image-classification", "student")
    assert (model.temperature, model.kd_weight, model.alpha) == (1.0, 1.0, None)
    assert model.sha256 == sha256(study.low)
    assert (model.recipe["model.name"], model.recipe["model.kwargs"]["stem_width"]) == ("resnet18", 4)
    assert result.notes == [
        f"best/* are scores of best.safetensors, sha256 {sha256(study.low.with_name('best.safetensors'))}"
    ]
    assert result.teacher.sha256 == sha256(study.teacher)
    assert (result.teacher.alpha, result.teacher.role) == (0.1, "teacher")
    assert result.data.sizes == {"train": 200, "val": 60, "test": 60}
    assert len(result.data.sha256) == 4
    names = ("top1", "top5", "nll", "ece")
    expected = {f"{w}/{s}/{m}" for w in ("last", "best") for s in ("test", "val") for m in names}
    assert set(result.metrics) == expected
    assert {metric.count for metric in result.metrics.values()} == {60}
    assert result.metrics["last/test/top1"].value > 30  # ten classes: chance is 10


def test_two_temperatures_share_everything_but_the_temperature(study):
    low, high = load_card(study.low), load_card(study.high)
    assert low.teacher == high.teacher
    assert low.model.recipe == high.model.recipe
    assert (low.model.temperature, high.model.temperature) == (1.0, 3.0)
    assert low.model.sha256 != high.model.sha256


def test_recorded_scores_are_those_of_the_exported_weights(study):
    import gzip

    import numpy as np

    model, card = load_export(study.high)
    raw = gzip.decompress((study.data / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = np.frombuffer(gzip.decompress((study.data / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    pixels = torch.from_numpy(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28).copy())
    logits = model.eval()((pixels / 255 - card.mean[0]) / card.std[0])
    hits = int((logits.argmax(1).numpy() == labels).sum())
    recorded = read_result(study.high.with_name("result.json")).metrics["last/test/top1"]
    assert recorded.value == pytest.approx(100 * hits / 60)


def test_the_teacher_is_in_no_checkpoint(study):
    saved = torch.load(study.low.with_name("last.ckpt"), weights_only=True)
    student = load_file(study.low)
    assert {name.removeprefix("model.") for name in saved["state_dict"]} == set(student)
    assert all(name.startswith("model.") for name in saved["state_dict"])
    in_optimizer = sum(len(group["params"]) for group in saved["optimizer_states"][0]["param_groups"])
    assert in_optimizer == sum("running" not in name and "num_batches" not in name for name in student)


def test_the_best_export_is_the_best_epoch_on_validation(study):
    metrics = read_result(study.teacher.with_name("result.json")).metrics
    assert metrics["best/val/top1"].value >= metrics["last/val/top1"].value
    saved = torch.load(study.teacher.with_name("best.ckpt"), weights_only=True)["state_dict"]
    assert all(
        torch.equal(saved[f"model.{n}"], t) for n, t in load_file(study.teacher.with_name("best.safetensors")).items()
    )


def test_epochs_are_judged_on_the_validation_part(study):
    (path,) = study.teacher.parent.glob("logs/*/metrics.csv")
    with path.open() as file:
        told = [float(row["val/nll"]) for row in csv.DictReader(file) if row["val/nll"]]
    metrics = read_result(study.teacher.with_name("result.json")).metrics
    assert told[-1] == pytest.approx(metrics["last/val/nll"].value, rel=1e-4)
    assert told[-1] != pytest.approx(metrics["last/test/nll"].value, rel=1e-3)


def test_each_export_is_scored_by_its_own_weights_on_its_own_images(study, compose, tmp_path):
    for name in ("last.ckpt", "best.ckpt"):
        shutil.copy(study.low.with_name(name), tmp_path / name)
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)
    best["state_dict"]["model.fc.bias"] += torch.linspace(0, 3, 10)  # surely not the last's
    torch.save(best, tmp_path / "best.ckpt")
    settings = compose("train", [*study.common, f"output={tmp_path}"])
    data, card = load_data(settings.data, 200), load_card(study.low)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)
    metrics, _ = export_and_score(settings, RunFolder(settings.output), card.build(), card, data, trainer)
    for which in ("last", "best"):
        network, _ = load_export(tmp_path / f"{which}.safetensors")
        for split in ("val", "test"):
            images = data.splits[split]
            with torch.no_grad():
                logits = network.eval()((images.images / 255 - card.mean[0]) / card.std[0])
            nll = float(F.cross_entropy(logits, images.labels))
            assert metrics[f"{which}/{split}/nll"].value == pytest.approx(nll, rel=1e-4)
        hits = (logits.argmax(1) == images.labels).tolist()  # of test
        assert read_outcomes(tmp_path)[f"{which}/test/top1"][:, 0].tolist() == hits


def test_hits_of_two_processes_interleave():
    trainer = SimpleNamespace(global_rank=1, world_size=2)
    assert _over_ranks(torch.tensor([7, 8]), 5, trainer).tolist() == [0, 7, 0, 8, 0]


def test_one_seed_gives_one_result_and_another_seed_another(study, compose, tmp_path):
    for name, seed in (("again", 1), ("other", 2)):
        train(compose("train", [*study.common, "alpha=0.1", f"seed={seed}", f"output={tmp_path}/{name}"]))
    assert load_card(tmp_path / "again/last.safetensors").model.sha256 == sha256(study.teacher)
    assert load_card(tmp_path / "other/last.safetensors").model.sha256 != sha256(study.teacher)


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


def test_a_moved_folder_still_knows_its_best_score(study, tmp_path):
    saved = torch.load(study.teacher.with_name("last.ckpt"), weights_only=True)["callbacks"]
    (state,) = [state for state in saved.values() if "best_model_score" in state]
    moved = BestAndLast(tmp_path)
    moved.load_state_dict(state)
    assert moved.best_model_score == state["best_model_score"]
    assert moved.best_k_models == {str(tmp_path / "best.ckpt"): state["best_model_score"]}
    assert moved.kth_best_model_path == moved.best_model_path == str(tmp_path / "best.ckpt")


def test_momentum_is_the_first_beta_of_adams_family(study, compose, tmp_path):
    overrides = ["recipe.optimizer=adamw", "recipe.momentum=0.7", "recipe.lr=0.001"]
    overrides += ["recipe.epochs=1", "recipe.warmup_epochs=0"]
    train(compose("train", [*study.common, *overrides, f"output={tmp_path}"]))
    groups = torch.load(tmp_path / "last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert {tuple(group["betas"]) for group in groups} == {(0.7, 0.999)}


def test_the_record_says_whether_the_algorithms_were_deterministic(study, compose, tmp_path):
    assert read_result(study.root / "teacher" / "result.json").provenance.deterministic
    overrides = ["recipe.epochs=1", "recipe.warmup_epochs=0", "deterministic=false", f"output={tmp_path}"]
    train(compose("train", [*study.common, *overrides]))
    assert read_result(tmp_path / "result.json").provenance.deterministic is False


def test_fresh_removes_what_was_there(study, compose, tmp_path):
    settings = compose("train", [*study.common, f"output={tmp_path}", "fresh=true"])
    for name in ("result.json", "last.ckpt", "best.safetensors", "mine.txt"):
        (tmp_path / name).write_text("x")
    RunFolder(settings.output).claim(settings, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "mine.txt"]


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


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("recipe.optimizer=adamww", "recipe.optimizer=adamww"),
        ("accelerator=abacus", "accelerator=abacus"),
        ("", "wait"),
    ],
)
def test_images_are_read_after_all_else_that_can_be_refused(compose, tmp_path, monkeypatch, mistake, message):
    """A million of them take an hour."""
    folder = write_folder(tmp_path / "images")
    words = ["data=folder", f"data.data_dir={folder}", "data.validation_size=4", "data.image_size=32", "data.resize=36"]
    words += [
        "model=tiny_resnet",
        "recipe.train_size=null",
        "recipe.batch_size=8",
        f"output={tmp_path}/run",
        "accelerator=cpu",
    ]

    def read(*_):
        raise UserError("images were read")

    monkeypatch.setattr("vision.train.check_readable", read)
    handle = lock_folder(tmp_path / "run", "training in")
    with pytest.raises(UserError, match=message):
        train(compose("train", [*words, *filter(None, [mistake])]))
    os.close(handle)
    with pytest.raises(UserError, match="images were read"):  # and before any of them is trained on
        train(compose("train", words))
    assert list((tmp_path / "run").iterdir()) == []


def test_two_processes_do_not_train_in_one_folder(study, compose, tmp_path):
    handle = lock_folder(tmp_path, "training in")
    with pytest.raises(UserError, match=r"another process is training in .*; wait for it to end"):
        train(compose("train", [*study.common, f"output={tmp_path}"]))
    os.close(handle)
    assert list(tmp_path.iterdir()) == []


def test_steps_are_logged_over_the_ends_of_epochs(study, compose, tmp_path):
    """Six updates an epoch, a line after every fourth."""
    train(compose("train", [*study.common, "recipe.epochs=3", "log_steps=4", f"output={tmp_path}"]))
    with (tmp_path / "logs/version_0/metrics.csv").open() as file:
        assert [int(row["step"]) + 1 for row in csv.DictReader(file) if row["step/loss"]] == [4, 8, 12, 16]


def test_teachers_of_two_seeds_learn_from_other_subsets(study, compose, tmp_path):
    subset = ["recipe.subset_size=64", "recipe.epochs=3", "seed=5", f"output={tmp_path}"]
    train(compose("train", [*study.common, *subset]))
    result = read_result(tmp_path / "result.json")
    assert (result.data.sizes["train"], result.models[0].recipe["subset_size"]) == (64, 64)


def test_a_diverging_run_ends_without_a_record(study, compose, tmp_path):
    with pytest.raises(UserError, match="diverged"):
        train(compose("train", [*study.common, "recipe.lr=1e30", f"output={tmp_path}"]))
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "digits"}, "class names of"),
        ({"data.validation_size": "50"}, "validation_size of"),
        ({"data.validation_size": "50", "teacher": "last.ckpt"}, "validation_size of"),
        ({"model.name": "resnet81"}, "timm has no model"),
        ({"recipe.optimizer": "sgdd"}, r"recipe\.optimizer=sgdd"),
        ({"accelerator": "abacus"}, "accelerator=abacus"),
        ({"recipe.batch_size": "1"}, "batches of one"),
        ({"recipe.batch_size": "300", "accumulate": "2"}, "recipe.batch_size=300 is more than the 200 training images"),
        ({"recipe.augmentation.rotation": "45"}, "images in memory know flip and crop=padded"),
        ({"model.weights": "nowhere.pth"}, r"model\.weights: nowhere\.pth: no such file"),
        ({"network.arch": "resnet50"}, r"network\.arch"),
    ],
)
def test_bad_input_is_refused_before_training(study, compose, tmp_path, change, message):
    overrides = [*study.common, f"teacher={study.teacher}", "temperature=1", f"output={tmp_path}/run"]
    if "data" in change:
        overrides = [o for o in overrides if not o.startswith("data.")]
    if "teacher" in change:
        change = change | {"teacher": study.teacher.with_name(change["teacher"])}
    with pytest.raises(UserError, match=message):
        train(compose("train", [*overrides, *(f"{key}={value}" for key, value in change.items())]))
    assert not (tmp_path / "run" / "last.ckpt").exists()


class TestExports:
    @pytest.fixture
    def export(self, study, tmp_path):
        for suffix in (".safetensors", ".json"):
            (tmp_path / f"m{suffix}").write_bytes(study.teacher.with_suffix(suffix).read_bytes())
        return tmp_path / "m.safetensors"

    def edit(self, export, **changes):
        card = json.loads(export.with_suffix(".json").read_text())
        export.with_suffix(".json").write_text(json.dumps(card | changes))

    def test_missing(self, export):
        with pytest.raises(UserError, match="no such file"):
            load_export(export.with_name("nowhere.safetensors"))

    def test_a_lightning_checkpoint_is_not_an_export(self, study):
        with pytest.raises(UserError, match="not a model export"):
            load_export(study.teacher.with_name("last.ckpt"))

    def test_no_card(self, export):
        export.with_suffix(".json").unlink()
        with pytest.raises(UserError, match="not a model export"):
            load_export(export)

    def test_bytes_that_changed(self, export):
        export.write_bytes(export.read_bytes()[:-1] + b"x")
        with pytest.raises(UserError, match="not those its card describes"):
            load_export(export)

    def test_a_foreign_card(self, export):
        self.edit(export, colour="blue")
        with pytest.raises(UserError, match="not the card"):
            load_export(export)

    def test_a_damaged_card(self, export):
        self.edit(export, image_shape=[28, 28])
        with pytest.raises(UserError, match="image_shape"):
            load_export(export)
        self.edit(export, image_shape=[1, 28, 28], model=[])
        with pytest.raises(UserError, match=r"card\.model must be an object"):
            load_export(export)

    def test_weights_of_another_architecture(self, export):
        save_file({"fc.weight": torch.zeros(2, 2)}, export)
        card = json.loads(export.with_suffix(".json").read_text())
        self.edit(export, model=card["model"] | {"sha256": sha256(export)})
        with pytest.raises(UserError, match="not weights of resnet18"):
            load_export(export)

    def test_class_counts_that_differ(self, export, study, compose, tmp_path):
        card = json.loads(export.with_suffix(".json").read_text())
        weights = load_file(export)
        weights |= {name: weights[name][:9].clone() for name in ("fc.weight", "fc.bias")}
        save_file(weights, export)
        self.edit(export, class_names=card["class_names"][:9], model=card["model"] | {"sha256": sha256(export)})
        with pytest.raises(UserError, match="knows 9 classes, the data has 10"):
            train(compose("train", [*study.common, f"teacher={export}", "temperature=1", f"output={tmp_path}/run"]))
