import pytest
import torch

from shared.errors import UserError
from vision.networks.renormalize import renormalize

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
OTHER = ([0.5, 0.25, 0.1], [0.5, 0.125, 0.3])


@pytest.mark.parametrize(
    ("student", "teacher", "image", "expected"),
    [
        (([0.0], [1.0]), ([0.5], [0.25]), 0.5, 0.0),
        (([0.5], [0.25]), ([0.25], [0.5]), 0.0, 0.5),  # pixel .5
        (([0.5], [0.25]), ([0.0], [1.0]), 2.0, 1.0),  # the brightest pixel
    ],
)
def test_by_hand(student, teacher, image, expected):
    assert renormalize(*student, *teacher)(torch.full((1, 1, 2, 2), image)).unique().item() == expected


def test_every_pixel_value_of_every_channel():
    pixels = torch.arange(256, dtype=torch.float64).expand(2, 3, 8, 256).contiguous() / 255
    given, wanted = (
        (pixels - torch.tensor(mean, dtype=torch.float64).view(3, 1, 1))
        / torch.tensor(std, dtype=torch.float64).view(3, 1, 1)
        for mean, std in (IMAGENET, OTHER)
    )
    made = renormalize(*IMAGENET, *OTHER)(given.float())
    assert made.dtype == torch.float32
    torch.testing.assert_close(made.double(), wanted, rtol=0, atol=1e-6)


def test_it_is_part_of_no_state_and_keeps_the_memory_format():
    change = renormalize(*IMAGENET, *OTHER)
    assert not change.state_dict()
    assert not list(change.parameters())
    images = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert change(images).is_contiguous(memory_format=torch.channels_last)


def test_equal_normalizations_need_nothing():
    assert renormalize(*IMAGENET, *map(list, IMAGENET)) is None


def test_other_channels_are_refused():
    with pytest.raises(UserError, match=r"1 channel\(s\), the network's inputs over 3"):
        renormalize([0.3], [0.4], *IMAGENET)
