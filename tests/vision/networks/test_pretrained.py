"""Published weights by name. Nothing is downloaded: the libraries find made-up weights in caches of their own form."""

import json

import huggingface_hub.constants
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from shared.errors import UserError
from vision.networks.open import open_network
from vision.networks.settings import NetworkSettings

NAME = "mobilenetv3_small_050.lamb_in1k"  # the smallest that timm publishes as 1,000-class ImageNet weights
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Both libraries' caches, empty, in `tmp_path`, and no way to the net."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    return tmp_path


def test_a_timm_name(offline):
    torch.manual_seed(4)
    published = timm.create_model(NAME).eval()
    cached = offline / f"models--timm--{NAME}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    (cached / "snapshots" / "abc").mkdir(parents=True)
    save_file(published.state_dict(), cached / "snapshots" / "abc" / "model.safetensors")
    network = open_network(f"timm:{NAME}", NetworkSettings(alpha=0.1), image_shape=(3, 64, 64))
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network.model(images), published(images))
    assert (network.arch, network.num_classes, network.image_size) == ("mobilenetv3_small_050", 1000, (224, 224))
    assert (network.mean, network.std) == IMAGENET
    assert network.notes == ["trained on 224x224 images, given 64x64 ones"]
    assert (network.card.role, network.card.alpha, network.card.recipe) == ("teacher", 0.1, {"source": f"timm:{NAME}"})
    assert network.card.sha256 == open_network(f"timm:{NAME.partition('.')[0]}").card.sha256  # the default tag
    with pytest.raises(UserError, match=r"knows 1000 classes, the data has 2$"):
        open_network(f"timm:{NAME}", class_names=["cat", "dog"])
    with pytest.raises(UserError, match=r"reads images of 3 channel\(s\), the data's images have 1$"):
        open_network(f"timm:{NAME}", image_shape=(1, 64, 64))


def test_a_folder_as_timm_saves_it(tmp_path, slim, slim_resnet):
    model = slim_resnet()
    facts = {"mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0], "input_size": [3, 32, 32], "num_classes": 5}
    config = {"architecture": "resnet18", "model_args": slim, "pretrained_cfg": facts | {"first_conv": "conv1.0"}}
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_classes": 5}))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    network = open_network(f"timm:local-dir:{tmp_path}")
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network.model(images), model(images))
    assert (network.arch, network.mean, network.image_size) == ("resnet18", [0.1, 0.2, 0.3], (32, 32))


def test_timm_names_that_cannot_be_had(offline):
    with pytest.raises(UserError, match=r"timm:resnet18.a1_in1k: timm cannot load its pretrained weights \(.*cache"):
        open_network("timm:resnet18.a1_in1k")
    with pytest.raises(UserError, match=r"Invalid pretrained tag \(nobody_in1k\) for resnet18"):
        open_network("timm:resnet18.nobody_in1k")
    with pytest.raises(UserError, match=r"timm has no architecture 'resnet5'; did you mean"):
        open_network("timm:resnet5")
    with pytest.raises(UserError, match=r"its arch is resnet18; network.arch says resnet50"):
        open_network("timm:resnet18.a1_in1k", NetworkSettings(arch="resnet50"))
    with pytest.raises(UserError, match=r"timm:local-dir:/nowhere: timm cannot load .*/nowhere"):
        open_network("timm:local-dir:/nowhere")


def test_torchvision_weights(offline, settle):
    torch.manual_seed(5)
    published = settle(torchvision.models.mobilenet_v2(), 3)
    weights = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    (offline / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(published.state_dict(), offline / "hub" / "checkpoints" / weights.url.rpartition("/")[2])
    network = open_network("torchvision:mobilenet_v2:IMAGENET1K_V1")
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network.model(images), published(images))
    assert (network.arch, network.num_classes, network.image_size) == ("mobilenetv2_100", 1000, (224, 224))
    assert (network.mean, network.std) == IMAGENET
    assert network.class_names[:2] == ["tench", "goldfish"]
    assert (network.card.alpha, network.card.seed) == (None, None)
    assert network.card.recipe == {"source": "torchvision:mobilenet_v2:IMAGENET1K_V1"}
    folders = [f"n{number:08}" for number in range(1000)]
    assert open_network("torchvision:mobilenet_v2:IMAGENET1K_V1", class_names=folders)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torchvision:resnet18:IMAGENET1K_V1", r"torchvision cannot load its weights \(no network\)"),
        ("torchvision:resnet18:IMAGENET1K_V9", "no such weights of resnet18; choose IMAGENET1K_V1 or DEFAULT"),
        ("torchvision:resnet18", "no such weights of resnet18; choose IMAGENET1K_V1 or DEFAULT"),
        ("torchvision:alexnet:IMAGENET1K_V1", "with one of the models resnet18, .*; timm:NAME has the others"),
        ("torchvision:", "with one of the models resnet18, "),
    ],
)
def test_torchvision_names_that_cannot_be_had(offline, spec, message):
    with pytest.raises(UserError, match=message):
        open_network(spec)
