"""Noise in the labels of the training and validation images, in memory and on disk."""

import numpy as np
import pytest
import torch

from shared.errors import UserError
from tests.vision.generated import write_folder
from vision.data import draw_subset, evaluation_batches, load_data, training_batches
from vision.data.image_files import ImageFiles
from vision.settings import DataSettings, LoaderSettings, RecipeSettings

NOISE = {"label_noise": 0.25, "noise_seed": 3}
RECIPE = RecipeSettings(1, 8, "sgd", 0.1, 0.9, 0.0, "cosine", 0.0, None)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("images"), 4, train=20, val=3)


@pytest.fixture(params=["in memory", "on disk"])
def load(request, root, make_fashion_mnist, tmp_path_factory):
    """`load(validation_size, train_size, **settings)`; every class has as many training images as any other."""
    if request.param == "on disk":
        given = ("folder", [0.5] * 3, [0.2] * 3)
        place = {"data_dir": str(root), "image_size": 16}
    else:
        given = ("fashion_mnist", [0.5], [0.5])
        place = {"data_dir": str(make_fashion_mnist(tmp_path_factory.mktemp("idx"), train=80, test=20))}

    def load(validation_size=10, train_size=None, **more):
        return load_data(DataSettings(*given, validation_size, **place, **more), train_size)

    return load


def by_image(data, splits=("train", "val")):
    """Label of every image, by its path or its pixels."""
    found = {}
    for split in (data.splits[name] for name in splits):
        keys = split.paths if isinstance(split, ImageFiles) else [image.numpy().tobytes() for image in split.images]
        assert len(keys) == len(split.labels)
        found |= dict(zip(keys, split.labels.tolist(), strict=True))
    return found


def test_a_quarter_of_every_class_has_its_partners_label(load):
    true, data = by_image(load()), load(**NOISE)
    noisy, classes = by_image(data), len(data.class_names)
    assert len(noisy) == len(true) == 80
    counts = np.zeros((classes, classes), int)
    for image, label in noisy.items():
        counts[true[image], label] += 1
    per_class = 80 // classes
    for own, row in enumerate(counts):
        partner = data.noise.partner[own]
        assert partner != own
        assert (row[own], row[partner]) == (per_class - per_class // 4, per_class // 4)
        assert row.sum() == per_class
    assert sorted(data.noise.partner) == list(range(classes))
    assert counts.sum(0).tolist() == [per_class] * classes
    np.testing.assert_allclose(data.noise.law, counts / per_class)


def test_test_labels_are_true_and_the_others_are_kept(load):
    clean, data = load(), load(**NOISE)
    assert by_image(data, ["test"]) == by_image(clean, ["test"])
    assert data.splits["test"].true_labels is None
    for name in ("train", "val"):
        assert torch.equal(data.splits[name].true_labels, clean.splits[name].labels)
        assert data.splits[name].labels.dtype == torch.int64
        assert clean.splits[name].true_labels is None
    assert (data.record().label_noise, clean.record().label_noise, clean.noise) == (0.25, None, None)


def test_an_image_has_one_label_whatever_is_cut(load):
    whole = by_image(load(**NOISE))
    parts = [load(**NOISE, part=part, labelled_size=30) for part in ("labelled", "unlabelled")]
    assert by_image(parts[0]) | by_image(parts[1]) == whole
    for other in (load(25, **NOISE), load(10, 15, **NOISE), draw_subset(load(**NOISE), 20, seed=1)):
        assert by_image(other).items() <= whole.items()


def test_what_is_held_out_does_not_depend_on_the_noise(load):
    """Else a student of clean labels would have seen its noisy teacher's validation images."""
    assert by_image(load(**NOISE), ["val"]).keys() == by_image(load(), ["val"]).keys()
    assert list(by_image(load(**NOISE), ["train"])) == list(by_image(load(), ["train"]))


def test_true_labels_follow_their_images(load):
    true = by_image(load())
    part = draw_subset(load(**NOISE, part="unlabelled", labelled_size=30), 20, seed=1)
    images = by_image(part, ["train"])
    assert part.splits["train"].true_labels.tolist() == [true[image] for image in images]


def test_the_seed_draws_other_images(load):
    assert by_image(load(**NOISE)) == by_image(load(**NOISE))
    assert by_image(load(**NOISE)) != by_image(load(label_noise=0.25, noise_seed=4))


def test_batches_carry_the_noisy_labels(load):
    data, loader = load(**NOISE), LoaderSettings(workers=0)
    labels = torch.cat([labels for _, labels in evaluation_batches(data, "train", loader)])
    assert torch.equal(labels, data.splits["train"].labels)
    assert not torch.equal(labels, data.splits["train"].true_labels)
    plan = training_batches(data, RECIPE, loader, seed=1)
    order = np.random.Generator(np.random.PCG64([1, 0])).permutation(70)[:64]
    drawn = torch.cat([labels for _, labels in plan])
    assert drawn.tolist() == data.splits["train"].labels[order].tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label_noise": 1.0}, r"label_noise is 1\.0; it is a share of the labels, in \[0, 1\)"),
        ({"label_noise": -0.1}, r"label_noise is -0\.1"),
        ({"label_noise": float("nan")}, "label_noise is nan"),
        ({"label_noise": 0.2, "noise_seed": -1}, "noise_seed is -1; it must be 0 to 4294967295"),
        ({"label_noise": 0.2, "noise_seed": 2**32}, "noise_seed is 4294967296"),
        ({"noise_seed": 1}, "noise_seed would do nothing"),
    ],
)
def test_settings_that_are_no_noise(given, message):
    with pytest.raises(UserError, match=message):
        DataSettings("digits", [0.3], [0.4], 300, **given).check()
