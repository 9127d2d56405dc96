"""One rank of several with batch normalization over all: python -m tests.vision.training.batch_norm_rank FOLDER 0 2

FOLDER/images.pt holds the whole batch, of which rank 0 takes the first 5. FOLDER/RANK.pt gets, by network, the rank's
outputs, the gradients of its own loss, and the state of the network afterwards.
"""

from pathlib import Path

import timm
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from tests.two_ranks import in_a_group
from vision.training.batch_norm import synchronize_batch_norm

NETWORKS = ("layers", "mobilenetv2_035")


def network(name: str) -> nn.Module:
    """The same in every process; float64."""
    torch.manual_seed(0)
    if name != "layers":
        return timm.create_model(name, num_classes=3).double().train()
    plain, averaged = nn.BatchNorm2d(4), nn.BatchNorm2d(6, momentum=None, affine=False)
    layers = [nn.Conv2d(3, 4, 3), plain, BatchNormAct2d(4), nn.Conv2d(4, 6, 1), averaged]
    return nn.Sequential(*layers).double().train()


def outputs_and_gradients(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Of two training steps without updates; the loss is a sum over images, so processes' gradients add up."""
    images = images.clone().requires_grad_()
    for _ in range(2):
        model.zero_grad()
        images.grad = None
        out = model(images)
        (out * torch.linspace(-1, 2, out[0].numel(), dtype=out.dtype).view_as(out[0]).sin()).pow(2).sum().backward()
    gradients = {f"gradient {name}": parameter.grad for name, parameter in model.named_parameters()}
    return {"out": out.detach(), "images": images.grad, **gradients}


def found(name: str, own: Tensor) -> dict[str, Tensor]:
    """What this process finds for its images."""
    model = network(name)
    synchronize_batch_norm(model, torch.device("cpu"))
    values = outputs_and_gradients(model, own)
    return values | {f"state {key}": value for key, value in model.state_dict().items()}


def main(folder: Path, rank: int) -> None:
    own = torch.load(folder / "images.pt", weights_only=True).tensor_split([5])[rank]
    torch.save({name: found(name, own) for name in NETWORKS}, folder / f"{rank}.pt")


if __name__ == "__main__":
    in_a_group(main)
