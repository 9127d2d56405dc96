import json

import numpy as np
import pytest
import torch

from shared.errors import UserError
from shared.results import read_result
from vision.diffusion import diffusion
from vision.evaluate import evaluate
from vision.features import ExportedModel, load_same_data
from vision.project import project


@pytest.fixture
def data(study):
    return [f"data.data_dir={study.data}", "data.validation_size=60"]


@pytest.fixture
def pair(study, data, tmp_path):
    return [*data, f"low={study.low}", f"high={study.high}", f"output={tmp_path}"]


def brute_force_centroids(path, settings, split):
    """Means of numpy arrays, class by class."""
    model = ExportedModel(str(path))
    images = load_same_data(settings.data, [model]).split(split)
    with torch.no_grad():
        features = model.network.forward_features(images.__getitems__(list(range(len(images))))[0]).mean((2, 3)).numpy()
    return np.stack([features[images.labels.numpy() == k].astype(np.float64).mean(0) for k in range(10)])


@pytest.mark.parametrize("split", ["train", "val"])
def test_eta_against_brute_force(compose, pair, study, tmp_path, split):
    settings = compose("diffusion", [*pair, "normalization=none"])
    diffusion(settings)
    result = read_result(tmp_path / "result.json")
    assert (result.kind, [m.temperature for m in result.models], result.teacher.alpha) == ("diffusion", [1.0, 3.0], 0.1)
    assert len(result.eta) == 2 * 3 * 2  # splits, targets, sets
    before, after = (brute_force_centroids(path, settings, split) for path in (study.low, study.high))
    row = next(e for e in result.eta if (e.split, e.target, e.set_name) == (split, "coat", "S1"))
    assert row.members == ["pullover", "shirt", "T-shirt/top"]
    pairs = [(4, 2), (4, 6), (4, 0)]
    low, high = ([np.linalg.norm(c[i] - c[k]) for i, k in pairs] for c in (before, after))
    assert row.value == pytest.approx(np.mean([(h - d) / d for d, h in zip(low, high, strict=True)]), abs=1e-5)


def test_nearest_sets_are_the_teachers_nearest_centroids(compose, pair, study, tmp_path):
    settings = compose("diffusion", [*pair, "sets=nearest", f"teacher={study.teacher}", "s1_size=2", "targets=[bag]"])
    diffusion(settings)
    rows = read_result(tmp_path / "result.json").eta
    centroids = brute_force_centroids(study.teacher, settings, "train")
    order = np.linalg.norm(centroids - centroids[8], axis=1).argsort()[1:3]
    names = ExportedModel(str(study.teacher)).card.class_names
    assert sorted(rows[0].members) == sorted(names[k] for k in order)
    assert (rows[0].chosen_by, len(rows[1].members)) == ("nearest centroids", 7)


def test_the_table_names_the_normalization(compose, pair, capsys):
    diffusion(compose("diffusion", [*pair, "normalization=target_mean", "targets=[shirt]"]))
    assert "normalization target_mean" in capsys.readouterr().out


def test_pairs_that_are_no_contrast_of_temperature(compose, pair, study, tmp_path):
    swapped = [*pair, f"low={study.high}", f"high={study.low}"]
    with pytest.raises(UserError, match=r"must rise from low to high.*T = 3.*T = 1"):
        diffusion(compose("diffusion", swapped))
    with pytest.raises(UserError, match="is a teacher"):
        diffusion(compose("diffusion", [*pair, f"low={study.teacher}"]))
    with pytest.raises(UserError, match="is not the teacher of"):
        diffusion(compose("diffusion", [*pair, "sets=nearest", f"teacher={study.low}"]))


@pytest.mark.parametrize(("what", "message"), [("teacher", "different teachers"), ("seed", "differ in seed")])
def test_students_that_differ_in_more_than_temperature(compose, pair, study, tmp_path, what, message):
    card = json.loads(study.high.with_suffix(".json").read_text())
    if what == "teacher":
        card["teacher"]["sha256"] = "0" * 64
    else:
        card["model"]["seed"] = 7
    (tmp_path / "other.safetensors").write_bytes(study.high.read_bytes())
    (tmp_path / "other.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=message):
        diffusion(compose("diffusion", [*pair, f"high={tmp_path}/other.safetensors"]))


def test_targets_without_sets(compose, pair):
    with pytest.raises(UserError, match=r"no S1 and S2 for \['bag'\].*pullover, coat, shirt"):
        diffusion(compose("diffusion", [*pair, "targets=[bag]"]))


def test_evaluate_agrees_with_the_training_record(compose, data, study, tmp_path, capsys):
    evaluate(compose("evaluate", [*data, f"checkpoint={study.low}", "split=test", f"output={tmp_path}"]))
    metrics = read_result(tmp_path / "result.json").metrics
    trained = read_result(study.low.with_name("result.json")).metrics
    for name in ("test/top1", "test/top5", "test/nll"):
        assert metrics[name].value == pytest.approx(trained[f"last/{name}"].value)
    assert "test/top1" in capsys.readouterr().out


def test_projection_records_what_it_draws(compose, data, study, tmp_path):
    students = f"students=[{study.teacher},{study.low},{study.high}]"
    project(compose("project", [*data, students, "train_images=5", "validation_images=2", f"output={tmp_path}"]))
    result = read_result(tmp_path / "result.json")
    assert (tmp_path / "projection.png").read_bytes().startswith(b"\x89PNG")
    columns = [(0.1, None), (0.1, 1.0), (0.1, 3.0)]
    assert [(p.split, p.teacher_alpha, p.temperature) for p in result.panels] == [
        (split, *column) for split in ("train", "val") for column in columns
    ]
    assert [model.temperature for model in result.models] == [None, 1.0, 3.0] * 2
    for panel in result.panels:
        assert list(panel.points) == list(panel.centroids) == ["pullover", "coat", "trouser"]
        assert {len(points) for points in panel.points.values()} == {5 if panel.split == "train" else 2}


def test_projection_shares_its_axes_between_splits(compose, data, study, tmp_path):
    """One linear map carries the features of both splits to their points: fit it on train, find val with it."""
    settings = compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}"])
    project(settings)
    panels = read_result(tmp_path / "result.json").panels
    names = ExportedModel(str(study.low)).card.class_names
    before = {s: brute_force_centroids(study.low, settings, s)[[2, 4, 1]] for s in ("train", "val")}
    flat = {p.split: np.array([p.centroids[names[k]] for k in (2, 4, 1)]) for p in panels}
    # three centroids span one plane of the map; differences between them must be carried alike in both splits
    lengths = {s: np.linalg.norm(np.diff(before[s], axis=0), axis=1) for s in before}
    drawn = {s: np.linalg.norm(np.diff(flat[s], axis=0), axis=1) for s in flat}
    assert all((drawn[s] <= lengths[s] + 1e-3).all() for s in drawn)  # an orthogonal projection never lengthens


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("classes=[coat,coat,bag]", "three different"),
        ("classes=[coat,bag]", "three"),
        ("classes=[coat,bag,hat]", "hat"),
    ],
)
def test_projection_needs_three_known_classes(compose, data, study, tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}", override]))


def test_projection_refuses_two_models_for_one_column(compose, data, study, tmp_path):
    with pytest.raises(UserError, match="same alpha and temperature"):
        project(compose("project", [*data, f"students=[{study.low},{study.low}]", f"output={tmp_path}"]))
