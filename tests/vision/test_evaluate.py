import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from shared.errors import UserError
from shared.naming import unique_name
from shared.predictions import read_predictions
from shared.results import read_result
from tests.vision.generated import write_folder
from vision.checkpoint import load_card, load_export, save_export
from vision.class_table import ClassScore, class_scores, worst
from vision.data import load_data
from vision.evaluate import evaluate
from vision.models import build_model


@pytest.fixture
def data(study):
    return [f"data.data_dir={study.data}", "data.validation_size=60"]


@pytest.fixture
def scored(compose, data, study, tmp_path):
    def run(*overrides, checkpoint=study.low):
        settings = compose("evaluate", [*data, f"checkpoint={checkpoint}", f"output={tmp_path}/out", *overrides])
        evaluate(settings)
        return settings, read_result(tmp_path / "out" / "result.json")

    return run


def test_the_scores_of_the_training_record(scored, study, capsys):
    _, result = scored("split=test")
    trained = read_result(study.low.with_name("result.json")).metrics
    assert set(result.metrics) == {f"test/{name}" for name in ("top1", "top5", "nll", "ece")}
    shown = capsys.readouterr().out
    for name, metric in result.metrics.items():
        assert metric.value == pytest.approx(trained[f"last/{name}"].value)
        assert f"{name}: {metric.value:.4f} {metric.unit} over 60 images" in shown
    assert result.teacher.sha256 == load_card(study.teacher).model.sha256


