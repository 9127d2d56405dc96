"""Batch normalization over two processes, against torch's own on the whole batch in one."""

import pytest
import timm
import torch

from tests.two_ranks import run_two_ranks
from tests.vision.training.batch_norm_rank import NETWORKS, network, outputs_and_gradients
from vision.training.batch_norm import synchronize_batch_norm


@pytest.fixture(scope="module")
def images():
    return torch.randn(8, 3, 33, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def ranks(images, tmp_path_factory):
    """What two processes found, which held 5 and 3 of the images."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(images, folder / "images.pt")
    run_two_ranks("tests.vision.training.batch_norm_rank", folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_find_what_one_finds(name, images, ranks):
    """Outputs, gradients and running statistics of the whole batch, on every rank; in float64."""
    model = network(name)
    expected = outputs_and_gradients(model, images)
    rounding = 1e-12 * max(float(value.abs().max()) for value in expected.values())  # some gradients are 0
    for key, value in expected.items():
        parts = [rank[name][key] for rank in ranks]
        together = sum(parts) if key.startswith("gradient") else torch.cat(parts)
        torch.testing.assert_close(together, value, msg=key, rtol=1e-6, atol=rounding)
    for key, value in model.state_dict().items():
        for rank in ranks:
            torch.testing.assert_close(rank[name][f"state {key}"], value, msg=key)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", ["mobilenetv2_100", "efficientnet_b0", "resnet18"])
def test_a_network_keeps_its_activations_and_names(name, device):
    """torch's own converter makes timm's normalization with activation one without; in eval mode no GPU is needed."""
    torch.manual_seed(0)
    model, images = timm.create_model(name, num_classes=3).eval(), torch.randn(2, 3, 32, 32)
    before, names = model(images), list(model.state_dict())
    synchronize_batch_norm(model, torch.device(device))
    assert list(model.state_dict()) == names
    torch.testing.assert_close(model(images), before)
    kinds = {type(part) for part in model.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)}
    assert not kinds & {torch.nn.BatchNorm2d, timm.layers.BatchNormAct2d}
