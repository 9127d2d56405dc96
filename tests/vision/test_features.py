"""Penultimate features of every kind of network, and models that want other inputs than the data give."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from tests.vision.generated import write_folder
from vision.checkpoint import load_card
from vision.data import load_data
from vision.features import FeatureReader
from vision.models import build_model, classifier, penultimate
from vision.reading import image_ids, with_progress
from vision.settings import LoaderSettings
from vision.trained_on import load_same_data

SMALL = {
    "resnet18": ({"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 16]}, 32),
    "resnet50": ({"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 16]}, 32),
    "efficientnet_b0": ({}, 32),
    "mobilenetv2_100": ({}, 32),
    "mobilenetv3_small_050": ({}, 32),  # its head has a layer of its own before the classifier
    "convnext_tiny": ({"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]}, 32),
    "swin_tiny_patch4_window7_224": ({"img_size": 56, "embed_dim": 12, "depths": [1, 1], "num_heads": [1, 2]}, 56),
    "vit_tiny_patch16_224": ({"img_size": 32, "depth": 1, "embed_dim": 12, "num_heads": 2}, 32),
}


@pytest.mark.parametrize(("name", "kwargs", "size"), [(name, *rest) for name, rest in SMALL.items()], ids=SMALL)
@torch.inference_mode()
def test_features_times_the_classifier_are_the_logits(name, kwargs, size):
    """What the projection rests on, weights and bias, whatever a network's last layers are."""
    torch.manual_seed(0)
    model = build_model(name, 7, (3, size, size), kwargs)
    head = classifier(model)
    torch.nn.init.normal_(head.weight)
    torch.nn.init.normal_(head.bias)
    images = torch.randn(2, 3, size, size)
    features, logits = penultimate(model, images), model(images)
    assert features.shape == (2, head.in_features)
    extended = torch.cat([features, torch.ones(2, 1)], dim=1) @ torch.cat([head.weight, head.bias[:, None]], dim=1).T
    torch.testing.assert_close(extended, logits, rtol=1e-4, atol=1e-4)
    assert logits.std() > 0.1


@pytest.fixture
def opened(compose, study):
    settings = compose(
        "evaluate", [f"data.data_dir={study.data}", "data.validation_size=60", f"checkpoint={study.low}"]
    )
    return settings, load_same_data(settings.data, {str(study.low): load_card(study.low)})


def test_a_model_sees_images_as_it_was_trained_to(opened, study):
    """Whatever the data's own normalization: the images are made the model's."""
    _, data = opened
    other = dataclasses.replace(data, mean=[0.7], std=[0.05])
    (mine, _), (theirs, labels) = (
        next(FeatureReader(str(study.low), one, LoaderSettings()).batches(one, "val")) for one in (data, other)
    )
    torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-5)
    card, split = load_card(study.low), data.splits["val"]
    torch.testing.assert_close(theirs, (split.images / 255 - card.mean[0]) / card.std[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(labels, split.labels)


def test_centroids_are_means_by_class(opened, study):
    _, data = opened
    reader = FeatureReader(str(study.low), data, LoaderSettings())
    features, labels = (
        torch.cat(parts).double().numpy() for parts in zip(*reader.features(data, "train"), strict=True)
    )
    centroids = reader.centroids(data, "train")
    assert centroids.dtype == torch.float64
    np.testing.assert_allclose(centroids, [features[labels == k].mean(0) for k in range(10)], rtol=1e-6, atol=1e-12)


def test_images_are_named_by_row_or_path(compose, opened, tmp_path):
    _, data = opened
    assert image_ids(data.splits["val"]) == [str(row) for row in range(60)]
    root = write_folder(tmp_path / "birds")
    overrides = [
        "data=folder",
        f"data.data_dir={root}",
        "data.validation_size=2",
        "data.image_size=32",
        "data.resize=32",
    ]
    files = load_data(compose("evaluate", [*overrides, "checkpoint=x"]).data, None).splits["test"]
    names = image_ids(files)
    assert len(set(names)) == len(files)
    assert all((root / "val" / name).is_file() for name in names)


def test_without_a_terminal_progress_is_a_line_a_minute(monkeypatch, capsys):
    """Ten batches of five images, 25 seconds each."""
    clock = itertools.count(0, 25)
    monkeypatch.setattr("vision.reading.time.monotonic", lambda: next(clock))
    batches = [(torch.zeros(5, 1), torch.zeros(5)) for _ in range(10)]
    assert list(with_progress(batches, 50, "model on val")) == batches
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"model on val: {n} of 50 images, about {5 * (50 - n)} s left" for n in (15, 30, 45)]