def test_predictions_are_those_of_the_network(scored, study, tmp_path):
    """By the network itself on the pixels, and every metric of the record from the file alone."""
    settings, result = scored("split=val")
    network, card = load_export(study.low)
    images = load_data(settings.data, 200).splits["val"]
    with torch.no_grad():
        logits = network.eval()((images.images / 255 - card.mean[0]) / card.std[0]).double().numpy()
    shifted = logits - logits.max(1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    saved = read_predictions(tmp_path / "out" / "predictions.npz")
    rows, labels = np.arange(60), images.labels.numpy()
    np.testing.assert_array_equal(saved.labels, labels)
    np.testing.assert_array_equal(saved.predicted, logits.argmax(1))
    np.testing.assert_allclose(saved.log_prob, log_probs[rows, labels], atol=1e-5)
    np.testing.assert_allclose(saved.confidence, np.exp(log_probs.max(1)), atol=1e-5)
    assert saved.ids.tolist() == [str(row) for row in rows]
    metrics = {name.removeprefix("val/"): metric.value for name, metric in result.metrics.items()}
    assert metrics["top1"] == pytest.approx(100 * (saved.predicted == saved.labels).mean())
    assert metrics["top5"] == pytest.approx(100 * saved.top5.mean())
    assert metrics["nll"] == pytest.approx(-saved.log_prob.mean())
    bins = np.ceil(saved.confidence * 15)
    gaps = [abs(((saved.predicted == saved.labels) - saved.confidence)[bins == b].sum()) for b in range(1, 16)]
    assert metrics["ece"] == pytest.approx(100 * sum(gaps) / 60)


def test_the_table_of_classes(scored, study, tmp_path, capsys):
    _, result = scored("classes=[coat,1]")
    saved = read_predictions(tmp_path / "out" / "predictions.npz")
    table = list(csv.DictReader((tmp_path / "out" / "classes.csv").open()))
    assert [row["class"] for row in table] == load_card(study.low).class_names
    assert sum(int(row["images"]) for row in table) == sum(int(row["predicted"]) for row in table) == 60
    assert 100 * sum(int(row["right"]) for row in table) / 60 == pytest.approx(result.metrics["test/top1"].value)
    for k, row in enumerate(table):
        hits = (saved.predicted == k)[saved.labels == k]
        assert (int(row["index"]), int(row["right"])) == (k, hits.sum())
        assert float(row["top1"]) == pytest.approx(100 * hits.mean(), abs=1e-4)
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    at = shown.index("class")
    assert shown[at + 1 : at + 3] == ["coat", "trouser"]
    assert "bag" not in shown


def test_the_ten_worst_classes_that_have_images():
    scores = [ClassScore(k, str(k), images=8 * (k != 3), right=(5 * k) % 9, predicted=8) for k in range(14)]
    shown = worst(scores)
    assert len(shown) == 10
    assert [one.right for one in shown] == sorted(one.right for one in scores if one.index != 3)[:10]
    assert scores[3].top1 is None


def test_a_class_without_images_or_predictions():
    class Saved:
        labels, predicted = np.array([0, 0, 2]), np.array([0, 2, 2])

    found = [(one.images, one.right, one.predicted, one.top1) for one in class_scores(Saved, ["a", "b", "c"])]
    assert found == [(2, 1, 1, 50.0), (0, 0, 0, None), (1, 1, 2, 100.0)]


def test_other_files_are_scored_where_the_user_says_so(compose, study, make_fashion_mnist, tmp_path):
    other = make_fashion_mnist(tmp_path / "other", test=50)
    overrides = [f"data.data_dir={other}", "data.validation_size=60", f"checkpoint={study.low}", f"output={tmp_path}"]
    with pytest.raises(UserError, match=r"sha256 of the files.*"):
        evaluate(compose("evaluate", overrides))
    settings = compose("evaluate", [*overrides, "other_data=true", "data.mean=[0.5]", "data.std=[0.5]"])
    evaluate(settings)
    result = read_result(tmp_path / "result.json")
    assert result.notes == ["the model was not trained on these files"]
    network, card = load_export(study.low)
    images = load_data(settings.data, None).splits["test"]
    with torch.no_grad():
        logits = network.eval()((images.images / 255 - card.mean[0]) / card.std[0])
    assert result.metrics["test/top1"].count == 50
    assert result.metrics["test/top1"].value == pytest.approx(100 * (logits.argmax(1) == images.labels).double().mean())
    nll = torch.nn.functional.cross_entropy(logits, images.labels)
    assert result.metrics["test/nll"].value == pytest.approx(float(nll), rel=1e-4)


def test_a_checkpoint_is_scored_on_what_it_never_saw(compose, study, make_fashion_mnist, tmp_path):
    """As its export is: `config.yaml` beside it says of which files, and which images were held out."""
    checkpoint = f"checkpoint={study.low.with_name('last.ckpt')}"
    seen = [f"data.data_dir={study.data}", "data.validation_size=100", checkpoint, "split=val"]
    with pytest.raises(UserError, match=r"validation_size of .*last\.ckpt and of fashion_mnist differ: 60 and 100"):
        evaluate(compose("evaluate", seen))
    evaluate(compose("evaluate", [*seen, "other_data=true"]))
    other = make_fashion_mnist(tmp_path / "other", test=50)
    with pytest.raises(UserError, match=r"sha256 of the files of .*last\.ckpt"):
        evaluate(compose("evaluate", [f"data.data_dir={other}", "data.validation_size=60", checkpoint]))


@pytest.fixture
def resized(compose, study, tmp_path):
    """Settings of a data set on disk, and `export(resize=..., ...)`: a model that was trained there so."""
    root = write_folder(tmp_path / "birds")
    settings = ["data=folder", f"data.data_dir={root}", "data.validation_size=4", "data.image_size=32"]
    settings.append("loader.workers=0")
    data = load_data(compose("evaluate", [*settings, "checkpoint=x"]).data, None)

    def export(**unusual):
        card = load_card(study.teacher)
        recipe = card.model.recipe | {"train_size": None, "validation_size": 4} | unusual
        card = dataclasses.replace(
            card,
            **{"image_shape": list(data.image_shape), "class_names": data.class_names, "data_sha256": data.sha256},
            **{"mean": data.mean, "std": data.std, "model": dataclasses.replace(card.model, recipe=recipe)},
        )
        torch.manual_seed(0)
        save_export(tmp_path / "last.safetensors", card.build(), card)
        return f"checkpoint={tmp_path}/last.safetensors"

    return settings, export


@pytest.mark.parametrize(
    ("trained", "measured", "message"),
    [
        ({"resize": 48}, [], r"was trained with data\.resize=48, folder is read with 256; set it so"),
        ({}, ["data.resize=48"], r"was trained with data\.resize=256, folder is read with 48; set it so"),
        ({"interpolation": "bicubic"}, ["data.interpolation=bilinear"], r"data\.interpolation=bicubic, .* bilinear;"),
        ({"resize": None}, ["data.resize=48"], r"was trained with data\.resize=None, folder is read with 48;"),
    ],
)
def test_images_resized_otherwise_are_refused(resized, compose, trained, measured, message):
    settings, export = resized
    with pytest.raises(UserError, match=message):
        evaluate(compose("evaluate", [*settings, *measured, export(**trained)]))


def test_a_name_says_how_images_were_resized_where_that_is_not_as_usual(resized, compose, tmp_path):
    settings, export = resized
    overrides = [*settings, export(), f"output={tmp_path}"]
    records = []
    for asked in ([], ["data.resize=48", "other_data=true"], ["data.interpolation=bicubic", "other_data=true"]):
        evaluate(compose("evaluate", [*overrides, *asked]))
        records.append(read_result(tmp_path / "result.json"))
    card, sha256 = load_card(tmp_path / "last.safetensors"), records[0].data.sha256
    parts = ["folder", card.model.arch, "teacher", "test"]
    assert records[0].name == unique_name(parts, [card.model], "test", sha256)
    assert len({record.name for record in records}) == 3


def test_a_checkpoint_of_a_stranger(scored, study, tmp_path):
    """A plain state_dict, whose normalization the user tells: the scores of the export that it was taken from."""
    network, card = load_export(study.low)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "stranger.pth")
    known = [f"network.arch={card.arch}", f"network.mean={card.mean}", f"network.std={card.std}"]
    known += [f"+network.kwargs.{name}={value}" for name, value in card.kwargs.items()]
    _, ours = scored()
    _, theirs = scored(*known, "data.mean=[0.4]", "data.std=[0.2]", checkpoint=tmp_path / "stranger.pth")
    for name, metric in ours.metrics.items():
        assert theirs.metrics[name].value == pytest.approx(metric.value, rel=1e-4)
    assert (theirs.teacher, theirs.models[0].seed) == (None, None)
    assert theirs.models[0].sha256 != ours.models[0].sha256


