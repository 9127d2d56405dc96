"""DIST over the rows of two gloo processes under DDP, against one process that holds the whole batch."""

from typing import Any

import pytest
import torch
from torch import Tensor

from shared.losses import dist_loss
from tests.shared.losses.dist_rank import logits_like, network
from tests.two_ranks import run_two_ranks

SIZES = {"equal": [4, 4], "unequal": [5, 2], "one rank without rows": [6, 0], "a row each": [1, 1], "no rows": [0, 0]}
OPTIONS: dict[str, dict[str, Any]] = {
    "add": {"tau": 1.0},
    "clamp": {"tau": 4.0, "epsilon": "clamp", "tau_squared": False, "beta": 0.5, "gamma": 2.0},
}


def case(sizes: list[int], pixels: tuple[int, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Inputs [n, 3, H, W] and logits [n, 5] or [n, 5, H, W] of both ranks together."""
    generator = torch.Generator().manual_seed(sum(sizes))
    rows = sum(sizes)
    given = torch.randn(rows, 3, *(pixels or (1, 1)), generator=generator, dtype=torch.float64)
    teacher = 2 * torch.randn(rows, 5, *pixels, generator=generator, dtype=torch.float64)
    return {"in": given, "teacher": teacher, "sizes": sizes, "options": options}


CASES = {f"{size}, {name}": case(SIZES[size], (), OPTIONS[name]) for size in SIZES for name in OPTIONS} | {
    "pixels": case([1, 2], (2, 3), OPTIONS["add"]),
}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two processes found for every case."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(list(CASES.values()), folder / "cases.pt")
    run_two_ranks("tests.shared.losses.dist_rank", folder)
    return [dict(zip(CASES, torch.load(folder / f"{r}.pt", weights_only=True), strict=True)) for r in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_every_rank_has_the_loss_and_gradient_of_the_whole_batch(ranks: list[Any], name: str) -> None:
    whole = CASES[name]
    model = network(whole)
    loss = dist_loss(logits_like(model(whole["in"]), whole["teacher"]), whole["teacher"], **whole["options"])
    loss.backward()
    for rank in ranks:
        torch.testing.assert_close(rank[name]["loss"], loss.detach(), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(rank[name]["gradient"], model.weight.grad, rtol=1e-9, atol=1e-14)


def test_the_mean_of_the_ranks_own_losses_is_another_number(ranks: list[Any]) -> None:
    alone = sum(float(rank["equal, add"]["alone"]) for rank in ranks) / 2
    assert abs(alone - float(ranks[0]["equal, add"]["loss"])) > 0.01


def test_without_a_process_group_gathered_changes_nothing() -> None:
    student, teacher = torch.randn(6, 5), torch.randn(6, 5)
    assert torch.equal(dist_loss(student, teacher, gathered=True), dist_loss(student, teacher))
