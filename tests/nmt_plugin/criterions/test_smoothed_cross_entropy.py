"""Oracle: fairseq's own criterion."""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.logging import metrics

import nmt_plugin
from nmt_plugin.criterions import SmoothedCrossEntropyCriterion, WordKDCriterion
from nmt_plugin.criterions.smoothed_cross_entropy import SmoothedCrossEntropyConfig

LENGTHS = [(5, 3, 1), (4, 4), (7,)]


def plain(tiny: ModuleType, alpha: float = 0.1, **options: Any) -> SmoothedCrossEntropyCriterion:
    return SmoothedCrossEntropyCriterion(tiny.task(), alpha, **options)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.3])
def test_smoothed_cross_entropy_is_fairseqs_at_the_stated_epsilon(
    tiny: ModuleType, alpha: float, lengths: tuple[int, ...]
) -> None:
    task, entries = tiny.task(), tiny.ENTRIES
    model, sample = tiny.model(task), tiny.batch(task, lengths)
    theirs = LabelSmoothedCrossEntropyCriterion(task, False, alpha * (entries - 1) / entries)
    ours, size, log = plain(tiny, alpha)(model, sample)
    expected, their_size, their_log = theirs(model, sample)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(log["nll_loss"], their_log["nll_loss"])
    assert size == their_size == sum(lengths)


def test_bits_per_token_leave_out_the_ignored_prefix(tiny: ModuleType) -> None:
    """Both averages are over 4 + 2 counted tokens, not over the 10 of the batch."""
    sample = tiny.batch(tiny.task(), (6, 4))
    _, _, log = plain(tiny, ignore_prefix_size=2)(tiny.model(tiny.task()).eval(), sample)
    with metrics.aggregate() as aggregated:
        SmoothedCrossEntropyCriterion.reduce_metrics([log])
    bits = log["nll_loss"].item() / 6 / math.log(2)
    assert aggregated.get_smoothed_values()["nll_loss"] == pytest.approx(bits, abs=1e-3)


def test_sentence_average_divides_by_sentences(tiny: ModuleType) -> None:
    _, size, _ = plain(tiny, sentence_avg=True)(tiny.model(tiny.task()), tiny.batch(tiny.task(), (5, 3, 1)))
    assert size == 3


def test_building_a_criterion_with_a_mistake_exits_with_status_2(
    tiny: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SmoothedCrossEntropyConfig(label_smoothing=2.0, sentence_avg=False)
    with pytest.raises(SystemExit) as stopped:
        SmoothedCrossEntropyCriterion.build_criterion(config, tiny.task())
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: alpha")


@pytest.mark.parametrize("name", ["smoothed_cross_entropy", "word_kd"])
def test_an_adaptive_softmax_is_scored_and_not_trained(
    tiny: ModuleType, teachers: list[Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """fairseq's own has no gradient outside adaptive_loss: autograd raises RuntimeError."""
    task = tiny.task()
    model, sample = tiny.model(task, adaptive_softmax_cutoff="8,14").eval(), tiny.batch(task)
    criterion = plain(tiny) if name == "smoothed_cross_entropy" else WordKDCriterion(task, 0.1, str(teachers[0]))
    with torch.no_grad():
        _, _, log = criterion(model, sample)
        log_probs = model.get_normalized_probs(model(**sample["net_input"]), log_probs=True)
    gold = log_probs.gather(-1, sample["target"].unsqueeze(-1)).squeeze(-1)[sample["target"] != criterion.padding_idx]
    assert float(log["nll_loss"]) == pytest.approx(-gold.sum().item(), rel=1e-5)
    with pytest.raises(SystemExit) as stopped:
        criterion(model.train(), sample)
    assert stopped.value.code == 2
    assert "--adaptive-softmax-cutoff" in capsys.readouterr().err


def test_the_plugin_registers_both_criteria() -> None:
    from fairseq.criterions import CRITERION_REGISTRY

    assert nmt_plugin.criterions
    assert CRITERION_REGISTRY["word_kd"] is WordKDCriterion
    assert CRITERION_REGISTRY["smoothed_cross_entropy"] is SmoothedCrossEntropyCriterion
