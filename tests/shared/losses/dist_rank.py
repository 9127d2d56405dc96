"""One rank of several that train on `dist_loss(..., gathered=True)`: python -m tests.shared.losses.dist_rank FOLDER 0 2

FOLDER/cases.pt holds a list of cases {in, teacher, sizes, options}; sizes are the rows that each rank has of the whole
batch. A case is one backward pass of DistributedDataParallel. FOLDER/RANK.pt gets its loss, the gradient of the weight
as DDP averaged it, and the loss of this rank's rows alone.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from shared.losses import dist_loss
from tests.two_ranks import in_a_group


def network(case: dict[str, Any]) -> nn.Conv2d:
    """A linear map of the channels of [n, d, H, W], the same in every process."""
    torch.manual_seed(0)
    return nn.Conv2d(case["in"].shape[1], case["teacher"].shape[1], 1, dtype=case["in"].dtype)


def logits_like(out: Tensor, teacher: Tensor) -> Tensor:
    """[n, C, 1, 1] as [n, C] where the teacher's logits are such."""
    return out.flatten(1) if teacher.dim() == 2 else out


def run(case: dict[str, Any], rank: int) -> dict[str, Tensor]:
    given, teacher = (case[key].split(case["sizes"])[rank] for key in ("in", "teacher"))
    model = DistributedDataParallel(network(case))
    student = logits_like(model(given), teacher)
    alone = dist_loss(student.detach(), teacher, **case["options"])
    loss = dist_loss(student, teacher, gathered=True, **case["options"])
    loss.backward()
    return {"loss": loss.detach(), "gradient": model.module.weight.grad, "alone": alone}


def main(folder: Path, rank: int) -> None:
    cases = torch.load(folder / "cases.pt", weights_only=True)
    torch.save([run(case, rank) for case in cases], folder / f"{rank}.pt")


if __name__ == "__main__":
    in_a_group(main)
