"""Every experiment file of ImageNet and CUB on generated data: both loaders, one process and two."""

import csv
import json
import sys
from pathlib import Path

import pytest

from tests.vision.generated import write_cub, write_folder
from vision.cli import CONF

pytestmark = pytest.mark.e2e
EXPERIMENTS = [
    *("imagenet_teacher", "imagenet_resnet18", "imagenet_resnet50", "imagenet_efficientnet_b0"),
    *("cub_teacher", "cub_resnet18", "cub_resnet50", "cub_convnext_tiny", "cub_mobilenetv2"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder in ImageNet's layout and a folder with CUB's archive."""
    root = tmp_path_factory.mktemp("data")
    write_folder(root / "imagenet", classes=4, train=8, val=3)
    write_cub(root / "cub")
    return root


def test_every_experiment_of_the_two_is_here():
    files = {path.stem for path in (CONF / "experiment").glob("*.yaml")}
    assert {name for name in files if name.startswith(("imagenet_", "cub_"))} == set(EXPERIMENTS)


def run_all(run, data: Path, output: Path, devices: int, loader: str, experiments=EXPERIMENTS) -> None:
    words = [data / "imagenet", data / "cub", output, devices, loader, *experiments]
    launcher = [sys.executable, "-m"]
    if devices > 1:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", devices, "--standalone", "-m"]
    completed = run(*launcher, "tests.end_to_end.experiments", *words, timeout=600)
    assert completed.returncode == 0, completed.stderr[-3000:]


def losses(folder: Path) -> list[float]:
    """Of every update, over all processes."""
    (path,) = folder.glob("logs/*/metrics.csv")
    with path.open() as file:
        return [float(row["step/loss"]) for row in csv.DictReader(file) if row.get("step/loss")]


@pytest.fixture(scope="module")
def one_process(run, data, tmp_path_factory):
    """The runs of every experiment by the torchvision loader in one process."""
    output = tmp_path_factory.mktemp("one")
    run_all(run, data, output, 1, "torchvision")
    return output


def test_every_experiment_trains_and_is_recorded(one_process):
    for name in EXPERIMENTS:
        record = json.loads((one_process / name / "result.json").read_text())
        assert len(losses(one_process / name)) == 2
        assert record["metrics"]["last/test/top1"]["count"] == (12 if name.startswith("imagenet") else 20)
        assert (record["teacher"] is None) == name.endswith("teacher")


def test_dali_trains_on_the_same_images(run, data, one_process, tmp_path):
    """The losses agree up to what JPEG decoders and resamplers differ by."""
    run_all(run, data, tmp_path, 1, "dali")
    for name in EXPERIMENTS:
        assert losses(tmp_path / name) == pytest.approx(losses(one_process / name), rel=0.1), name


@pytest.mark.parametrize("loader", ["torchvision", "dali"])
def test_two_processes_run_every_experiment(run, data, tmp_path, loader):
    run_all(run, data, tmp_path, 2, loader)
    for name in EXPERIMENTS:
        record = json.loads((tmp_path / name / "result.json").read_text())
        assert record["metrics"]["last/test/top1"]["count"] == (12 if name.startswith("imagenet") else 20)


def test_two_processes_train_as_one_does(run, data, tmp_path):
    """ConvNeXt has no batch normalization, whose statistics are a process's own: every update's loss is the same."""
    names = ["imagenet_teacher", "cub_teacher", "cub_convnext_tiny"]
    for devices in (1, 2):
        run_all(run, data, tmp_path / str(devices), 1, "torchvision", names[:2])
        run_all(run, data, tmp_path / str(devices), devices, "torchvision", names[2:])
    one, two = (losses(tmp_path / devices / "cub_convnext_tiny") for devices in ("1", "2"))
    assert len(one) == 2
    assert two == pytest.approx(one, rel=1e-4)
