import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from shared.errors import UserError
from vision.data import evaluation_batches, load_data
from vision.data.image_data import ImageTensors
from vision.data.plan import BatchPlan
from vision.data.tensor_batches import TensorBatches
from vision.settings import AugmentationSettings, DataSettings


def tensors(n=10, size=(2, 3)):
    pixels = torch.arange(n * size[0] * size[1]).remainder(256).to(torch.uint8).view(n, 1, *size)
    return ImageTensors(pixels, torch.arange(n))


def batches(n=10, batch_size=4, augmentation=None, **plan):
    return TensorBatches(tensors(n), [0.2], [0.5], BatchPlan(batch_size, **plan), augmentation)


def labels_of(loader):
    return torch.cat([labels for _, labels in loader]).tolist()


def test_batches_are_normalized_by_hand():
    images, labels = next(iter(batches(batch_size=2)))
    assert labels.tolist() == [0, 1]
    expected = [[[(p / 255 - 0.2) / 0.5 for p in row] for row in ((6, 7, 8), (9, 10, 11))]]
    torch.testing.assert_close(images[1], torch.tensor(expected))


def test_evaluation_sees_every_image_once_in_order():
    assert [len(labels) for _, labels in batches(501, 500)] == [500, 1]
    assert labels_of(batches(501, 500)) == list(range(501))
    seen = [label for rank in range(3) for label in labels_of(batches(11, 2, rank=rank, world=3))]
    assert sorted(seen) == list(range(11))


def test_training_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        loader = batches(seed=seed)
        loader.set_epoch(epoch)
        return labels_of(loader)

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(1, 0)), tuple(order(1, 1)), tuple(order(2, 0))}) == 3
    assert len(set(order(1, 0))) == 8  # two whole batches of 4; the short one waits for another epoch


def test_a_set_smaller_than_a_batch_still_trains():
    assert [len(labels) for _, labels in batches(3, seed=1)] == [3]


@pytest.mark.parametrize("crop", ["none", "padded"])
def test_ranks_and_accumulated_batches_see_what_one_process_sees(crop):
    """The images of every update, augmented alike, whichever process has them."""
    augmentation = AugmentationSettings(crop=crop, padding=2 if crop == "padded" else 0, flip=True)

    def updates(world, group):
        size = 8 // (world * group)
        shares = [
            list(batches(20, size, augmentation=augmentation, seed=3, rank=r, world=world, group=group))
            for r in range(world)
        ]
        for u in range(2):
            parts = [share[u * group + k] for share in shares for k in range(group)]
            images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
            order = labels.argsort()
            yield images[order], labels[order]

    for world, group in ((2, 1), (1, 2), (2, 2)):
        for (images, labels), (theirs, their_labels) in zip(updates(1, 1), updates(world, group), strict=True):
            assert torch.equal(labels, their_labels)
            assert torch.equal(images, theirs)


def test_a_loader_goes_on_within_an_epoch():
    augmentation = AugmentationSettings(flip=True)
    whole, resumed = (batches(20, 4, augmentation=augmentation, seed=3) for _ in range(2))
    whole.set_epoch(2)
    seen = []
    for batch in whole:
        seen.append(batch)
        if len(seen) == 2:
            state = whole.state_dict()
    assert state == {"epoch": 2, "batches": 2}
    resumed.load_state_dict(state)
    resumed.set_epoch(2)
    for (images, labels), (theirs, their_labels) in zip(seen[2:], resumed, strict=True):
        assert torch.equal(images, theirs)
        assert torch.equal(labels, their_labels)
    resumed.set_epoch(3)
    assert len(list(resumed)) == 5


def test_flip_mirrors_about_half_and_nothing_else():
    plain, _ = next(iter(batches(40, 40)))
    loader = batches(40, 40, augmentation=AugmentationSettings(flip=True), seed=1)
    flipped, labels = next(iter(loader))
    plain = plain[labels]
    kept = (flipped == plain).all(-1).all(-1).flatten()
    mirrored = (flipped == plain.flip(-1)).all(-1).all(-1).flatten()
    assert (kept ^ mirrored).all()
    assert 10 < int(mirrored.sum()) < 30


def test_a_padded_crop_is_a_shift_with_black_edges():
    """By numpy: every image is one of the (2 p + 1)^2 windows of its padded self, and many of them occur."""
    augmentation = AugmentationSettings(crop="padded", padding=1)
    split = tensors(60)
    loader = TensorBatches(split, [0.0], [1 / 255], BatchPlan(60, seed=1), augmentation)
    images, labels = next(iter(loader))
    found = set()
    for image, label in zip(images[:, 0].round().numpy(), labels.tolist(), strict=True):
        wide = np.pad(split.images[label, 0].numpy().astype(float), 1)
        places = [(y, x) for y in range(3) for x in range(3) if np.allclose(wide[y : y + 2, x : x + 3], image)]
        assert places
        found.add(places[0])
    assert len(found) == 9


def test_digits_are_scikit_learns():
    data = load_data(DataSettings("digits", [0.3], [0.4], validation_size=300), None)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 1200, "val": 300, "test": 297}
    bunch = load_digits()
    test = data.splits["test"]
    torch.testing.assert_close(
        test.images[:, 0].double() / 255, torch.from_numpy(bunch.images[-297:] / 16), atol=0.5 / 255, rtol=0
    )
    assert test.labels.tolist() == bunch.target[-297:].tolist()
    assert labels_of(evaluation_batches(data, "test")) == bunch.target[-297:].tolist()


def test_an_unknown_data_set_lists_the_known_ones():
    with pytest.raises(UserError, match=r"'mnist'; choose one of cifar10, .*digits, fashion_mnist, folder"):
        load_data(DataSettings("mnist", [0.5], [0.5], 10), None)


def test_normalization_must_fit_the_channels():
    with pytest.raises(UserError, match=r"need 1 value"):
        load_data(DataSettings("digits", [0.3, 0.3], [0.4], validation_size=300), None)


def test_an_epoch_draws_its_flips_anew():
    plain, _ = next(iter(batches(40, 40)))
    loader, flipped = batches(40, 40, augmentation=AugmentationSettings(flip=True), seed=1), []
    for epoch in (0, 1):
        loader.set_epoch(epoch)
        images, labels = next(iter(loader))
        flipped.append({int(k) for image, k in zip(images, labels, strict=True) if not torch.equal(image, plain[k])})
    assert flipped[0] != flipped[1]


def test_the_edges_of_a_padded_crop_are_black_whatever_the_mean():
    white = ImageTensors(torch.full((60, 1, 2, 3), 255, dtype=torch.uint8), torch.arange(60))
    augmentation = AugmentationSettings(crop="padded", padding=1)
    images, _ = next(iter(TensorBatches(white, [0.2], [0.5], BatchPlan(60, seed=1), augmentation)))
    assert images.unique().tolist() == pytest.approx([-0.4, 1.6])
