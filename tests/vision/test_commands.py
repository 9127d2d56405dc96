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
        project(compose("project", [*data, f"students=[{listed}]", f"output={tmp_path}"]))
        names.append(read_result(tmp_path / "result.json").name)
    project(compose("project", [*data, f"students=[{listed}]", f"output={tmp_path}", "basis=shared"]))
    names.append(read_result(tmp_path / "result.json").name)
    assert len(set(names)) == len(names)


def test_a_record_takes_a_given_name(compose, pair, data, study, tmp_path):
    diffusion(compose("diffusion", [*pair, "name=mine"]))
    assert read_result(tmp_path / "result.json").name == "mine"
    project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}", "name=drawn"]))
    assert read_result(tmp_path / "result.json").name == "drawn"
    evaluate(compose("evaluate", [*data, f"checkpoint={study.low}", f"output={tmp_path}", "name=scored"]))
    assert read_result(tmp_path / "result.json").name == "scored"


def test_noise_in_the_labels_moves_no_centroid(compose, data, study, tmp_path):
    """Students that learned from wrong labels are measured by the true ones."""

    def noisy(path):
        card = json.loads(path.with_suffix(".json").read_text())
        card["model"]["recipe"] |= {"label_noise": 0.3, "noise_seed": 4}
        made = tmp_path / f"{path.parent.name}.safetensors"
        made.write_bytes(path.read_bytes())
        made.with_suffix(".json").write_text(json.dumps(card))
        return made

    found, record = [], tmp_path / "out" / "result.json"
    for low, high in ((study.low, study.high), (noisy(study.low), noisy(study.high))):
        output = f"output={tmp_path}/out"
        diffusion(compose("diffusion", [*data, f"low={low}", f"high={high}", output]))
        measured = [read_result(record).eta]
        clusters(compose("clusters", [*data, f"checkpoint={low}", output]))
        measured.append(read_result(record).metrics)
        project(compose("project", [*data, f"students=[{low}]", output]))
        measured.append(read_result(record).panels)
        found.append(measured)
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
