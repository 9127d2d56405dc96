import csv
import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.errors import UserError
from shared.files import sha256
from shared.locks import lock_folder
from shared.results import read_result
from tests.vision.generated import write_folder
from vision.checkpoint import load_card, load_export
from vision.train import train
from vision.training.best_and_last import BestAndLast


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


def test_one_seed_gives_one_result_and_another_seed_another(study, compose, tmp_path):
    for name, seed in (("again", 1), ("other", 2)):
        train(compose("train", [*study.common, "alpha=0.1", f"seed={seed}", f"output={tmp_path}/{name}"]))
    assert load_card(tmp_path / "again/last.safetensors").model.sha256 == sha256(study.teacher)
    assert load_card(tmp_path / "other/last.safetensors").model.sha256 != sha256(study.teacher)


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
