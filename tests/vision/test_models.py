import pytest
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


def test_images_that_the_model_cannot_read():
    with pytest.raises(UserError, match=r"does not work on 1x28x28 images"):
        build_model("vit_tiny_patch16_224", 10, (1, 28, 28))
