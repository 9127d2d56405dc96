"""A measurement against those of its parts on all examples at once."""

import pytest
import torch

from shared.advice import SmoothnessAccumulator, measure
from shared.advice import measurement as module
from shared.diffusion import CentroidAccumulator, Clusters, PredictionAccumulator


@pytest.fixture
def examples():
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(240) % 6
    features = torch.eye(6)[labels].repeat(1, 2) + 0.3 * torch.randn(240, 12, generator=generator)
    return features, labels, torch.randn(6, 12, generator=generator)


def test_parts_of_a_batch_and_batches_give_what_all_at_once_gives(examples, monkeypatch):
    features, labels, weight = examples
    monkeypatch.setattr(module, "_NUMBERS", 6 * 7)  # 7 rows at a time
    found = measure(zip(features.split(100), labels.split(100), strict=True), lambda f: f @ weight.T, 6)
    whole, clusters = SmoothnessAccumulator(6), CentroidAccumulator(6, 12, second_moments=True)
    predictions = PredictionAccumulator(6, 6)
    whole.update(features @ weight.T, labels)
    clusters.update(features, labels)
    predictions.update(features @ weight.T, labels)
    assert found.smoothness.entropy == pytest.approx(whole.smoothness.entropy, rel=1e-6)
    assert found.tightness.spread == pytest.approx(Clusters(clusters).spread, rel=1e-6)
    assert found.tightness.stability == pytest.approx(predictions.stability, rel=1e-6)
    assert found.tightness.classes == 6
    assert found.confidence_of([0, 1, 2, 3, 4, 5]) == pytest.approx(found.smoothness.confidence, rel=1e-12)


def test_only_the_chosen_classes_are_clusters(examples):
    features, labels, weight = examples
    found = measure([(features, labels)], lambda f: f @ weight.T, 6, [4, 1])
    few = measure(
        [(features[(labels == 1) | (labels == 4)], labels[(labels == 1) | (labels == 4)])], lambda f: f @ weight.T, 6
    )
    assert found.tightness.classes == 2
    assert found.tightness.spread == pytest.approx(few.tightness.spread, rel=1e-9)
    assert found.smoothness.count == 240


def test_what_forms_no_clusters_has_no_tightness(examples):
    features, labels, weight = examples
    alone = labels == 2
    assert measure([(features[alone], labels[alone])], lambda f: f @ weight.T, 6).tightness is None
    assert measure([(features, labels)], lambda f: f @ weight.T, 6, []).tightness is None
    assert measure([(features[:6], labels[:6])], lambda f: f @ weight.T, 6).tightness is None  # one of each class