def test_what_does_not_fit(compose, data, study, tmp_path):
    card = load_card(study.low)
    fewer = dataclasses.replace(card, class_names=card.class_names[:9])
    save_export(tmp_path / "nine.safetensors", fewer.build(), fewer)
    with pytest.raises(UserError, match="knows 9 classes"):
        evaluate(compose("evaluate", [*data, f"checkpoint={tmp_path}/nine.safetensors", "other_data=true"]))
    swapped = json.loads(study.low.with_suffix(".json").read_text())
    swapped["class_names"] = swapped["class_names"][::-1]
    (tmp_path / "swapped.safetensors").write_bytes(study.low.read_bytes())
    (tmp_path / "swapped.json").write_text(json.dumps(swapped))
    with pytest.raises(UserError, match="in another order"):
        evaluate(compose("evaluate", [*data, f"checkpoint={tmp_path}/swapped.safetensors", "other_data=true"]))
    with pytest.raises(UserError, match="no such file"):
        evaluate(compose("evaluate", [*data, f"checkpoint={tmp_path}/absent.safetensors"]))
    assert not (tmp_path / "out").exists()


def test_images_on_disk_by_a_network_from_elsewhere(compose, tmp_path):
    """Predictions are of the files that they name, whatever the loader: each image decoded again, on its own."""
    root = write_folder(tmp_path / "birds", size=(32, 32))
    torch.manual_seed(0)
    kwargs = {"layers": [1, 1, 1, 1], "channels": [4, 4, 4, 8]}
    network = build_model("resnet18", 4, (3, 32, 32), kwargs)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "net.pth")
    known = ["network.arch=resnet18", *(f"+network.kwargs.{name}={value}" for name, value in kwargs.items())]
    folder = ["data=folder", f"data.data_dir={root}", "data.validation_size=4", "data.image_size=32", "data.resize=32"]
    overrides = [*folder, *known, "network.mean=[0.5,0.5,0.5]", "network.std=[0.5,0.5,0.5]", "loader.workers=0"]
    evaluate(compose("evaluate", [*overrides, f"checkpoint={tmp_path}/net.pth", f"output={tmp_path}/out"]))
    saved = read_predictions(tmp_path / "out" / "predictions.npz")
    assert sorted(saved.ids.tolist()) == sorted(
        path.relative_to(root / "val").as_posix() for path in root.glob("val/*/*")
    )
    for name, label, log_prob in zip(saved.ids, saved.labels, saved.log_prob, strict=True):
        pixels = np.asarray(Image.open(root / "val" / name)).astype(np.float32) / 255
        with torch.no_grad():
            logits = network(torch.from_numpy((pixels - 0.5) / 0.5).permute(2, 0, 1)[None])
        assert name.startswith(f"class_{label}/")
        assert log_prob == pytest.approx(float(logits.log_softmax(1)[0, label]), abs=1e-4)
