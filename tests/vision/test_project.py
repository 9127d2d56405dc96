import dataclasses
import json

import numpy as np
import pytest
from safetensors.torch import load_file

from shared.errors import UserError
from shared.report.projection_figure import draw_projection
from shared.report.text import ALPHA
from shared.results import read_result
from tests.vision.in_numpy import features_and_labels
from vision.checkpoint import load_card, save_export
from vision.data.image_data import ImageTensors
from vision.project import project
from vision.trained_on import load_same_data

NAMES, CLASSES = ("pullover", "coat", "trouser"), (2, 4, 1)


@pytest.fixture
def data(study):
    return [f"data.data_dir={study.data}", "data.validation_size=60"]


@pytest.fixture
def draw(compose, data, tmp_path):
    def drawn(students, *overrides):
        listed = ",".join(map(str, students))
        settings = compose("project", [*data, f"students=[{listed}]", f"output={tmp_path}", *overrides])
        project(settings)
        return settings, read_result(tmp_path / "result.json")

    return drawn


def of_another_alpha(export, folder, alpha=0.0):
    """A copy of a student's export whose card says that its teacher had this alpha."""
    card = json.loads(export.with_suffix(".json").read_text())
    card["teacher"]["alpha"] = alpha
    copy = folder / f"{export.parent.name}-a{alpha}.safetensors"
    copy.write_bytes(export.read_bytes())
    copy.with_suffix(".json").write_text(json.dumps(card))
    return copy


def test_the_papers_figure_and_single_panels(draw, study, tmp_path):
    """Two rows (train, val) by four columns (alpha 0 and 0.1, T low and high)."""
    plain = [of_another_alpha(export, tmp_path) for export in (study.low, study.high)]
    counts = ("train_images=5", "validation_images=2")
    _, result = draw([*plain, study.low, study.high], *counts, "single_panels=true")
    columns = [(0.0, 1.0), (0.0, 3.0), (0.1, 1.0), (0.1, 3.0)]
    assert [(p.split, p.teacher_alpha, p.temperature) for p in result.panels] == [
        (split, *column) for split in ("train", "val") for column in columns
    ]
    pictures = {f"projection-{s}-a{a:g}-T{t:g}.png" for s in ("train", "val") for a, t in columns}
    assert {path.name for path in tmp_path.glob("*.png")} == {"projection.png", *pictures}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.glob("*.png"))
    assert [model.temperature for model in result.models] == [1.0, 3.0, 1.0, 3.0] * 2
    for panel in result.panels:
        assert list(panel.points) == list(panel.centroids) == list(NAMES)
        assert {len(points) for points in panel.points.values()} == {5 if panel.split == "train" else 2}
        assert panel.basis is None


def test_a_teacher_may_stand_beside_its_students(draw, study):
    _, result = draw([study.teacher, study.low])
    assert [(p.teacher_alpha, p.temperature) for p in result.panels] == [(0.1, None), (0.1, 1.0)] * 2


def test_a_teacher_of_unknown_alpha_is_not_taken_for_one_of_alpha_0(draw, study, tmp_path):
    students = [of_another_alpha(study.low, tmp_path, alpha) for alpha in (None, 0.0)]
    _, result = draw(students, "single_panels=true", "train_images=5", "validation_images=2")
    assert [(p.teacher_alpha, p.temperature) for p in result.panels] == [(None, 1.0), (0.0, 1.0)] * 2
    titles = [axes.get_title() for axes in draw_projection(result.panels).axes]
    assert titles[:2] == [f"teacher {ALPHA} {known}\nstudent, T = 1" for known in ("= 0", "unknown")]
    assert (tmp_path / "projection-val-a-unknown-T1.png").is_file()


def basis_and_axes(export, settings):
    """QR of the classifier's rows with their bias, then an SVD of train points and centroids."""
    weights = load_file(export)
    rows = np.column_stack([weights["fc.weight"].numpy(), weights["fc.bias"].numpy()])[list(CLASSES)].astype(float)
    basis = np.linalg.qr(rows.T)[0]
    points, centroids = on_basis(export, settings, "train", basis)
    fitted_on = np.concatenate([*points, centroids])
    middle = fitted_on.mean(0)
    return basis, middle, np.linalg.svd(fitted_on - middle, full_matrices=False)[2][:2].T


