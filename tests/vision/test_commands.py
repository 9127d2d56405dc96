import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.errors import UserError
from shared.files import sha256
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


def features_and_labels(path, settings, split):
    """Numpy arrays of a whole split, through the network's own average pooling."""
    model = ExportedModel(str(path))
    images = load_same_data(settings.data, [model]).split(split)
    with torch.no_grad():
        features = model.network.forward_features(images.__getitems__(list(range(len(images))))[0]).mean((2, 3)).numpy()
    return features, images.labels.numpy()


def brute_force_centroids(path, settings, split):
    """Means of numpy arrays, class by class."""
    features, labels = features_and_labels(path, settings, split)
    return np.stack([features[labels == k].astype(np.float64).mean(0) for k in range(10)])


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


def test_the_last_epoch_is_not_compared_with_the_best(compose, pair, study):
    with pytest.raises(UserError, match=r"differ in export \(last or best\) too \(last; best\)"):
        diffusion(compose("diffusion", [*pair, f"high={study.high.with_name('best.safetensors')}"]))


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
    assert len(set(names)) == len(names)


def test_a_record_takes_a_given_name(compose, pair, data, study, tmp_path):
    diffusion(compose("diffusion", [*pair, "name=mine"]))
    assert read_result(tmp_path / "result.json").name == "mine"
    project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}", "name=drawn"]))
    assert read_result(tmp_path / "result.json").name == "drawn"
    evaluate(compose("evaluate", [*data, f"checkpoint={study.low}", f"output={tmp_path}", "name=scored"]))
    assert read_result(tmp_path / "result.json").name == "scored"


def test_a_target_named_twice(compose, pair):
    with pytest.raises(UserError, match="names a class twice"):
        diffusion(compose("diffusion", [*pair, "targets=[coat,coat]"]))


def test_other_files_of_the_same_data_set_are_refused(compose, study, make_fashion_mnist, tmp_path):
    other = make_fashion_mnist(tmp_path / "other", test=50)
    overrides = [f"data.data_dir={other}", "data.validation_size=60", f"checkpoint={study.low}"]
    with pytest.raises(UserError, match="sha256 of the files"):
        evaluate(compose("evaluate", overrides))


def test_a_diverged_model_gets_one_line(compose, pair, data, study, tmp_path):
    weights = load_file(study.high)
    weights["conv1.0.weight"] = torch.full_like(weights["conv1.0.weight"], float("nan"))
    save_file(weights, tmp_path / "nan.safetensors")
    card = json.loads(study.high.with_suffix(".json").read_text())
    card["model"]["sha256"] = sha256(tmp_path / "nan.safetensors")
    (tmp_path / "nan.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"nan\.safetensors: .*diverged"):
        diffusion(compose("diffusion", [*pair, f"high={tmp_path}/nan.safetensors"]))


def test_a_class_that_a_split_lacks(compose, data, study, tmp_path, monkeypatch):
    def without_coats(settings, models):
        found = load_same_data(settings, models)
        images, labels = found.splits["val"]
        found.splits["val"] = images[labels != 4], labels[labels != 4]
        return found

    monkeypatch.setattr("vision.project.load_same_data", without_coats)
    with pytest.raises(UserError, match="val has no image of coat"):
        project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}/out"]))
    assert not (tmp_path / "out").exists()


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


def test_projection_against_numpy(compose, data, study, tmp_path):
    """QR of the classifier's rows with their bias, then an SVD of train points and centroids, used for both splits."""
    settings = compose(
        "project", [*data, f"students=[{study.low}]", f"output={tmp_path}", "train_images=5", "validation_images=2"]
    )
    project(settings)
    panels = {panel.split: panel for panel in read_result(tmp_path / "result.json").panels}
    chosen, names = (2, 4, 1), ("pullover", "coat", "trouser")
    weights = load_file(study.low)
    rows = np.column_stack([weights["fc.weight"].numpy(), weights["fc.bias"].numpy()])[list(chosen)].astype(float)
    basis = np.linalg.qr(rows.T)[0]
    on_basis = {}
    for split, count in (("train", 5), ("val", 2)):
        features, labels = features_and_labels(study.low, settings, split)
        extended = np.column_stack([features.astype(float), np.ones(len(features))]) @ basis
        points = np.concatenate([extended[labels == k][:count] for k in chosen])
        on_basis[split] = points, np.stack([extended[labels == k].mean(0) for k in chosen])
    fitted_on = np.concatenate(on_basis["train"])
    axes = np.linalg.svd(fitted_on - fitted_on.mean(0), full_matrices=False)[2][:2]
    drawn = {
        s: [np.concatenate([p.points[n] for n in names]), np.array([p.centroids[n] for n in names])]
        for s, p in panels.items()
    }
    expected = {s: [(part - fitted_on.mean(0)) @ axes.T for part in parts] for s, parts in on_basis.items()}
    signs = np.sign((drawn["train"][0] * expected["train"][0]).sum(0))  # an SVD leaves the signs of its axes open
    for split in ("train", "val"):
        for ours, theirs in zip(drawn[split], expected[split], strict=True):
            np.testing.assert_allclose(ours, theirs * signs, atol=2e-4)


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
