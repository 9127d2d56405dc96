"""The paper's image tables by one command each, on generated data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.results import read_results
from tests.end_to_end.experiments import SMALL
from tests.vision.generated import write_cub, write_folder

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parent.parent.parent
CHOICES = {"ALPHAS": "0.1", "TEMPERATURES": "1 2", "FIGURE_T": "1 2"}
CHOICES |= {"DEVICES": "1", "ACCUMULATE": "2", "OMP_NUM_THREADS": "1"}


def script(name: str, *words: object, **choices: str) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", f"scripts/vision/{name}.sh", *map(str, words)]
    environment = {**os.environ, **CHOICES, **choices, "PATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)


def test_the_tables_from_teachers_to_the_report(tmp_path):
    folder = write_folder(tmp_path / "data", classes=4, train=8, val=3)
    cub = write_cub(tmp_path / "cub").parent
    (tmp_path / "sets.yaml").write_text("class_0: {s1: [class_1], s2: null}\n")
    images = {"STUDENTS": "resnet18", "TEMPERATURES": "2 1", "FIGURE": "class_0,class_1,class_2"}
    images |= {"SETS": str(tmp_path / "sets.yaml")}
    done = script("imagenet", folder, tmp_path / "imagenet", *SMALL, "data.validation_size=8", **images)
    assert done.returncode == 0, done.stderr
    assert "step 9 of 9: report" in done.stdout
    kinds = sorted(result.kind for result in read_results(tmp_path / "imagenet"))
    assert kinds == ["diffusion", *["model"] * 6, "projection"]
    assert len(list((tmp_path / "imagenet").glob("*/scores/predictions.npz"))) == 3
    [eta] = [result for result in read_results(tmp_path / "imagenet") if result.kind == "diffusion"]
    assert [model.temperature for model in eta.models] == [1, 2]
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "imagenet").rglob("result.json")}
    again = script("imagenet", folder, tmp_path / "imagenet", *SMALL, "data.validation_size=8", **images)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in written} == written  # nothing is measured twice
    birds = {"STUDENTS": "resnet50", "IMAGENET": str(tmp_path / "imagenet")}
    birds |= {"SETS": str(tmp_path / "birds.yaml"), "FIGURE": "0,1,2"}
    (tmp_path / "birds.yaml").write_text("'0': {s1: ['1'], s2: null}\n")
    small = (*SMALL, "data.validation_size=5", "data.official=false", "model.weights=null", "required=[]")
    done = script("cub", cub, tmp_path / "birds", *small, **birds)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "birds" / "report.html").is_file()


def test_a_mistaken_choice_is_one_line_before_anything_is_trained(tmp_path):
    for words, choices, message in (
        ((), {}, "name the data and the output folder"),
        ((tmp_path / "no", "x"), {}, "is not a folder"),
        ((tmp_path, "x"), {"FIGURE_T": "1 5"}, "FIGURE_T names T = 5"),
        ((tmp_path, "x"), {"TEMPERATURES": "1 2 T"}, ": T is not right; e.g. TEMPERATURES"),
        ((tmp_path, "x"), {"SEEDS": "08"}, "SEEDS 08: 08 is not right"),
        ((tmp_path, "x"), {"DEVICES": "0"}, "DEVICES 0: 0 is not right"),
        ((tmp_path, "x"), {"STUDENTS": "resnet18 resnet-50"}, "STUDENTS names resnet-50"),
        ((tmp_path, "x"), {"SETS": "retriever"}, "SETS=retriever is no file, nor one of explicit"),
    ):
        done = script("imagenet", *words, **choices)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert message in done.stderr
    done = script("cub", tmp_path, "x", IMAGENET=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "teacher-a0.1-seed1/last.safetensors is not there; train it by scripts/vision/imagenet.sh" in done.stderr