def on_basis(export, settings, split, basis):
    """Points [n, 3] of each class, all of them, and their means [3, 3]."""
    features, labels = features_and_labels(export, settings, split)
    extended = np.column_stack([features.astype(float), np.ones(len(features))]) @ basis
    points = [extended[labels == k] for k in CLASSES]
    return points, np.stack([part.mean(0) for part in points])


def sorted_rows(points):
    return np.array(sorted(np.asarray(points).tolist()))


@pytest.mark.parametrize("shared", [False, True])
def test_projection_against_numpy(draw, study, shared):
    """With `basis=shared`, the axes of the second student are the first's."""
    overrides = ("train_images=1000", "validation_images=1000", f"basis={'shared' if shared else 'own'}")
    settings, result = draw([study.low, study.high], *overrides)
    assert {panel.basis for panel in result.panels} == {result.models[0].sha256 if shared else None}
    for export, temperature in ((study.low, 1.0), (study.high, 3.0)):
        basis, middle, axes = basis_and_axes(study.low if shared else export, settings)
        panels = {panel.split: panel for panel in result.panels if panel.temperature == temperature}
        signs = None
        for split in ("train", "val"):
            points, centroids = on_basis(export, settings, split, basis)
            stars = np.array([panels[split].centroids[name] for name in NAMES])
            expected = (centroids - middle) @ axes
            if signs is None:
                signs = np.sign((stars * expected).sum(0))  # an SVD leaves the signs of its axes open
            np.testing.assert_allclose(stars, expected * signs, atol=5e-4)
            for name, part in zip(NAMES, points, strict=True):
                ours, theirs = sorted_rows(panels[split].points[name]), sorted_rows((part - middle) @ axes * signs)
                np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_points_are_a_sample_that_models_share(draw, study):
    _, whole = draw([study.low], "train_images=1000")
    _, some = draw([study.low], "train_images=4")
    for name in NAMES:
        sample, points = some.panels[0].points[name], whole.panels[0].points[name]
        assert len(sample) == 4 < len(points)
    assert some.panels[0].centroids.keys() == whole.panels[0].centroids.keys()
    _, again = draw([study.low], "train_images=4")
    assert again.panels == some.panels


def test_one_basis_wants_one_dimension(draw, study, tmp_path):
    card = load_card(study.high)
    wider = dataclasses.replace(card, kwargs=card.kwargs | {"channels": [4, 4, 4, 24]})
    save_export(tmp_path / "wide.safetensors", wider.build(), wider)
    with pytest.raises(UserError, match=r"one dimension; .*last\.safetensors has \d+, .*wide\.safetensors 24"):
        draw([study.low, tmp_path / "wide.safetensors"], "basis=shared")


def test_classes_by_index(draw, study):
    _, result = draw([study.low], "classes=[coat,6,8]")
    assert list(result.panels[0].points) == ["coat", "shirt", "bag"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("classes=[coat,4,bag]", "names a class twice"),
        ("classes=[coat,bag]", "name three classes"),
        ("classes=[coat,bag,hat]", "hat"),
    ],
)
def test_projection_needs_three_known_classes(draw, study, override, message):
    with pytest.raises(UserError, match=message):
        draw([study.low], override)


def test_a_checkpoint_whose_training_images_nobody_knows_has_no_train_panel(draw, study):
    with pytest.raises(UserError, match=r"last\.ckpt does not say .* e\.g\. .*last\.safetensors"):
        draw([study.low, study.high.with_name("last.ckpt")])


def test_projection_refuses_two_models_for_one_column(draw, study):
    with pytest.raises(UserError, match="same alpha and temperature"):
        draw([study.low, study.low])


def test_a_class_that_a_split_lacks(compose, data, study, tmp_path, monkeypatch):
    def without_coats(settings, cards):
        found = load_same_data(settings, cards)
        val = found.splits["val"]
        kept = ImageTensors(val.images[val.labels != 4], val.labels[val.labels != 4])
        return dataclasses.replace(found, splits=found.splits | {"val": kept})

    monkeypatch.setattr("vision.project.load_same_data", without_coats)
    with pytest.raises(UserError, match="val has no image of coat"):
        project(compose("project", [*data, f"students=[{study.low}]", f"output={tmp_path}/out"]))
    assert not (tmp_path / "out").exists()
