"""Logits and oracles for tests of a teacher's top K: sums over all classes in numpy float64, K + 1 outcomes in torch.

Tests reach them through the fixture `oracle`.
"""

import sys
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """This module: its functions are called as `oracle.pair(...)`."""
    return sys.modules[__name__]


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, scale: float = 3.0) -> list[Tensor]:
    """Logits of a student and of a teacher."""
    generator = torch.Generator().manual_seed(sum(shape))
    return [(scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype) for _ in range(2)]


def words(rows: int = 50, classes: int = 6000) -> Tensor:
    """Logits as a translation model has them: Zipf's law, noise, and up to five words that stand out."""
    generator = torch.Generator().manual_seed(0)
    rank = torch.arange(classes, dtype=torch.float64)
    likely = 5 * torch.rand(rows, 1, generator=generator, dtype=torch.float64) * (rank < 5)
    return likely - torch.log1p(rank) + 0.7 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)


def softmax(z: Array) -> Array:
    exps = np.exp(z - z.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def sorted_classes(logits: Tensor) -> npt.NDArray[np.int64]:
    """Class ids, most probable first."""
    return np.argsort(-logits.double().numpy(), axis=-1, kind="stable")


def true_tail_log_mass(logits: Tensor, k: int, temperature: float) -> Array:
    """log sum exp(z / T) over the classes outside the top k, z = log-probabilities."""
    probabilities = softmax(logits.double().numpy())
    rest = np.take_along_axis(probabilities, sorted_classes(logits)[..., k:], axis=-1)
    return np.log((rest ** (1 / temperature)).sum(axis=-1))


def grouped_divergence(student: Tensor, teacher: Tensor, k: int, temperature: float) -> Tensor:
    """T^2 KL over k + 1 outcomes, from all of both distributions, so that autograd gives the gradient as well."""
    order = torch.from_numpy(sorted_classes(teacher.detach()))
    p, q = (torch.softmax(z / temperature, dim=-1).gather(-1, order) for z in (teacher, student))
    p, q = (torch.cat([x[..., :k], x[..., k:].sum(dim=-1, keepdim=True)], dim=-1) for x in (p, q))
    return temperature**2 * (p * (p / q).log()).sum()


def gradient(loss: Tensor, student: Tensor) -> Tensor:
    return torch.autograd.grad(loss, student)[0]
