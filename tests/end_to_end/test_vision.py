"""Whole commands of `vision`, as a person types them, on scikit-learn's digits."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from vision.cli import CONF

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parent.parent.parent
PYTHON = (sys.executable, "-m")
TINY = ("data=digits", "model=tiny_resnet", "recipe=tiny", "accelerator=cpu", "threads=1")


def succeed(completed):
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def record(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("vision")


@pytest.fixture(scope="module")
def teacher(fork, root):
    out = succeed(fork(*PYTHON, "vision.train", *TINY, "alpha=0.1", f"output={root}/teacher"))
    assert "epoch 20/20" in out
    return root / "teacher" / "last.safetensors"


@pytest.fixture(scope="module")
def students(fork, root, teacher):
    """Both temperatures by one Hydra sweep, started where its own notes may lie."""
    output = f"output={root}/student-T${{temperature}}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*PYTHON, "vision.train", "-m", *TINY, f"teacher={teacher}", "temperature=1,3", output]
    succeed(subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False))
    return [root / f"student-T{temperature}" / "last.safetensors" for temperature in ("1", "3")]


def test_the_study_from_teacher_to_figure(fork, root, teacher, students):
    low, high = students
    assert record(teacher.parent)["metrics"]["last/test/top1"]["value"] > 80  # ten digits: chance is 10
    for student, temperature in zip(students, (1.0, 3.0), strict=True):
        card = record(student.parent)
        assert card["models"][0]["temperature"] == temperature
        assert card["teacher"]["alpha"] == 0.1
        assert card["metrics"]["last/test/top1"]["value"] > 80
    out = succeed(
        fork(*PYTHON, "vision.diffusion", "data=digits", f"low={low}", f"high={high}", f"output={root}/diffusion")
    )
    assert "normalization mean_pairwise" in out
    assert len(record(root / "diffusion")["eta"]) == 4
    out = succeed(fork(*PYTHON, "vision.clusters", "data=digits", f"checkpoint={teacher}", f"output={root}/clusters"))
    assert "spread" in out
    assert 0 < record(root / "clusters")["metrics"]["val/spread"]["value"] < 1
    succeed(fork(*PYTHON, "vision.project", "data=digits", f"students=[{low},{high}]", f"output={root}/projection"))
    assert len(record(root / "projection")["panels"]) == 4
    out = succeed(fork(*PYTHON, "vision.evaluate", "data=digits", f"checkpoint={low}"))
    assert "test/top1" in out
    assert "297 images" in out


def test_a_killed_run_continues_to_the_same_result(fork, root):
    """At any moment, also within an epoch: with averaged weights, dropout and half precision in it."""
    settings = (*TINY, "alpha=0.1", "recipe.epochs=20", "recipe.augmentation.flip=true", "checkpoint_steps=3")
    settings += ("recipe.ema=0.9", "+model.kwargs.drop_rate=0.2", "recipe.precision=bf16", "recipe.clip=1")
    succeed(fork(*PYTHON, "vision.train", *settings, f"output={root}/whole"))
    command = [*PYTHON, "vision.train", *settings, f"output={root}/killed"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("epoch 7/20"):
                time.sleep(0.3)  # some updates of the next epoch
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (root / "killed" / "result.json").exists()
    out = succeed(fork(*command))
    assert "resuming from" in out
    assert "epoch 1/20" not in out
    whole, killed = record(root / "whole"), record(root / "killed")
    assert killed["metrics"] == whole["metrics"]
    assert killed["models"][0]["sha256"] == whole["models"][0]["sha256"]
    assert "already finished" in succeed(fork(*command))


def test_another_network_than_the_groups_has_its_own_name_in_tables(fork, root):
    for word, told in ((), "resnet26"), (("model.label=mine",), "mine"):
        asked = (
            *TINY,
            "recipe.epochs=1",
            "recipe.warmup_epochs=0",
            "model.name=resnet26",
            *word,
            f"output={root}/{told}",
        )
        succeed(fork(*PYTHON, "vision.train", *asked))
        assert record(root / told)["models"][0]["arch"] == told


@pytest.mark.parametrize("command", ["train", "evaluate", "diffusion", "clusters", "project"])
def test_help_has_two_examples_every_experiment_and_every_option_of_the_groups_it_takes(fork, command):
    out = succeed(fork(*PYTHON, f"vision.{command}", "--help"))
    usage, examples = re.match(r"usage: (.+)\n\n.+\n\nExamples:\n(.+?)\n\n", out, re.S).groups()
    assert usage.startswith(f"python -m vision.{command} ")
    assert examples.count(f"  python -m vision.{command} ") >= 2
    defaults = yaml.safe_load((CONF / f"{command}.yaml").read_text())["defaults"]
    groups = {group for entry in defaults if isinstance(entry, dict) for group in entry if "hydra/" not in group}
    files = {group: {path.stem for path in (CONF / group).glob("*.yaml")} - {"base"} for group in groups}
    blocks = re.findall(r"^(\w+): (.+(?:\n {4,}.+)*)", out.partition("(GROUP=OPTION):")[2], re.M)
    listed = {group: set(re.split(r",\s+", names)) for group, names in blocks}
    experiments = set(re.findall(r"^  (\w+)  +\w", out, re.M))
    assert listed | ({"experiment": experiments} if experiments else {}) == files


def test_flags_of_hydra_stay_its_own(fork):
    composed = yaml.safe_load(succeed(fork(*PYTHON, "vision.train", "--cfg", "job", "data=digits", "seed=3")))
    assert (composed["data"]["name"], composed["seed"], composed["output"]) == ("digits", 3, "???")
    assert "Hydra (" in succeed(fork(*PYTHON, "vision.train", "--hydra-help"))


def test_help_that_nobody_reads_to_the_end_is_no_error(environment):
    reader, writer = os.pipe()
    os.close(reader)
    command = [*PYTHON, "vision.evaluate", "--help"]
    completed = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (completed.returncode, completed.stderr) == (0, "")


BAD = {
    "unknown key": (("alhpa=0.1",), "unknown key 'alhpa'; did you mean 'alpha'?"),
    "unknown key of a group": (("recipe.epoch=3",), "unknown key 'recipe.epoch'; did you mean 'recipe.epochs'?"),
    "unknown option": (
        ("experiment=imagenet_resnet81",),
        "no option 'imagenet_resnet81'; did you mean 'imagenet_resne",
    ),
    "no option at all": (("loader=x",), "loader has no option 'x'; choose one of dali, torchvision"),
    "no number": (("alpha=high",), "alpha: Value 'high'"),
    "grammar": (("alpha=[",), "cannot read 'alpha=['"),
    "alpha": (("alpha=1.0",), "must be in [0, 1)"),
    "temperature": (("teacher=TEACHER", "temperature=0"), "must be a finite number above 0"),
    "no teacher": (("teacher=nowhere.safetensors", "temperature=1"), "nowhere.safetensors: no such file"),
    "not a checkpoint": (("teacher=README.md", "temperature=1"), "README.md"),
    "devices": (("devices=3",), "must be a multiple of devices"),
    "data folder": (("data=fashion_mnist", "data.data_dir=nowhere"), "nowhere is not a folder"),
    "model name": (("model.name=resnet81",), "timm has no model 'resnet81'"),
    "other data": (("teacher=TEACHER", "temperature=1", "data.validation_size=200"), "validation_size of"),
}


@pytest.mark.parametrize(("overrides", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_gets_one_line_and_status_2(fork, root, teacher, overrides, message):
    names = {"TEACHER": str(teacher)}
    words = ["=".join(names.get(part, part) for part in override.split("=", 1)) for override in overrides]
    completed = fork(*PYTHON, "vision.train", *TINY, *words, f"output={root}/bad")
    assert completed.returncode == 2
    (line,) = [line for line in completed.stderr.splitlines() if line.strip()]
    assert line.startswith("error: ")
    assert message in line
    assert "epoch" not in completed.stdout
    assert not (root / "bad" / "last.ckpt").exists()


def test_a_process_of_its_own_says_no_more(run, root, teacher):
    """A fork has imported the libraries already, and they have said what they have to say."""
    other = (f"teacher={teacher}", "temperature=1", "data.validation_size=200", f"output={root}/bad")
    completed = run(*PYTHON, "vision.train", *TINY, *other)
    assert completed.returncode == 2
    assert completed.stderr.startswith("error: ")
    assert completed.stderr.count("\n") == 1
