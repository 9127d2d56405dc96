"""Several models that answer together, against numpy on each network's own logits."""

import dataclasses

import numpy as np
import pytest
import torch

from shared.errors import UserError
from shared.predictions import read_predictions
from shared.results import read_result
from vision.checkpoint import load_card, load_export, save_export
from vision.data import load_data
from vision.evaluate import evaluate


@pytest.fixture
def data(study):
    return [f"data.data_dir={study.data}", "data.validation_size=60"]


def listed(*paths):
    return f"checkpoint=[{','.join(map(str, paths))}]"


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def own_logits(path, pixels):
    """Float64, of the network alone on raw pixels, normalized as its card says."""
    network, card = load_export(path)
    with torch.no_grad():
        return network.eval()((pixels / 255 - card.mean[0]) / card.std[0]).double().numpy()


@pytest.mark.parametrize("by", ["logits", "probabilities", "vote"])
def test_the_combined_prediction(compose, data, study, tmp_path, capsys, by):
    members = (study.teacher, study.low, study.high)
    settings = compose("evaluate", [*data, listed(*members), f"ensemble={by}", f"output={tmp_path}"])
    evaluate(settings)
    split = load_data(settings.data, 200).splits["test"]
    logits = np.stack([own_logits(path, split.images) for path in members])
    expected = softmax(logits.mean(0)) if by == "logits" else softmax(logits).mean(0)
    if by == "vote":
        expected = ((logits.argmax(-1)[..., None] == np.arange(10)).sum(0) + expected) / 4
    rows, labels = np.arange(60), split.labels.numpy()
    saved, result = read_predictions(tmp_path / "predictions.npz"), read_result(tmp_path / "result.json")
    np.testing.assert_array_equal(saved.predicted, expected.argmax(1))
    np.testing.assert_allclose(saved.log_prob, np.log(expected[rows, labels]), atol=1e-4)
    assert result.metrics["test/top1"].value == pytest.approx(100 * (expected.argmax(1) == labels).mean())
    best = np.argsort(-expected, axis=1)[:, :5]
    assert result.metrics["test/top5"].value == pytest.approx(100 * (best == labels[:, None]).any(1).mean())
    assert result.metrics["test/nll"].value == pytest.approx(-np.log(expected[rows, labels]).mean(), rel=1e-4)
    assert (result.kind, result.combination, result.teacher) == ("ensemble", by, None)
    assert [model.sha256 for model in result.models] == [load_card(path).model.sha256 for path in members]
    assert ("top-1 and top-5 are meaningful" in capsys.readouterr().out) == (by == "vote")
    assert len(result.notes) == (by == "vote")


def test_each_member_keeps_its_own_normalization(compose, study, data, tmp_path):
    """A member that was trained on other inputs: its weights are those of another, its card says other means."""
    network, card = load_export(study.low)
    biased = network.state_dict()
    head = next(name for name in reversed(biased) if name.endswith("bias"))
    biased[head] += torch.linspace(0.0, 1.0, 10)  # another network, so that it may stand beside the first
    network.load_state_dict(biased)
    save_export(tmp_path / "moved.safetensors", network, dataclasses.replace(card, mean=[0.6], std=[0.2]))
    members = (study.low, tmp_path / "moved.safetensors")
    settings = compose("evaluate", [*data, listed(*members), "other_data=true", f"output={tmp_path}"])
    evaluate(settings)
    split = load_data(settings.data, None).splits["test"]
    expected = softmax(np.mean([own_logits(path, split.images) for path in members], axis=0))
    saved = read_predictions(tmp_path / "predictions.npz")
    np.testing.assert_allclose(saved.log_prob, np.log(expected[np.arange(60), split.labels.numpy()]), atol=1e-4)


def test_a_list_of_one_is_the_model(compose, study, data, tmp_path):
    for name, given in (("alone", f"checkpoint={study.low}"), ("listed", listed(study.low))):
        evaluate(compose("evaluate", [*data, given, f"output={tmp_path / name}"]))
    alone, one = (read_result(tmp_path / name / "result.json") for name in ("alone", "listed"))
    assert (one.kind, one.name, one.metrics, one.teacher) == ("model", alone.name, alone.metrics, alone.teacher)


def test_a_student_of_several_teachers_names_them_all(compose, study, data, tmp_path):
    network, card = load_export(study.low)
    teachers = [card.teacher, dataclasses.replace(card.teacher, sha256="0" * 64)]
    save_export(tmp_path / "student.safetensors", network, dataclasses.replace(card, teachers=teachers))
    evaluate(compose("evaluate", [*data, f"checkpoint={tmp_path}/student.safetensors", f"output={tmp_path}"]))
    result = read_result(tmp_path / "result.json")
    assert (result.kind, result.teacher, result.teachers) == ("model", teachers[0], teachers)


def test_names_tell_the_combinations_apart(compose, study, data, tmp_path):
    names = set()
    for by in ("logits", "vote"):
        evaluate(compose("evaluate", [*data, listed(study.low, study.high), f"ensemble={by}", f"output={tmp_path}"]))
        names.add(read_result(tmp_path / "result.json").name)
    assert {name.rsplit("-", 1)[0] for name in names} == {
        f"fashion_mnist-{load_card(study.low).model.arch}-ensemble2-{by}-test" for by in ("logits", "vote")
    }


def test_what_is_no_ensemble(compose, data, study, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(study.low.read_bytes())
    copy.with_suffix(".json").write_bytes(study.low.with_suffix(".json").read_bytes())
    for twin in (copy, study.low.with_name("last.ckpt")):  # one of other bytes, the run's checkpoint
        with pytest.raises(UserError, match="are the same network"):
            evaluate(compose("evaluate", [*data, listed(study.low, study.high, twin)]))
    for overrides, message in (
        (["checkpoint=[]"], r"checkpoint is \[\]; it must be a path, or several"),
        (["checkpoint=[a,3]"], "it must be a path, or several"),
        (["checkpoint=3"], "it must be a path, or several"),
        (["checkpoint=[a,b]", "ensemble=mean"], "ensemble is 'mean'; choose one of logits, probabilities, vote"),
        (["checkpoint=a", "ensemble=vote"], "this is one"),
        (["checkpoint=[a]", "ensemble=vote"], "this is one"),
    ):
        with pytest.raises(UserError, match=message):
            compose("evaluate", overrides)
