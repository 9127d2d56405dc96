"""Oracles: points whose distances are worked by hand, and the definitions as loops in numpy."""

import math

import numpy as np
import pytest
import torch

from shared.diffusion import CentroidAccumulator, ClassSets, Clusters, PredictionAccumulator
from shared.diffusion.cluster_record import cluster_metrics, cluster_table, set_notes
from shared.errors import UserError

SETS = [ClassSets(0, [1], [2, 4], "explicit"), ClassSets(2, [0, 1], [4], "explicit")]


def clusters_of(features: torch.Tensor, labels: torch.Tensor, classes: int = 5, batch: int = 7) -> Clusters:
    seen = CentroidAccumulator(classes, features.shape[1], second_moments=True)
    for rows, places in zip(features.split(batch), labels.split(batch), strict=True):
        seen.update(rows, places)
    return Clusters(seen)


def predictions_of(logits: torch.Tensor, labels: torch.Tensor, classes: int, batch: int = 7) -> PredictionAccumulator:
    seen = PredictionAccumulator(classes, logits.shape[1])
    for rows, places in zip(logits.split(batch), labels.split(batch), strict=True):
        seen.update(rows, places)
    return seen


@pytest.fixture
def examples() -> tuple[torch.Tensor, torch.Tensor]:
    """Features of 4 clusters of unequal size and width, away from the origin; class 3 has no examples."""
    generator = torch.Generator().manual_seed(4)
    labels = torch.tensor([0] * 20 + [1] * 5 + [2] * 30 + [4] * 9)[torch.randperm(64, generator=generator)]
    means = 10 + 3 * torch.randn(5, 6, generator=generator)
    noise = torch.randn(64, 6, generator=generator) * (1 + labels.unsqueeze(1))
    return means[labels] + noise, labels


def by_loops(features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    present = sorted(set(labels.tolist()))
    centroid = {k: features[labels == k].mean(axis=0) for k in present}
    variances = [np.mean([np.sum((f - centroid[k]) ** 2) for f in features[labels == k]]) for k in present]
    pairs = [np.linalg.norm(centroid[i] - centroid[k]) for i in present for k in present if i < k]
    within, between = np.sqrt(np.mean(variances)), np.mean(pairs)

    def apart(sets: list[tuple[int, list[int]]]) -> float:
        return float(np.mean([np.mean([np.linalg.norm(centroid[t] - centroid[k]) for k in of]) for t, of in sets]))

    similar, dissimilar = apart([(0, [1]), (2, [0, 1])]), apart([(0, [2, 4]), (2, [4])])
    found = {"within": within, "between": between, "spread": within / between}
    return found | {"similar": similar / between, "dissimilar": dissimilar / between, "separation": similar / within}


def values_of(clusters: Clusters) -> dict[str, float]:
    found = {name: getattr(clusters, name) for name in ("within", "between", "spread")}
    return found | {name: getattr(clusters, name)(SETS) for name in ("similar", "dissimilar", "separation")}


def test_equals_the_definitions_by_loops(examples: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, labels = examples
    clusters = clusters_of(features, labels)
    assert values_of(clusters) == pytest.approx(by_loops(features.double().numpy(), labels.numpy()), rel=1e-9)
    assert clusters.count == 64


def test_two_clusters_by_hand() -> None:
    """Centroids 0 and 10; one class at distance 1 from its own, the other at 3: within is the root of (1 + 9) / 2."""
    features = torch.tensor([[-1.0], [1.0], [7.0], [13.0], [7.0], [13.0]])
    clusters = clusters_of(features, torch.tensor([0, 0, 1, 1, 1, 1]), classes=2)
    assert (clusters.within, clusters.between) == pytest.approx((math.sqrt(5), 10))
    assert clusters.spread == pytest.approx(math.sqrt(5) / 10)
    sets = [ClassSets(0, [1], [1], "explicit")]
    assert clusters.similar(sets) == pytest.approx(1)
    assert clusters.separation(sets) == pytest.approx(10 / math.sqrt(5))


def test_tighter_clusters_have_less_spread_and_more_separation(examples: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, labels = examples
    broad = clusters_of(features, labels)
    own = broad.centroids.float()[labels]
    tight = clusters_of(own + 0.5 * (features - own), labels)
    assert tight.spread == pytest.approx(broad.spread / 2, rel=1e-5)
    assert tight.separation(SETS) == pytest.approx(2 * broad.separation(SETS), rel=1e-5)
    assert tight.similar(SETS) == pytest.approx(broad.similar(SETS), rel=1e-5)


def test_ratios_stand_when_features_are_scaled_turned_and_moved(examples: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, labels = examples
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    first, second = (values_of(clusters_of(f, labels)) for f in (features, 7 * features.double() @ turn - 3))
    for length in ("within", "between"):
        assert second.pop(length) == pytest.approx(7 * first.pop(length), rel=1e-6)
    assert second == pytest.approx(first, rel=1e-6)


def test_many_targets_go_part_by_part() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300).repeat(2)
    features = torch.randn(600, 4, generator=generator, dtype=torch.float64)
    clusters = clusters_of(features, labels, classes=300, batch=64)
    sets = [ClassSets(k, [(k + 1) % 300], [(k + 2) % 300, (k + 3) % 300], "explicit") for k in range(300)]
    centroids = clusters.centroids.numpy()
    near = np.mean([np.linalg.norm(centroids[k] - centroids[(k + 1) % 300]) for k in range(300)])
    assert clusters.separation(sets) == pytest.approx(near / clusters.within, rel=1e-9)


def test_what_has_no_clusters_is_refused(examples: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, labels = examples
    with pytest.raises(UserError, match="need two or more that differ"):
        clusters_of(features, torch.zeros_like(labels))
    with pytest.raises(UserError, match="need two or more that differ"):
        clusters_of(torch.ones(4, 2), torch.tensor([0, 0, 1, 1]), classes=2)
    with pytest.raises(UserError, match="need several examples of a class"):
        clusters_of(torch.tensor([[0.0], [2.0]]), torch.tensor([0, 1]), classes=2)
    with pytest.raises(UserError, match=r"classes \[3\] have no examples"):
        clusters_of(features, labels).dissimilar([ClassSets(0, [1], [2, 3], "explicit")])
    with pytest.raises(ValueError, match="diverged"):
        clusters_of(features.fill_(math.nan), labels)


def test_stability_and_confidence_by_hand() -> None:
    """Class 0: (1, 0) and (0, 1), each 1/2 in square from their mean. Class 1: twice (3/4, 1/4)."""
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0], [math.log(3), 0.0], [math.log(3), 0.0]])
    found = predictions_of(logits, torch.tensor([0, 0, 1, 1]), classes=2, batch=1)
    assert found.stability == pytest.approx(1 - (1 / 2 + 0) / 2, abs=1e-7)
    assert found.confidence == pytest.approx((1 + 1 + 3 / 4 + 3 / 4) / 4, abs=1e-7)
    assert found.count == 4


def test_stability_is_1_where_a_class_gets_one_prediction() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, -1.0, 2.0], [0.3, 0.2, 0.1]])[labels] + torch.arange(6).unsqueeze(1)
    assert predictions_of(logits, labels, classes=3).stability == pytest.approx(1, abs=1e-12)


