import dataclasses

import pytest
import timm
import torch

from shared.errors import UserError
from shared.results import Model
from vision.checkpoint import Card, save_export
from vision.networks.network import start_from
from vision.networks.open import open_network
from vision.networks.settings import NetworkSettings

NAMES = ["ant", "bee", "cat", "dog", "emu"]


@pytest.fixture
def export(slim, slim_resnet, tmp_path):
    """(path, model, card) of this project's export of a network for 3 x 32 x 32 images."""
    model = slim_resnet()
    card = Card(
        arch="resnet18",
        kwargs=slim,
        image_shape=[3, 32, 32],
        class_names=NAMES,
        mean=[0.1, 0.2, 0.3],
        std=[0.5, 0.4, 0.3],
        data="made",
        data_sha256={},
        export="last",
        model=Model("teacher", "slim", 3, "", seed=7, alpha=0.1, recipe={"train_size": 9, "validation_size": 3}),
    )
    path = tmp_path / "last.safetensors"
    return path, model, save_export(path, model, card)


def test_an_export(export):
    path, model, card = export
    network = open_network(str(path), class_names=NAMES, image_shape=(3, 32, 32))
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network.model(images), model(images))
    assert (network.card, network.mean, network.std) == (card.model, card.mean, card.std)
    assert (network.class_names, network.channels, network.image_size, network.notes) == (NAMES, 3, (32, 32), [])
    agreeing = NetworkSettings(arch="resnet18", kwargs=card.kwargs, mean=card.mean, std=card.std, alpha=0.1)
    assert open_network(str(path), agreeing).card == card.model
    assert open_network(str(path), image_shape=(3, 48, 48)).notes == ["trained on 32x32 images, given 48x48 ones"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (NetworkSettings(arch="resnet50"), "its arch is resnet18; network.arch says resnet50"),
        (NetworkSettings(alpha=0.2), "its alpha is 0.1; network.alpha says 0.2"),
        (NetworkSettings(kwargs={"stem_width": 9}), "its kwargs is"),
    ],
)
def test_an_export_speaks_for_itself(export, said, message):
    with pytest.raises(UserError, match=f"last.safetensors: {message}"):
        open_network(str(export[0]), said)


def test_dropout_need_not_agree(export, tmp_path):
    """It acts in training only; a new model that has it may start from an export that has none, or another."""
    path, model, card = export
    images = torch.randn(2, 3, 32, 32)
    dropped = tmp_path / "dropped.safetensors"
    save_export(dropped, model, dataclasses.replace(card, kwargs=card.kwargs | {"drop_rate": 0.5}))
    for trained in (path, dropped):
        for said in ({"drop_rate": 0.2}, {"drop_path_rate": 0.1}, card.kwargs | {"drop_rate": 0.2}):
            network = open_network(str(trained), NetworkSettings(kwargs=said))
            torch.testing.assert_close(network.model(images), model(images))


def test_other_arguments_are_refused_where_the_card_has_none(tmp_path):
    plain = timm.create_model("cifar_resnet20", num_classes=5)
    facts = {"class_names": NAMES, "mean": [0.5] * 3, "std": [0.5] * 3, "data": "made", "data_sha256": {}}
    made = Model("teacher", "x", 3, "", seed=7, alpha=0.1, recipe={"train_size": 9, "validation_size": 3})
    card = Card("cifar_resnet20", {}, [3, 32, 32], **facts, export="last", model=made)
    save_export(tmp_path / "last.safetensors", plain, card)
    assert open_network(str(tmp_path / "last.safetensors"), NetworkSettings(kwargs={"drop_rate": 0.2})).num_classes == 5
    with pytest.raises(UserError, match=r"its card has no such arguments; network.kwargs says \{'stem_width': 4\}"):
        open_network(str(tmp_path / "last.safetensors"), NetworkSettings(kwargs={"stem_width": 4, "drop_rate": 0.2}))


def test_an_export_without_its_card(export):
    path, _, card = export
    path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"not a model export; name a .safetensors file with its .json card"):
        open_network(str(path))
    assert open_network(str(path), NetworkSettings("resnet18", card.kwargs)).mean is None  # a bare state_dict


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (NAMES[:4], r"knows 5 classes, the data has 4$"),
        ([*NAMES, "fox"], r"knows 5 classes, the data has 6$"),
        (["ant", "cat", "bee", "dog", "emu"], r"another order: class 1 is 'bee' there and 'cat' in the data"),
    ],
)
def test_other_classes(export, names, message):
    with pytest.raises(UserError, match=message):
        open_network(str(export[0]), class_names=names)


