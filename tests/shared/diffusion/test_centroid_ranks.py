"""Accumulators of two gloo processes, against numpy over all their rows."""

from typing import Any

import numpy as np
import pytest
import torch

from shared.diffusion import CentroidAccumulator
from tests.two_ranks import run_two_ranks


def case(sizes: list[int], second_moments: bool = False, broken: int | None = None) -> dict[str, Any]:
    """Rows of 4 classes out of 5; `broken` is the row that holds a NaN."""
    generator = torch.Generator().manual_seed(sum(sizes))
    features = 1 + torch.rand(sum(sizes), 6, generator=generator)
    if broken is not None:
        features[broken, 3] = torch.nan
    labels = torch.randint(4, (sum(sizes),), generator=generator)
    return {"features": features, "labels": labels, "classes": 5, "sizes": sizes, "second_moments": second_moments}


CASES = {
    "equal": case([40, 40]),
    "unequal, with second moments": case([55, 12], second_moments=True),
    "one rank without rows": case([60, 0]),
}
BROKEN = {"a NaN in the second rank's last batch": case([30, 45], broken=70)}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
    """What each of two processes found for every case."""
    folder = tmp_path_factory.mktemp("ranks")
    cases = CASES | BROKEN
    torch.save(list(cases.values()), folder / "cases.pt")
    run_two_ranks("tests.shared.diffusion.centroid_rank", folder)
    return [dict(zip(cases, torch.load(folder / f"{r}.pt", weights_only=True), strict=True)) for r in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_every_rank_holds_the_centroids_of_all_rows(ranks: list[Any], name: str) -> None:
    features, labels = CASES[name]["features"].double().numpy(), CASES[name]["labels"].numpy()
    for rank in ranks:
        assert rank[name]["counts"].tolist() == np.bincount(labels, minlength=5).tolist()
        for k in range(4):
            rows = features[labels == k]
            np.testing.assert_allclose(rank[name]["centroids"][k].numpy(), rows.mean(axis=0), rtol=1e-6)
            if CASES[name]["second_moments"]:
                np.testing.assert_allclose(float(rank[name]["variances"][k]), rows.var(axis=0).sum(), rtol=1e-10)
        assert bool(rank[name]["centroids"][4].isnan().all())


def test_a_feature_that_is_not_finite_is_refused_by_every_rank(ranks: list[Any]) -> None:
    """And by none before they have met, which would leave the others waiting."""
    for rank in ranks:
        for name in BROKEN:
            assert "NaN or infinite" in rank[name]["refused"]


def test_without_a_process_group_merging_changes_nothing() -> None:
    seen = CentroidAccumulator(2, 3, second_moments=True)
    seen.update(torch.ones(4, 3), torch.tensor([0, 0, 0, 1]))
    seen.merge_ranks(torch.device("cpu"))
    assert seen.counts.tolist() == [3, 1]
    assert seen.centroids.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert seen.within_class_variance.tolist() == [0, 0]
