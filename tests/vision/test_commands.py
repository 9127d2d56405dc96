"""What the commands that read trained models have in common."""

import json

import pytest

from shared.errors import UserError
from shared.results import read_result
from vision.clusters import clusters
from vision.diffusion import diffusion
from vision.evaluate import evaluate
from vision.project import project


@pytest.fixture
def data(study):
    return [f"data.data_dir={study.data}", "data.validation_size=60"]


@pytest.fixture
def pair(study, data, tmp_path):
    return [*data, f"low={study.low}", f"high={study.high}", f"output={tmp_path}"]


def test_records_of_different_settings_have_different_names(compose, pair, data, study, tmp_path):
    nearest = [*pair, "sets=nearest", f"teacher={study.teacher}"]
    variants = (pair, [*pair, "targets=[coat]"], [*nearest, "s1_size=2"], [*nearest, "s1_size=3"])
    names = []
    for overrides in variants:
        diffusion(compose("diffusion", overrides))
        names.append(read_result(tmp_path / "result.json").name)
    for students in ([study.low], [study.low, study.high], [study.low, study.teacher]):
        listed = ",".join(map(str, students))
        project(compose("project", [*data, f"students=[{listed}]", f"output={tmp_path}/drawn"]))
        names.append(read_result(tmp_path / "drawn" / "result.json").name)
    project(compose("project", [*data, f"students=[{listed}]", f"output={tmp_path}/drawn", "basis=shared"]))
    names.append(read_result(tmp_path / "drawn" / "result.json").name)
    assert len(set(names)) == len(names)


def test_a_record_takes_a_given_name(compose, pair, data, study, tmp_path):
    diffusion(compose("diffusion", [*pair, "name=mine"]))
    assert read_result(tmp_path / "result.json").name == "mine"
    project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}/drawn", "name=drawn"]))
    assert read_result(tmp_path / "drawn" / "result.json").name == "drawn"
    evaluate(compose("evaluate", [*data, f"checkpoint={study.low}", f"output={tmp_path}/scored", "name=scored"]))
    assert read_result(tmp_path / "scored" / "result.json").name == "scored"


COMMANDS = {
    "model": ("evaluate", evaluate, ["checkpoint=nowhere"]),
    "ensemble": ("evaluate", evaluate, ["checkpoint=[nowhere,neither]"]),
    "diffusion": ("diffusion", diffusion, ["low=nowhere", "high=neither"]),
    "clusters": ("clusters", clusters, ["checkpoint=nowhere"]),
    "projection": ("project", project, ["students=[nowhere]"]),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_no_other_record_is_replaced(compose, data, study, tmp_path, kind):
    """Nor is it told after the work: the models are not there, which is what is told where the folder is its own."""
    (name, command, models), record = COMMANDS[kind], tmp_path / "result.json"

    def refused(output, message):
        with pytest.raises(UserError, match=message):
            command(compose(name, [*data, *models, f"output={output}"]))

    refused(study.low.parent, "is the folder of a training run; choose another output")
    for left in ("config.yaml", "last.ckpt", "result.json"):  # begun; of which the config is lost; or kept in short
        (tmp_path / left).write_bytes(study.low.with_name(left).read_bytes())
        refused(tmp_path, "is the folder of a training run; choose another output")
        (tmp_path / left).unlink()
    trained = json.loads(study.low.with_name("result.json").read_text())
    for there in ("model", "clusters", "projection"):
        record.write_text(text := json.dumps(trained | {"kind": there, "metrics": {}}))
        own = there == kind
        refused(tmp_path, "nowhere: no such file" if own else f"result.json is a record of kind {there} .*; choose")
        assert record.read_text() == text
    record.write_text(json.dumps(trained | {"kind": kind, "metrics": {}, "task": "translation"}))
    if kind in ("model", "clusters", "projection"):
        refused(tmp_path, r"\(translation\)")


def test_noise_in_the_labels_moves_no_centroid(compose, data, study, tmp_path):
    """Students that learned from wrong labels are measured by the true ones."""

    def noisy(path):
        card = json.loads(path.with_suffix(".json").read_text())
        card["model"]["recipe"] |= {"label_noise": 0.3, "noise_seed": 4}
        made = tmp_path / f"{path.parent.name}.safetensors"
        made.write_bytes(path.read_bytes())
        made.with_suffix(".json").write_text(json.dumps(card))
        return made

    found = []
    for low, high in ((study.low, study.high), (noisy(study.low), noisy(study.high))):
        diffusion(compose("diffusion", [*data, f"low={low}", f"high={high}", f"output={tmp_path}/diffusion"]))
        clusters(compose("clusters", [*data, f"checkpoint={low}", f"output={tmp_path}/clusters"]))
        project(compose("project", [*data, f"students=[{low}]", f"output={tmp_path}/projection"]))
        records = [read_result(tmp_path / kind / "result.json") for kind in ("diffusion", "clusters", "projection")]
        found.append([(record.eta, record.metrics, record.panels) for record in records])
    assert found[0] == found[1]


def test_unknown_classes_are_refused_before_anything_is_read(compose, pair, data, study, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("a model was opened")

    for command in ("diffusion", "evaluate", "project"):
        monkeypatch.setattr(f"vision.{command}.FeatureReader.batches", never)
    with pytest.raises(UserError, match="hat"):
        diffusion(compose("diffusion", [*pair, "targets=[hat]", "sets=nearest", f"teacher={study.teacher}"]))
    with pytest.raises(UserError, match="hat"):
        project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}", "classes=[1,2,hat]"]))
    with pytest.raises(UserError, match="hat"):
        evaluate(compose("evaluate", [*data, f"checkpoint={study.low}", "classes=[hat]"]))
