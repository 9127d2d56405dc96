import pytest
import timm
import torch

from shared.errors import UserError
from vision.models import build_model, classifier, penultimate

SLIM = {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 16]}


def test_the_classifier_on_penultimate_features_gives_the_logits():
    model = build_model("resnet18", 7, (1, 28, 28), SLIM)
    images = torch.randn(3, 1, 28, 28)
    features = penultimate(model, images)
    assert features.shape == (3, 16)
    torch.testing.assert_close(features @ classifier(model).weight.T + classifier(model).bias, model(images))


def test_an_unknown_name_gets_close_matches():
    with pytest.raises(UserError, match=r"no model 'resnet81'; did you mean .*resnet"):
        build_model("resnet81", 10, (1, 28, 28))


def test_kwargs_that_the_model_does_not_take():
    with pytest.raises(UserError, match=r"resnet18 with kwargs .*width"):
        build_model("resnet18", 10, (1, 28, 28), {"width": 3})


@pytest.mark.parametrize("name", ["checkpoint_path", "pretrained", "num_classes"])
def test_kwargs_that_say_where_weights_are(name):
    """timm would read them at every opening of what was exported, and no record would tell."""
    with pytest.raises(UserError, match=rf"model\.kwargs cannot have {name}: "):
        build_model("resnet18", 10, (1, 28, 28), {name: "start.safetensors"})


@pytest.mark.parametrize(
    ("name", "size", "kwargs", "told"),
    [
        ("volo_d1_224", 64, {"img_size": 64}, "are not those of its last linear layer"),  # a second head is added
        ("resnet18", 32, {**SLIM, "global_pool": ""}, "does not work on 3x32x32 images"),
    ],
)
def test_a_model_whose_logits_are_not_of_its_features(name, size, kwargs, told):
    with pytest.raises(UserError, match=told):
        build_model(name, 10, (3, size, size), kwargs)


def test_to_build_a_model_draws_its_weights_alone():
    torch.manual_seed(0)
    build_model("resnet18", 7, (1, 28, 28), SLIM)
    drawn = torch.randn(3)
    torch.manual_seed(0)
    timm.create_model("resnet18", num_classes=7, in_chans=1, **SLIM)
    torch.testing.assert_close(drawn, torch.randn(3), rtol=0, atol=0)


def test_images_that_the_model_cannot_read():
    with pytest.raises(UserError, match=r"does not work on 1x28x28 images"):
        build_model("vit_tiny_patch16_224", 10, (1, 28, 28))