def test_stability_equals_equation_2_by_loops() -> None:
    generator = torch.Generator().manual_seed(2)
    labels, logits = torch.randint(4, (50,), generator=generator), 2 * torch.randn(50, 6, generator=generator)
    exponentials = np.exp(logits.double().numpy())
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    variances = []
    for k in range(4):
        own = p[labels.numpy() == k]
        variances.append(np.mean([np.sum((one - own.mean(axis=0)) ** 2) for one in own]))
    found = predictions_of(logits, labels, classes=5)  # the fifth has no examples
    assert found.stability == pytest.approx(1 - np.mean(variances), rel=1e-12)
    assert found.confidence == pytest.approx(p.max(axis=1).mean(), rel=1e-12)


def test_metrics_of_a_record_and_their_table(examples: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, labels = examples
    clusters, predictions = clusters_of(features, labels), predictions_of(features, labels, classes=5)
    metrics = cluster_metrics("train", clusters, predictions, SETS) | cluster_metrics(
        "val", clusters, predictions, SETS
    )
    assert {key: (m.unit, m.count) for key, m in metrics.items() if key.startswith("val/")} == {
        "val/spread": ("ratio", 64),
        "val/within": ("feature units", 64),
        "val/between": ("feature units", 64),
        "val/similar": ("ratio", 64),
        "val/dissimilar": ("ratio", 64),
        "val/separation": ("ratio", 64),
        "val/stability": ("ratio", 64),
        "val/confidence": ("ratio", 64),
    }
    expected = values_of(clusters) | {"stability": predictions.stability, "confidence": predictions.confidence}
    assert {key: metrics[f"train/{key}"].value for key in expected} == expected
    lines = list(cluster_table(metrics, SETS))
    assert "2 targets, sets: explicit" in lines[0]
    assert lines[1].split() == ["train", "val"]
    assert lines[2].split() == ["spread", *[f"{clusters.spread:.4f}"] * 2, "ratio"]


def test_notes_name_the_classes_of_the_sets() -> None:
    first, second = set_notes([SETS[0], ClassSets(1, [0], [2, 3, 4], "nearest centroids")], list("abcde"))
    assert first == "a (explicit): S1 b; S2 c, e"
    assert second == "b (nearest centroids): S1 a; S2 every other class"
