import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from shared.errors import UserError
from vision import settings as settings_module
from vision.cli import CONF

TEACHER = ["teacher=t.safetensors", "temperature=2"]


def yaml_files():
    return sorted(CONF.rglob("*.yaml"))


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_begins_with_a_command_and_comments_every_key(path: Path):
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0] == "# @package _global_" else lines[0]  # Hydra wants its own line first
    assert re.match(r"# python -m vision\.(train|evaluate|diffusion|project) .*=", first)
    above_hydra = lines[: lines.index("hydra:")] if "hydra:" in lines else lines
    for above, line in itertools.pairwise(above_hydra):
        if re.match(r" *[a-z_0-9]+:", line) and not line.startswith(("defaults:", "    ")):
            assert above.startswith("#") or "  # " in line or ": {s1" in line, line


@pytest.mark.parametrize("option", [p.stem for p in sorted((CONF / "experiment").glob("*.yaml"))])
def test_every_experiment_composes(compose, option):
    chosen = TEACHER if "student" in option else []
    settings = compose("train", [f"experiment={option}", "output=x", *chosen])
    assert (settings.teacher is not None) == ("student" in option)


@pytest.mark.parametrize("group", ["data", "model", "recipe"])
def test_every_option_composes(compose, group):
    for path in (CONF / group).glob("*.yaml"):
        compose("train", [f"{group}={path.stem}", "output=x"])


@pytest.mark.parametrize(
    ("command", "overrides", "message"),
    [
        ("train", [], "output must be given"),
        ("train", ["output=x", "alpha=1"], r"alpha .* is 1\.0; it must be in \[0, 1\)"),
        ("train", ["output=x", "alpha=-0.1"], r"must be in \[0, 1\)"),
        ("train", ["output=x", "alpha=high"], "alpha: Value 'high'"),
        ("train", ["output=x", "temperature=2"], "name teacher="),
        ("train", ["output=x", "kd_weight=0.5"], "name teacher="),
        ("train", ["output=x", "teacher=t"], "needs a temperature"),
        ("train", ["output=x", "teacher=t", "temperature=0"], "finite number above 0"),
        ("train", ["output=x", "teacher=t", "temperature=inf"], "finite number above 0"),
        ("train", ["output=x", *TEACHER, "kd_weight=0"], "above 0 and at most 1"),
        ("train", ["output=x", *TEACHER, "alpha=0.1"], "would do nothing"),
        ("train", ["output=x", "recipe.epochs=0"], r"recipe\.epochs is 0"),
        ("train", ["output=x", "recipe.warmup=1"], r"recipe\.warmup"),
        ("train", ["output=x", "threads=0"], "threads is 0"),
        ("train", ["output=x", "seed=-1"], "seed is -1"),
        ("diffusion", ["low=a", "high=b", "output=x", "targets=[]"], "targets is empty"),
        ("train", ["output=x", "+misspelt=1"], "misspelt"),
        ("evaluate", ["checkpoint=x", "split=dev"], "choose one of train, val, test"),
        ("evaluate", ["checkpoint=x", "name=mine"], "name is for the record"),
        ("diffusion", ["low=a", "high=b", "output=x", "normalization=max"], "choose one of mean_pairwise"),
        ("diffusion", ["low=a", "high=b", "output=x", "sets=wordnet"], "choose explicit"),
        ("diffusion", ["low=a", "high=b", "output=x", "sets=nearest"], "goes together with teacher="),
        ("project", ["students=[]", "output=x"], "students is empty"),
        ("project", ["students=[a]", "output=x", "train_images=0"], "train_images is 0"),
    ],
)
def test_bad_values_are_refused_with_what_would_be_right(compose, command, overrides, message):
    with pytest.raises(UserError, match=message):
        compose(command, overrides)


def test_every_key_is_read(compose, study, keys_read, tmp_path):
    """Runs every command for real and watches which settings its code reads."""
    from vision.diffusion import diffusion
    from vision.evaluate import evaluate
    from vision.project import project

    data = [f"data.data_dir={study.data}", "data.validation_size=60"]
    pair = [f"low={study.low}", f"high={study.high}", f"output={tmp_path}"]
    evaluate(compose("evaluate", [*data, f"checkpoint={study.low}", f"output={tmp_path}"]))
    diffusion(compose("diffusion", [*data, *pair]))
    diffusion(compose("diffusion", [*data, *pair, "sets=nearest", f"teacher={study.teacher}"]))
    project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}"]))
    keys = {
        (kind.__name__, field.name)
        for kind in vars(settings_module).values()
        if dataclasses.is_dataclass(kind)
        for field in dataclasses.fields(kind)
    }
    threads = {key for key in keys if key[1] == "threads"}  # read by vision.cli, before the command
    assert keys - keys_read == threads
    assert "values.threads" in (CONF.parent / "cli.py").read_text()


def test_an_interpolated_folder_keeps_the_number_as_typed(compose):
    settings = compose("train", ["teacher=t", "temperature=3", "output=runs/T${temperature}"])
    assert (settings.output, settings.temperature) == ("runs/T3", 3.0)