def test_images_that_it_cannot_read(export, tmp_path):
    with pytest.raises(UserError, match=r"reads images of 3 channel\(s\), the data's images have 1$"):
        open_network(str(export[0]), image_shape=(1, 32, 32))
    kwargs = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=5, **kwargs)
    torch.save(model.state_dict(), tmp_path / "vit.pth")
    known = NetworkSettings(arch="vit_tiny_patch16_224", kwargs=kwargs)
    assert open_network(str(tmp_path / "vit.pth"), known, image_shape=(3, 32, 32)).num_classes == 5
    with pytest.raises(UserError, match=r"does not work on 3x48x48 images: .*48"):
        open_network(str(tmp_path / "vit.pth"), known, image_shape=(3, 48, 48))


def test_a_teacher_sees_its_own_normalization(export):
    path, model, card = export
    pixels = torch.rand(4, 3, 32, 32)
    mean, std = [0.5, 0.5, 0.25], [0.25, 0.125, 0.5]
    student_images = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    teacher_images = (pixels - torch.tensor(card.mean).view(3, 1, 1)) / torch.tensor(card.std).view(3, 1, 1)
    network = open_network(str(path))
    reader = network.reading(mean, std)
    assert not reader.training
    with torch.no_grad():
        torch.testing.assert_close(reader(student_images), model(teacher_images), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(student_images), model(teacher_images), atol=1e-2)
    assert network.reading(card.mean, card.std) is network.model


def test_a_network_whose_normalization_nobody_knows(slim, slim_resnet, tmp_path):
    torch.save(slim_resnet().state_dict(), tmp_path / "x.pth")
    network = open_network(str(tmp_path / "x.pth"), NetworkSettings("resnet18", slim))
    assert network.reading([0.5] * 3, [0.5] * 3) is network.model
    assert network.notes == ["its input normalization is not recorded: taken to be the data's"]


def test_starting_from_a_network_with_other_classes(export, slim, slim_resnet):
    path, model, _ = export
    started = timm.create_model("resnet18", num_classes=9, **slim)
    head = started.fc.weight.clone()
    start_from(started, open_network(str(path)))
    assert torch.equal(started.fc.weight, head)
    rest = {name for name in started.state_dict() if not name.startswith("fc.")}
    assert all(torch.equal(started.state_dict()[name], model.state_dict()[name]) for name in rest)
    with pytest.raises(UserError, match=r"last.safetensors: not weights of the model .*10 of its 96 .* missing"):
        start_from(
            timm.create_model("resnet18", num_classes=5, **slim | {"layers": [1, 1, 1, 2]}), open_network(str(path))
        )
    with pytest.raises(UserError, match=r"another shape \(conv1.0.weight: 4x3x3x3 for 4x1x3x3\)"):
        start_from(slim_resnet(channels=1), open_network(str(path)))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"alpha": 1.5}, r"alpha .* is 1.5"),
        ({"kwargs": {"num_classes": 3}}, "network.kwargs.num_classes cannot be chosen"),
        ({"mean": [0.5]}, "network.mean and network.std belong together"),
        ({"mean": [0.5], "std": [0.0]}, "std above 0"),
        ({"mean": [0.5], "std": [0.5, 0.5]}, "one finite value a channel"),
        ({"mean": [float("nan")], "std": [0.5]}, "one finite value a channel"),
        ({"mean": [], "std": []}, "one finite value a channel"),
    ],
)
def test_settings_that_no_network_could_have(said, message, export):
    with pytest.raises(UserError, match=message):
        open_network(str(export[0]), NetworkSettings(**said))


def test_a_normalization_of_other_channels(slim, slim_resnet, tmp_path):
    torch.save(slim_resnet().state_dict(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"reads 3 channel\(s\), its mean \[0.5\] is of 1"):
        open_network(str(tmp_path / "x.pth"), NetworkSettings("resnet18", slim, [0.5], [0.5]))
