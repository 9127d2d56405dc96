"""How metrics are named and ordered in a report."""

import pytest

from shared.report.metrics import Key, items_label, metric_keys, unit_label
from shared.report.text import NO_BREAK
from shared.results import Data, Metric, Model, Provenance, Result


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("test/top1", "top-1 accuracy, test set"),
        ("last/test/bleu", "BLEU, test set, last epoch"),
        ("best/valid/chrf", "chrF, validation set, best epoch on validation"),
        ("last/test/ter", "TER, test set, last epoch, lower is better"),
        ("avg5/test/bleu", "BLEU, test set, mean of the last 5 checkpoints"),
        ("2_2500/test/bleu", "BLEU, test set, checkpoint 2_2500"),
        ("average/test/bleu", "BLEU, test set, checkpoint average"),
    ],
)
def test_labels(key: str, label: str) -> None:
    assert Key.parse(key).label == label


def test_order_is_by_score_then_by_checkpoint() -> None:
    names = [f"{where}/test/{name}" for name in ("bleu", "chrf", "ter") for where in ("last", "best", "avg5")]
    metrics = {name: Metric(1.0, "TER", 3) for name in reversed(names)}
    provenance = Provenance(["x"], None, {}, "cpu", "2026-01-01T00:00:00Z", 1.0, 1)
    model = Model("teacher", "transformer", 1, "0" * 64, 1)
    record = Result("model", "translation", "r", Data("d"), [model], provenance, metrics=metrics)
    assert [key.text for key in metric_keys([record])] == names


def test_ter_is_over_sentences_and_its_unit_is_its_name() -> None:
    metric = Metric(60.0, "TER", 2004)
    assert items_label(metric, "translation", Key.parse("last/test/ter")) == f"2,004{NO_BREAK}sentences"
    assert unit_label(metric, Key.parse("last/test/ter")) == ""
