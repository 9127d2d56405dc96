"""`python -m vision.advise` on the tiny study; the oracles are the definitions in numpy, and the study's records."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.errors import UserError
from tests.vision.in_numpy import features_and_labels
from vision.advise import give_advice
from vision.checkpoint import load_card, load_export
from vision.clusters import clusters


@pytest.fixture
def common(study):
    return [f"data.data_dir={study.data}", "data.validation_size=60"]


def probabilities(path, settings, split):
    features, labels = features_and_labels(path, settings, split)
    network, _ = load_export(path)
    with torch.no_grad():
        logits = network.get_classifier()(torch.from_numpy(features)).double()
    return torch.softmax(logits, dim=1).numpy(), labels


def by_definition(p, labels):
    right = p.argmax(axis=1) == labels
    own = p[np.arange(len(p)), labels]
    wrong = np.stack([np.delete(row, label) for row, label in zip(p, labels, strict=True)])
    wrong /= wrong.sum(axis=1, keepdims=True)
    return {
        "accuracy": right.mean(),
        "confidence": p.max(axis=1).mean(),
        "entropy": -(p * np.log(p)).sum(axis=1).mean(),
        "right_probability": own[right].mean(),
        "implied_alpha": (1 - own[right].mean()) * 10 / 9,
        "evenness": (-(wrong * np.log(wrong)).sum(axis=1) / math.log(9)).mean(),
    }


def test_measures_are_the_definitions_and_the_studys_students_are_the_evidence(
    compose, common, study, tmp_path, capsys
):
    settings = compose(
        "advise", [*common, f"checkpoint={study.teacher}", f"evidence={study.root}", f"output={tmp_path}"]
    )
    give_advice(settings)
    told = json.loads((tmp_path / "advice.json").read_text())
    for split, count in (("train", 200), ("val", 60)):
        found = told["measures"][split]["smoothness"]
        expected = by_definition(*probabilities(study.teacher, settings, split))
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=2e-4)
        assert found["count"] == count
    [choice] = told["choices"]
    assert [one["temperature"] for one in choice["students"]] == [1.0, 3.0]
    assert choice["students"][0]["records"] == [str(study.low.parent / "result.json")]
    assert told["temperature"] == 1.0
    shown = capsys.readouterr().out
    assert "train: 200 of 200 images" in shown
    assert "its card says 0.1" in shown
    assert "recommendation: T = 1, loss kd" in shown
    assert shown.endswith(f"{tmp_path}/advice.json\n")


def test_spread_and_confidence_are_those_of_clusters(compose, common, study, tmp_path):
    clusters(compose("clusters", [*common, f"checkpoint={study.teacher}", f"output={tmp_path}/evidence"]))
    evidence = [f"evidence={tmp_path}/evidence", f"output={tmp_path}"]
    give_advice(compose("advise", [*common, f"checkpoint={study.teacher}", *evidence]))
    told = json.loads((tmp_path / "advice.json").read_text())
    metrics = json.loads((tmp_path / "evidence" / "result.json").read_text())["metrics"]
    for split in ("train", "val"):
        tightness = told["measures"][split]["tightness"]
        assert tightness["spread"] == pytest.approx(metrics[f"{split}/spread"]["value"], rel=1e-5)
        assert tightness["stability"] == pytest.approx(metrics[f"{split}/stability"]["value"], rel=1e-5)
    [teachers] = told["teachers"]
    assert teachers["ours"] == pytest.approx(teachers["theirs"]["mean"], rel=1e-5)
    assert told["likeness"]["alphas"] == [0.1]


def test_a_sample_of_a_foreign_checkpoint_whose_alpha_nobody_says(
    compose, common, study, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where there is no results/
    card = load_card(study.teacher)
    torch.save({"arch": card.arch, "state_dict": load_file(study.teacher)}, tmp_path / "foreign.pth")
    known = [f"network.mean={card.mean}", f"network.std={card.std}"]
    kwargs = [f"+network.kwargs.{name}={value}" for name, value in card.kwargs.items()]
    words = [word.replace(" ", "") for word in (*known, *kwargs)]
    give_advice(compose("advise", [*common, f"checkpoint={tmp_path}/foreign.pth", *words, "images=50"]))
    shown = capsys.readouterr().out
    assert "train: 50 of 240 images" in shown
    assert "its card does not say" in shown
    assert "the paper's published ones, of one seed" in shown
    assert "recommendation: T = 1, loss kd" in shown  # for either alpha of the paper
    assert list(tmp_path.iterdir()) == [tmp_path / "foreign.pth"]


def test_bad_input_is_refused_before_anything_is_read(compose, common, study, tmp_path, monkeypatch):
    monkeypatch.setattr("vision.advise.FeatureReader.batches", lambda *_: pytest.fail("images were read"))
    with pytest.raises(UserError, match="is a student; name the teacher"):
        give_advice(compose("advise", [*common, f"checkpoint={study.low}"]))
    with pytest.raises(UserError, match="no such folder of evidence"):
        give_advice(compose("advise", [*common, f"checkpoint={study.teacher}", f"evidence={tmp_path}/nowhere"]))
    with pytest.raises(UserError, match=r"holds no result\.json"):
        give_advice(compose("advise", [*common, f"checkpoint={study.teacher}", f"evidence={tmp_path}"]))
    with pytest.raises(UserError, match="images is 0; it must be at least 1"):
        compose("advise", [*common, f"checkpoint={study.teacher}", "images=0"])
