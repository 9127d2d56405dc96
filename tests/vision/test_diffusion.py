import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.errors import UserError
from shared.files import sha256
from shared.results import read_result
from tests.vision.in_numpy import brute_force_centroids
from vision.checkpoint import load_card
from vision.diffusion import diffusion


@pytest.fixture
def pair(study, tmp_path):
    data = [f"data.data_dir={study.data}", "data.validation_size=60"]
    return [*data, f"low={study.low}", f"high={study.high}", f"output={tmp_path}"]


NORMALIZERS = {
    "none": lambda centroids, members: 1.0,
    "mean_pairwise": lambda centroids, members: np.mean(
        [np.linalg.norm(centroids[i] - centroids[k]) for i in range(10) for k in range(i)]
    ),
    "target_mean": lambda centroids, members: np.mean([np.linalg.norm(centroids[4] - centroids[k]) for k in members]),
}


def test_eta_under_every_normalization_against_brute_force(compose, pair, study, tmp_path, capsys):
    settings = compose("diffusion", [*pair, "normalization=all"])
    diffusion(settings)
    result = read_result(tmp_path / "result.json")
    assert (result.kind, [m.temperature for m in result.models], result.teacher.alpha) == ("diffusion", [1.0, 3.0], 0.1)
    assert len(result.eta) == 3 * 2 * 3 * 2  # normalizations, splits, targets, sets
    s1, s2 = [2, 6, 0], [1, 5, 7, 8, 9]
    names, shown = load_card(study.low).class_names, capsys.readouterr().out
    for split in ("train", "val"):
        centroids = [brute_force_centroids(path, settings, split) for path in (study.low, study.high)]
        for normalization, normalizer in NORMALIZERS.items():
            scales = [normalizer(c, [*s1, *s2]) for c in centroids]
            for set_name, members in (("S1", s1), ("S2", s2)):
                low, high = (
                    np.array([np.linalg.norm(c[4] - c[k]) / scale for k in members])
                    for c, scale in zip(centroids, scales, strict=True)
                )
                where = (split, "coat", set_name, normalization)
                [row] = [e for e in result.eta if (e.split, e.target, e.set_name, e.normalization) == where]
                assert row.members == [names[k] for k in members]
                assert row.value == pytest.approx(np.mean((high - low) / low), abs=2e-5)
            assert f"normalization {normalization};" in shown


def test_one_normalization_is_that_part_of_all(compose, pair, tmp_path):
    rows = {}
    for name in ("all", "target_mean"):
        diffusion(compose("diffusion", [*pair, f"normalization={name}"]))
        rows[name] = [e for e in read_result(tmp_path / "result.json").eta if e.normalization == "target_mean"]
    assert rows["all"] == rows["target_mean"]


def test_targets_by_name_or_index_and_in_their_order(compose, pair, tmp_path):
    diffusion(compose("diffusion", [*pair, "targets=[6,coat]"]))
    rows = read_result(tmp_path / "result.json").eta
    assert list(dict.fromkeys(row.target for row in rows)) == ["shirt", "coat"]
    with pytest.raises(UserError, match="names a class twice"):
        diffusion(compose("diffusion", [*pair, "targets=[coat,4]"]))
    with pytest.raises(UserError, match=r"no S1 and S2 for \['bag'\].*pullover, coat, shirt"):
        diffusion(compose("diffusion", [*pair, "targets=[8]"]))


def test_nearest_sets_are_the_teachers_nearest_centroids(compose, pair, study, tmp_path):
    settings = compose("diffusion", [*pair, "sets=nearest", f"teacher={study.teacher}", "s1_size=2", "targets=[bag]"])
    diffusion(settings)
    rows = read_result(tmp_path / "result.json").eta
    centroids = brute_force_centroids(study.teacher, settings, "train")
    order = np.linalg.norm(centroids - centroids[8], axis=1).argsort()[1:3]
    names = load_card(study.teacher).class_names
    assert sorted(rows[0].members) == sorted(names[k] for k in order)
    assert (rows[0].chosen_by, len(rows[1].members)) == ("nearest centroids", 7)
    chooser, sets = read_result(tmp_path / "result.json").notes
    assert load_card(study.teacher).model.sha256[:12] in chooser
    assert sets == f"bag (nearest centroids): S1 {', '.join(rows[0].members)}; S2 every other class"


