import pytest
import torch
import torchvision

from shared.errors import UserError
from vision.networks.architectures import TORCHVISION, outline, timm_name, torchvision_layout
from vision.networks.weights import build_trained

RESNETS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", *sorted(TORCHVISION.keys() - set(RESNETS))])
def test_torchvisions_network_and_timms_are_the_same_function(name, settle):
    torch.manual_seed(3)
    theirs = settle(torchvision.models.get_model(name, weights=None, num_classes=9), 3)
    theirs = theirs.to(memory_format=torch.channels_last)  # as ours: other kernels add in another order
    ours, notes = build_trained("a file", TORCHVISION[name], {}, theirs.state_dict(), (64, 64))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()  # the images are told apart
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert not notes


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("mobilenet_v2", {"drop_rate": 0.2}),
        ("convnext_tiny", {"drop_path_rate": 0.1}),
        ("efficientnet_b0", {"drop_rate": 0.2, "drop_path_rate": 0.2}),
    ],
)
def test_torchvisions_weights_fit_timms_network_with_dropout(name, kwargs, settle):
    torch.manual_seed(3)
    theirs = settle(torchvision.models.get_model(name, weights=None, num_classes=9), 3)
    theirs = theirs.to(memory_format=torch.channels_last)
    ours, _ = build_trained("a file", TORCHVISION[name], kwargs, theirs.state_dict(), (64, 64))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(ours.train()(images), ours(images))  # what was asked for is there


def test_torchvisions_weights_do_not_fit_a_network_with_other_tensors(mobilenet):
    with pytest.raises(UserError, match=r"not weights of mobilenetv2_100: .* missing"):
        build_trained("a file", "mobilenetv2_100", {"depth_multiplier": 2.0}, mobilenet.state_dict(), (64, 64))


@pytest.mark.parametrize("name", RESNETS)
def test_a_resnet_has_the_same_names_in_both(name):
    assert all(theirs == ours for theirs, ours in torchvision_layout(TORCHVISION[name]).items())


def test_names_of_both_libraries():
    assert timm_name("x.pth", "mobilenet_v2") == "mobilenetv2_100"
    assert timm_name("x.pth", "resnet50.a1_in1k") == "resnet50"
    with pytest.raises(UserError, match=r"x.pth: timm has no architecture 'resnet5'; did you mean .*resnet50"):
        timm_name("x.pth", "resnet5")


def test_arguments_that_an_architecture_does_not_take():
    with pytest.raises(UserError, match=r"resnet18 does not take the arguments \{'storeys': 3\}"):
        outline("resnet18", {"storeys": 3})
