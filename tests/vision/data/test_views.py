import statistics
from random import Random

import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from shared.errors import UserError
from vision.data.views import Views, random_window
from vision.settings import AugmentationSettings

CUB = AugmentationSettings(
    crop="resized", scale=[0.2, 1.0], ratio=[0.8, 1.25], flip=True, rotation=45, grayscale=0.2, jitter=[0.2, 0.2, 0, 0]
)


def views(augmentation, count=400, size=224, resize=256, height=375, width=500):
    of = Views(size, resize, augmentation).of
    return [of(height, width, seed) for seed in range(count)]


@pytest.mark.parametrize("shape", [(375, 500), (500, 200), (33, 1000)])
def test_random_windows_are_spread_like_torchvisions(shape):
    torch.manual_seed(0)
    image, scale, ratio = torch.empty(3, *shape), [0.08, 1.0], [3 / 4, 4 / 3]
    theirs = [RandomResizedCrop.get_params(image, scale, ratio) for _ in range(3000)]
    rng = Random(0)
    ours = [(*corner, *window) for corner, window in (random_window(*shape, scale, ratio, rng) for _ in range(3000))]
    for mine, other in zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
        for power in (1, 2):  # top, left, height, width and their squares: means within 4.5 standard errors
            a, b = ([value**power for value in values] for values in (mine, other))
            error = (statistics.variance(a) / len(a) + statistics.variance(b) / len(b)) ** 0.5
            assert abs(statistics.mean(a) - statistics.mean(b)) <= 4.5 * error


@pytest.mark.parametrize("shape", [(10, 1000), (1000, 10), (77, 9)])
def test_a_window_that_never_fits_is_torchvisions_central_one(shape):
    arguments = ([1.0, 1.0], [3 / 4, 4 / 3])
    corner, window = random_window(*shape, *arguments, Random(0))
    assert (*corner, *window) == RandomResizedCrop.get_params(torch.empty(3, *shape), *arguments)


def test_windows_stay_inside():
    for view in views(CUB, height=50, width=31):
        assert all(
            0 <= at <= at + length <= side for at, length, side in zip(view.corner, view.window, (50, 31), strict=True)
        )


def test_a_padded_crop_reaches_every_place_of_the_padded_image():
    places = [view.place for view in views(AugmentationSettings(crop="padded", padding=2), 3000, 8, 8, 8, 10)]
    assert {y for y, _ in places} == set(range(-2, 3))
    assert {x for _, x in places} == set(range(-2, 5))


def test_what_is_random_has_its_range_and_probability():
    drawn = views(CUB, 2000)
    angles = [view.angle for view in drawn]
    assert -45 <= min(angles) < -43
    assert 43 < max(angles) <= 45
    assert statistics.mean(view.flip for view in drawn) == pytest.approx(0.5, abs=0.05)
    grey = [view.colour for view in drawn if view.colour[0] == ("grayscale", 1.0)]
    assert len(grey) / 2000 == pytest.approx(0.2, abs=0.04)
    factors = [dict(view.colour) for view in drawn]
    for name in ("brightness", "contrast"):
        assert min(f[name] for f in factors) == pytest.approx(0.8, abs=0.01)
        assert max(f[name] for f in factors) == pytest.approx(1.2, abs=0.01)
    assert all(set(f) <= {"grayscale", "brightness", "contrast"} for f in factors)
    first = statistics.mean(view.colour[-2][0] == "brightness" for view in drawn)
    assert first == pytest.approx(0.5, abs=0.05)  # their order is random


def test_a_factor_is_never_negative_and_hue_is_centred_on_zero():
    drawn = [dict(view.colour) for view in views(AugmentationSettings(jitter=[2.0, 0, 0, 0.5]))]
    assert min(colour["brightness"] for colour in drawn) >= 0 < max(colour["brightness"] for colour in drawn) <= 3
    assert -0.5 <= min(colour["hue"] for colour in drawn) < -0.4 < 0.4 < max(colour["hue"] for colour in drawn) <= 0.5


def test_a_view_is_a_function_of_its_seed():
    assert views(CUB, 20) == views(CUB, 20)
    assert len(set(views(CUB, 20))) == 20
    assert len(set(views(None, 20))) == 1


def test_a_resize_smaller_than_the_crop_is_refused():
    with pytest.raises(UserError, match=r"data\.resize is 200; want at least data\.image_size, 224"):
        Views(224, 200)
