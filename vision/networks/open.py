"""The one way in for trained networks, whoever trained them."""

import dataclasses
from pathlib import Path

from shared.errors import UserError
from vision.networks.files import open_export, open_file
from vision.networks.network import Network
from vision.networks.pretrained import open_timm, open_torchvision
from vision.networks.settings import NetworkSettings

_FORMS = "an export (.safetensors), a checkpoint (.ckpt, .pth.tar, .pth, .pt), timm:NAME or torchvision:NAME:WEIGHTS"


def open_network(
    spec: str,
    known: NetworkSettings | None = None,
    *,
    class_names: list[str] | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> Network:
    """The trained network that `spec` names, in eval mode on the CPU, and what is known of it.

    `known` is what the user says of it. Where the `class_names` and `image_shape` (C, H, W) of data are given, it must
    be able to read them. `spec` is one of

    - `DIR/last.safetensors`: this project's export;
    - `X.ckpt`: a Lightning checkpoint, of this project (architecture from the config.yaml beside it) or of others;
    - `X.pth.tar`, `X.pth`, `X.pt`: a dict with `arch` and `state_dict` as the PyTorch ImageNet example writes it, the
      checkpoints of timm's and torchvision's scripts, or a bare state_dict; also a bare `X.safetensors`;
    - `timm:resnet50.a1_in1k`, `torchvision:resnet50:IMAGENET1K_V1`: published weights.

    Raises UserError where it is not there, cannot be read without running code, is of another architecture, has
    diverged, or does not fit the data.
    """
    known = known or NetworkSettings()
    known.check()
    network = _opened(spec, known, None if image_shape is None else image_shape[1:])
    network.check_weights()
    if class_names is not None:
        network.check_classes(class_names)
    if image_shape is not None:
        network.check_images(image_shape)
    return dataclasses.replace(network, notes=[*network.notes, *_assumptions(network, image_shape)])


def _opened(spec: str, known: NetworkSettings, size: tuple[int, int] | None) -> Network:
    if spec.startswith("timm:"):
        return open_timm(spec, known)
    if spec.startswith("torchvision:"):
        return open_torchvision(spec, known, size)
    path = Path(spec)
    if not path.is_file():
        raise UserError(f"{spec}: no such file; name {_FORMS}")
    # A bare .safetensors is a state_dict like any other, once its architecture is named.
    if path.suffix == ".safetensors" and (known.arch is None or path.with_suffix(".json").is_file()):
        return open_export(spec, known)
    return open_file(spec, known, size)


def _assumptions(network: Network, image_shape: tuple[int, int, int] | None) -> list[str]:
    notes = []
    if network.mean is None:
        notes.append("its input normalization is not recorded: taken to be the data's")
    if network.image_size is not None and image_shape is not None and network.image_size != image_shape[1:]:
        there, here = ("x".join(map(str, size)) for size in (network.image_size, image_shape[1:]))
        notes.append(f"trained on {there} images, given {here} ones")
    return notes
