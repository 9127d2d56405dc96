"""Every experiment file of DIST (Huang et al. 2022) and of noisy teachers (Kaplun et al. 2022) on generated data."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.vision.conftest import compose_settings
from tests.vision.generated import write_cifar5m, write_cifar10, write_cifar100, write_folder
from vision.cli import CONF
from vision.train import train

pytestmark = pytest.mark.e2e
EXPERIMENTS = sorted(path.stem for study in ("dist", "noisy") for path in (CONF / "experiment").glob(f"{study}_*.yaml"))
TEACHERS = ("dist_cifar100_teacher", "noisy_teacher")
# Two updates of 8 small images: what an experiment says of data, model, recipe and loss stays.
SMALL = [
    *("recipe.epochs=1", "recipe.batch_size=8", "recipe.warmup_epochs=0", "recipe.train_size=16", "accelerator=cpu"),
    *("recipe.lr=0.001", "log_steps=1", "tensorboard=false", "loader.workers=0", "data.validation_size=8"),
]
ON_DISK = ["data.image_size=32", "data.resize=36"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folder of the generated data sets and of the runs; of these `published` stands in for published weights."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("dist")
    write_folder(root / "imagenet", classes=4, train=8, val=2)
    write_cifar10(root / "cifar10")
    write_cifar100(root / "cifar100", train=100)
    write_cifar5m(root / "cifar5m")
    published = ["data=imagenet", "model=tiny_resnet", f"data.data_dir={root}/imagenet", *ON_DISK, *SMALL]
    train(compose_settings("train", [*published, f"output={root}/published"]))
    for seed, teacher in ((1, "dist_cifar100_teacher"), (1, "noisy_teacher"), (2, "noisy_teacher")):
        run(root, teacher, f"seed={seed}", output=f"{teacher}-{seed}")
    yield root
    shutil.rmtree(root)  # 4 GB of checkpoints


def run(root: Path, experiment: str, *overrides: str, output: str) -> dict:
    """The record of a run in this process."""
    data, place = data_of(experiment), root / "runs" / output
    words = [f"experiment={experiment}", f"data.data_dir={root}/{data}", *SMALL, *given(root, experiment)]
    words += ON_DISK if data == "imagenet" else ["data.official=false"]
    words += [f"data.test_dir={root}/cifar10"] if data == "cifar5m" else []
    words += ["+model.kwargs.img_size=32"] if "swin_tiny" in experiment else []
    train(compose_settings("train", [*words, *overrides, f"output={place}"]))
    return json.loads((place / "result.json").read_text())


def data_of(experiment: str) -> str:
    """Folder of its data set."""
    if experiment.startswith("noisy"):
        return "cifar10" if experiment in TEACHERS else "cifar5m"
    return "cifar100" if "cifar100" in experiment else "imagenet"


def given(root: Path, experiment: str) -> list[str]:
    """The teachers that a user would name, and for the ImageNet rows one in the place of the published one."""
    runs = root / "runs"
    if experiment in TEACHERS:
        return []
    if experiment.startswith("noisy_"):
        return [f"teacher=[{runs}/noisy_teacher-1/last.safetensors,{runs}/noisy_teacher-2/last.safetensors]"]
    if "cifar100" in experiment:
        return [f"teacher={runs}/dist_cifar100_teacher-1/last.safetensors"]
    return [f"teacher={root}/published/last.safetensors"]


def losses(folder: Path) -> list[float]:
    (path,) = folder.glob("logs/*/metrics.csv")
    with path.open() as file:
        return [float(row["step/loss"]) for row in csv.DictReader(file) if row.get("step/loss")]


@pytest.mark.parametrize("experiment", [name for name in EXPERIMENTS if name not in TEACHERS])
def test_an_experiment_runs_two_updates_and_is_recorded(root, experiment):
    record = run(root, experiment, output=experiment)
    assert len(losses(root / "runs" / experiment)) == 2
    assert record["teacher"]["role"] == "teacher"
    assert record["models"][0]["loss"] == ("dist" if experiment.startswith("dist") else experiment[-3:])
    assert len(record["teachers"]) == (2 if experiment.startswith("noisy") else 0)
    assert record["metrics"]["last/test/top1"]["count"] > 0


def test_a_teacher_runs_two_updates_and_is_recorded(root):
    for teacher in ("dist_cifar100_teacher-1", "noisy_teacher-1", "noisy_teacher-2"):
        record = json.loads((root / "runs" / teacher / "result.json").read_text())
        assert len(losses(root / "runs" / teacher)) == 2
        assert record["teacher"] is None
        assert record["data"].get("label_noise") == (0.2 if teacher.startswith("noisy") else None)


@pytest.mark.parametrize("experiment", ["dist_resnet34_resnet18", "dist_cifar100_resnet20"])
def test_the_baseline_runs_beside_it(root, experiment):
    record = run(root, experiment, "distill=kd_t4", output=f"{experiment}-kd")
    assert (record["models"][0]["loss"], record["models"][0]["temperature"]) == ("kd", 4.0)
