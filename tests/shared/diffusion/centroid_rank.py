"""One rank of several that merge their accumulators: python -m tests.shared.diffusion.centroid_rank FOLDER RANK WORLD

FOLDER/cases.pt holds a list of cases {features, labels, classes, sizes, second_moments}; sizes are the rows that each
rank has. FOLDER/RANK.pt gets what this rank reads after the merge: centroids, counts and, where asked for, variances;
or {refused: the message of its ValueError}.
"""

from pathlib import Path
from typing import Any

import torch

from shared.diffusion import CentroidAccumulator
from tests.two_ranks import in_a_group


def run(case: dict[str, Any], rank: int) -> dict[str, Any]:
    features, labels = (case[key].split(case["sizes"])[rank] for key in ("features", "labels"))
    seen = CentroidAccumulator(case["classes"], features.shape[1], second_moments=case["second_moments"])
    for x, y in zip(features.split(10), labels.split(10), strict=True):
        seen.update(x, y)
    seen.merge_ranks(torch.device("cpu"))
    try:
        found = {"centroids": seen.centroids, "counts": seen.counts}
    except ValueError as error:
        return {"refused": str(error)}
    return found | ({"variances": seen.within_class_variance} if case["second_moments"] else {})


def main(folder: Path, rank: int) -> None:
    cases = torch.load(folder / "cases.pt", weights_only=True)
    torch.save([run(case, rank) for case in cases], folder / f"{rank}.pt")


if __name__ == "__main__":
    in_a_group(main)