def test_sets_of_a_file(compose, pair, tmp_path):
    (tmp_path / "mine.yaml").write_text("bag: {s1: [sandal, 7], s2: [coat]}\n")
    diffusion(compose("diffusion", [*pair, f"sets={tmp_path}/mine.yaml"]))
    rows = read_result(tmp_path / "result.json").eta
    assert {(row.target, row.set_name, *row.members) for row in rows} == {
        ("bag", "S1", "sandal", "sneaker"),
        ("bag", "S2", "coat"),
    }


def test_pairs_that_are_no_contrast_of_temperature(compose, pair, study):
    swapped = [*pair, f"low={study.high}", f"high={study.low}"]
    with pytest.raises(UserError, match=r"must rise from low to high.*T = 3.*T = 1"):
        diffusion(compose("diffusion", swapped))
    with pytest.raises(UserError, match="is a teacher"):
        diffusion(compose("diffusion", [*pair, f"low={study.teacher}"]))
    with pytest.raises(UserError, match="is not the teacher of"):
        diffusion(compose("diffusion", [*pair, "sets=nearest", f"teacher={study.low}"]))
    with pytest.raises(UserError, match="s1_size is 9; of 10 classes it must be 1 to 8"):
        diffusion(compose("diffusion", [*pair, "sets=nearest", f"teacher={study.teacher}", "s1_size=9"]))


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


def test_students_of_several_teachers_have_all_of_them_in_common(compose, pair, study, tmp_path):
    """A student of teachers A and B, and one of A and C, say nothing of T; the record names all teachers."""

    def of(path, *further):
        card = json.loads(path.with_suffix(".json").read_text())
        card["teachers"] = [card["teacher"], *({**card["teacher"], "sha256": other * 64} for other in further)]
        made = tmp_path / "".join((path.parent.name, *further, path.name))
        made.write_bytes(path.read_bytes())
        made.with_suffix(".json").write_text(json.dumps(card))
        return made

    low = f"low={of(study.low, 'b')}"
    for high in (study.high, of(study.high, "c")):
        with pytest.raises(UserError, match="differ in further teachers"):
            diffusion(compose("diffusion", [*pair, low, f"high={high}"]))
    diffusion(compose("diffusion", [*pair, low, f"high={of(study.high, 'b')}"]))
    assert [model.sha256[0] for model in read_result(tmp_path / "result.json").teachers][1] == "b"


def test_the_last_epoch_is_not_compared_with_the_best(compose, pair, study):
    with pytest.raises(UserError, match=r"differ in export \(last or best\) too \(last; best\)"):
        diffusion(compose("diffusion", [*pair, f"high={study.high.with_name('best.safetensors')}"]))


@pytest.mark.parametrize("value", [float("nan"), 1e30], ids=["weights are NaN", "features overflow"])
def test_a_diverged_model_gets_one_line(compose, pair, study, tmp_path, value):
    weights = load_file(study.high)
    for name in ("layer4.0.bn1.weight", "layer4.0.bn2.weight"):
        weights[name] = torch.full_like(weights[name], value)
    save_file(weights, tmp_path / "gone.safetensors")
    card = json.loads(study.high.with_suffix(".json").read_text())
    card["model"]["sha256"] = sha256(tmp_path / "gone.safetensors")
    (tmp_path / "gone.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"gone\.safetensors: .*diverged"):
        diffusion(compose("diffusion", [*pair, f"high={tmp_path}/gone.safetensors"]))
