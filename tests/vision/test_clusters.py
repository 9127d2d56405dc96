"""`python -m vision.clusters` on the tiny study; the oracle is each definition in numpy on a whole split's features."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.errors import UserError
from shared.results import read_result
from tests.vision.in_numpy import brute_force_centroids, features_and_labels
from vision.checkpoint import load_card, load_export
from vision.clusters import clusters
from vision.diffusion import diffusion

# data.sets of Fashion-MNIST: pullover, coat and shirt against the rest
S1 = {2: [4, 6, 0], 4: [2, 6, 0], 6: [4, 2, 0]}
S2 = [1, 5, 7, 8, 9]


@pytest.fixture
def common(study, tmp_path):
    return [f"data.data_dir={study.data}", "data.validation_size=60", f"output={tmp_path}"]


def by_definition(path, settings, split):
    features, labels = features_and_labels(path, settings, split)
    network, _ = load_export(path)
    head = network.get_classifier()
    with torch.no_grad():
        p = torch.softmax(head(torch.from_numpy(features)).double(), dim=1).numpy()
    features = features.astype(np.float64)
    centroids = np.stack([features[labels == k].mean(axis=0) for k in range(10)])
    own = [((features[labels == k] - centroids[k]) ** 2).sum(axis=1).mean() for k in range(10)]
    within = math.sqrt(np.mean(own))

    def distance(i, k):
        return np.linalg.norm(centroids[i] - centroids[k])

    between = np.mean([distance(i, k) for i in range(10) for k in range(i)])
    similar = np.mean([np.mean([distance(t, k) for k in members]) for t, members in S1.items()])
    unsteady = [((p[labels == k] - p[labels == k].mean(axis=0)) ** 2).sum(axis=1).mean() for k in range(10)]
    return {
        "spread": within / between,
        "within": within,
        "between": between,
        "similar": similar / between,
        "dissimilar": np.mean([np.mean([distance(t, k) for k in S2]) for t in S1]) / between,
        "separation": similar / within,
        "stability": 1 - np.mean(unsteady),
        "confidence": p.max(axis=1).mean(),
    }


def test_every_metric_against_its_definition(compose, common, study, tmp_path, capsys):
    settings = compose("clusters", [*common, f"checkpoint={study.low}"])
    clusters(settings)
    record = read_result(tmp_path / "result.json")
    for split, count in (("train", 200), ("val", 60)):
        expected = by_definition(study.low, settings, split)
        found = {name: record.metrics[f"{split}/{name}"] for name in expected}
        assert {name: metric.value for name, metric in found.items()} == pytest.approx(expected, rel=2e-4)
        assert {metric.count for metric in found.values()} == {count}
    assert len(record.metrics) == 16
    assert (record.kind, record.task, record.teacher.alpha) == ("clusters", "image-classification", 0.1)
    assert record.models == [load_card(study.low).model]
    assert (
        "coat (explicit): S1 pullover, shirt, T-shirt/top; S2 trouser, sandal, sneaker, bag, ankle boot" in record.notes
    )
    shown = capsys.readouterr().out
    assert "3 targets, sets: explicit" in shown
    assert f"{record.metrics['train/spread'].value:.4f}" in shown


def test_a_teachers_own_centroids_choose_the_nearest_classes(compose, common, study, tmp_path):
    settings = compose(
        "clusters", [*common, f"checkpoint={study.teacher}", "sets=nearest", "targets=[bag]", "s1_size=2"]
    )
    clusters(settings)
    record = read_result(tmp_path / "result.json")
    centroids = brute_force_centroids(study.teacher, settings, "train")
    names = load_card(study.teacher).class_names
    near = sorted(np.linalg.norm(centroids - centroids[8], axis=1).argsort()[1:3])
    assert record.notes == [f"bag (nearest centroids): S1 {', '.join(names[k] for k in near)}; S2 every other class"]
    assert record.teacher is None
    assert record.metrics["train/similar"].value < 1 < record.metrics["train/dissimilar"].value


def test_a_given_models_centroids_choose_them_for_any_other(compose, common, study, tmp_path):
    nearest = [*common, "sets=nearest", f"teacher={study.teacher}", "s1_size=2"]
    told = []
    for checkpoint in (study.teacher, study.low, study.high):
        clusters(compose("clusters", [*nearest, f"checkpoint={checkpoint}"]))
        told.append(read_result(tmp_path / "result.json").notes)
    assert told[0] == told[1] == told[2]
    sha256 = load_card(study.teacher).model.sha256[:12]
    assert told[0][0].endswith(f"(teacher, alpha 0.1, sha256 {sha256})")
    with pytest.raises(UserError, match="is a student; sets=nearest wants teacher="):
        clusters(compose("clusters", [*common, "sets=nearest", f"checkpoint={study.low}"]))
    with pytest.raises(UserError, match="s1_size is 9; of 10 classes it must be 1 to 8"):
        clusters(compose("clusters", [*nearest, f"checkpoint={study.low}", "s1_size=9"]))


def test_a_foreign_checkpoint(compose, common, study, tmp_path):
    """The same weights as somebody else would save them, with what they do not say."""
    card = load_card(study.teacher)
    torch.save({"arch": card.arch, "state_dict": load_file(study.teacher)}, tmp_path / "foreign.pth")
    known = [f"network.mean={card.mean}", f"network.std={card.std}", "network.alpha=0.1"]
    kwargs = [f"+network.kwargs.{name}={value}" for name, value in card.kwargs.items()]
    clusters(compose("clusters", [*common, f"checkpoint={study.teacher}", "data.validation_size=60"]))
    ours = read_result(tmp_path / "result.json")
    foreign = [f"checkpoint={tmp_path}/foreign.pth", *(word.replace(" ", "") for word in (*known, *kwargs))]
    clusters(compose("clusters", [*common, *foreign]))
    theirs = read_result(tmp_path / "result.json")
    assert (theirs.models[0].seed, theirs.models[0].alpha, theirs.teacher) == (None, 0.1, None)
    for name in ("spread", "stability", "separation"):
        assert theirs.metrics[f"val/{name}"].value == pytest.approx(ours.metrics[f"val/{name}"].value, rel=1e-5)
    assert theirs.metrics["train/spread"].count == 240  # nobody knows that it saw 200 of them


def test_names_differ_where_models_or_sets_do(compose, common, study, tmp_path):
    names = []
    for words in (
        [f"checkpoint={study.low}"],
        [f"checkpoint={study.high}"],
        [f"checkpoint={study.low}", "targets=[coat]"],
    ):
        clusters(compose("clusters", [*common, *words]))
        names.append(read_result(tmp_path / "result.json").name)
    assert len(set(names)) == 3
    assert names[0].startswith("fashion_mnist-tiny-resnet-clusters-a0.1-T1-explicit-seed")
    clusters(compose("clusters", [*common, f"checkpoint={study.low}", "name=mine"]))
    assert read_result(tmp_path / "result.json").name == "mine"


def test_unknown_classes_and_other_data_are_refused_before_anything_is_read(
    compose, common, study, tmp_path, monkeypatch
):
    monkeypatch.setattr("vision.clusters.FeatureReader.batches", lambda *_: pytest.fail("images were read"))
    with pytest.raises(UserError, match="hat"):
        clusters(compose("clusters", [*common, f"checkpoint={study.teacher}", "sets=nearest", "targets=[hat]"]))
    with pytest.raises(UserError, match=r"validation_size of .* differ: 60 and 50"):
        clusters(compose("clusters", [*common, f"checkpoint={study.low}", "data.validation_size=50"]))
    card = json.loads(study.teacher.with_suffix(".json").read_text())
    card["class_names"] = card["class_names"][::-1]
    (tmp_path / "other.safetensors").write_bytes(study.teacher.read_bytes())
    (tmp_path / "other.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"class names of .*other\.safetensors and of fashion_mnist differ"):
        clusters(
            compose(
                "clusters",
                [*common, f"checkpoint={study.low}", "sets=nearest", f"teacher={tmp_path}/other.safetensors"],
            )
        )


def test_eta_of_a_record_has_its_null(compose, common, study, tmp_path):
    diffusion(compose("diffusion", [*common, f"low={study.low}", f"high={study.high}", "normalization=all"]))
    first = read_result(tmp_path / "result.json").eta
    nulls = [row.null for row in first]
    assert all(null is not None and null.exact for null in nulls)
    assert [null.draws for null in nulls[:2]] == [math.comb(9, 3), math.comb(9, 5)]
    assert all(1 / null.draws <= null.p_value <= 1 for null in nulls)
    assert all(null.low <= null.mean <= null.high for null in nulls)
    diffusion(compose("diffusion", [*common, f"low={study.low}", f"high={study.high}", "normalization=all"]))
    assert read_result(tmp_path / "result.json").eta == first
