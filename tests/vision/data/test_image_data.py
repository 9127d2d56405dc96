import pytest
import torch
from sklearn.datasets import load_digits

from shared.errors import UserError
from vision.data import load_data
from vision.data.image_data import Images
from vision.settings import DataSettings


def images(n=10, flip=False):
    pixels = torch.arange(n * 2 * 3, dtype=torch.uint8).view(n, 1, 2, 3)
    return Images(pixels, torch.arange(n), mean=[0.2], std=[0.5], flip=flip)


def test_batches_are_normalized_by_hand():
    batch, labels = images().__getitems__([1, 0])
    assert labels.tolist() == [1, 0]
    expected = [[[(p / 255 - 0.2) / 0.5 for p in row] for row in ((6, 7, 8), (9, 10, 11))]]
    torch.testing.assert_close(batch[0], torch.tensor(expected))


def test_evaluation_sees_every_image_once_in_order():
    many = images(501)
    many.images.zero_()
    batches = [labels for _, labels in many.evaluation_batches()]
    assert [len(labels) for labels in batches] == [500, 1]
    assert torch.cat(batches).tolist() == list(range(501))


def test_training_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        batches = images().training_batches(4, seed)
        batches.sampler.set_epoch(epoch)
        return torch.cat([labels for _, labels in batches]).tolist()

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(1, 0)), tuple(order(1, 1)), tuple(order(2, 0))}) == 3
    assert len(set(order(1, 0))) == 8  # two whole batches of 4; the short one waits for another epoch


def test_a_set_smaller_than_a_batch_still_trains():
    assert [len(labels) for _, labels in images(3).training_batches(4, seed=1)] == [3]


def test_flip_mirrors_about_half_and_nothing_else():
    torch.manual_seed(0)
    plain, _ = images(40).__getitems__(list(range(40)))
    flipped, _ = images(40, flip=True).__getitems__(list(range(40)))
    kept = (flipped == plain).all(-1).all(-1).flatten()
    mirrored = (flipped == plain.flip(-1)).all(-1).all(-1).flatten()
    assert (kept ^ mirrored).all()
    assert 10 < int(mirrored.sum()) < 30


def test_digits_are_scikit_learns():
    data = load_data(DataSettings("digits", [0.3], [0.4], validation_size=300), None)
    assert {name: len(labels) for name, (_, labels) in data.splits.items()} == {"train": 1200, "val": 300, "test": 297}
    bunch = load_digits()
    torch.testing.assert_close(
        data.splits["test"][0][:, 0].double() / 255, torch.from_numpy(bunch.images[-297:] / 16), atol=0.5 / 255, rtol=0
    )
    assert data.splits["test"][1].tolist() == bunch.target[-297:].tolist()


def test_an_unknown_data_set_lists_the_known_ones():
    with pytest.raises(UserError, match=r"'mnist'; choose one of digits, fashion_mnist"):
        load_data(DataSettings("mnist", [0.5], [0.5], 10), None)


def test_normalization_must_fit_the_channels():
    with pytest.raises(UserError, match=r"need 1 value"):
        load_data(DataSettings("digits", [0.3, 0.3], [0.4], validation_size=300), None)
