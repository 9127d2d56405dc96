import dataclasses
import math

import pytest
import torch

from shared.errors import UserError
from vision.scores import Outcomes, Scores, score


def test_counts_and_sums_by_hand():
    scores = Scores()
    # probabilities .7 .1 .1 .05 .03 .02, classes 0, 1, 5: right, in the top five, outside it
    logits = torch.tensor([0.7, 0.1, 0.1, 0.05, 0.03, 0.02]).log().expand(3, 6)
    scores.update(logits[:2], torch.tensor([0, 1]))
    scores.update(logits[2:], torch.tensor([5]))
    metrics = scores.metrics("test")
    assert (scores.count, scores.top1, scores.top5) == (3, 1, 2)
    assert metrics["test/top1"].value == pytest.approx(100 / 3)
    assert metrics["test/top5"].value == pytest.approx(200 / 3)
    assert metrics["test/nll"].value == pytest.approx(-(math.log(0.7) + math.log(0.1) + math.log(0.02)) / 3)
    assert metrics["test/ece"].value == pytest.approx(100 * abs(1 / 3 - 0.7), rel=1e-6)  # all in one bin
    assert metrics["test/ece"].signature == "15 equal-width bins of the top-1 confidence"
    assert {metric.count for metric in metrics.values()} == {3}


def test_outcomes_of_a_batch():
    """The probabilities are softmax's: logits may be shifted by any constant, and be of half precision."""
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]).log() + 7
    outcomes = Outcomes.of(logits, torch.tensor([2, 1]))
    assert outcomes.predicted.tolist() == [0, 1]
    assert outcomes.top5.tolist() == [True, True]  # of three classes all are among the five
    torch.testing.assert_close(
        outcomes.log_prob.exp(), torch.tensor([0.25, 0.75], dtype=torch.float64), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(outcomes.confidence, torch.tensor([0.5, 0.75], dtype=torch.float64), atol=1e-6, rtol=0)
    certain = Outcomes.of(torch.tensor([[900.0, -900.0]], dtype=torch.bfloat16), torch.tensor([0]))
    assert (certain.log_prob.item(), certain.confidence.item()) == (0.0, 1.0)


def test_a_short_last_batch_weighs_by_its_images():
    class Constant(torch.nn.Linear):
        def forward(self, images):
            return torch.tensor([[5.0, 0.0]]).expand(len(images), 2)

    batches = [(torch.zeros(4, 1), torch.zeros(4).long()), (torch.zeros(1, 1), torch.ones(1).long())]
    scores, hits = score(Constant(1, 1), batches)
    assert scores.top1_percent == pytest.approx(80.0)
    assert hits.tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_refused(value):
    scores = Scores()
    scores.update(torch.full((2, 3), value), torch.tensor([0, 1]))
    with pytest.raises(UserError, match="diverged"):
        scores.metrics("test")


def test_scores_of_parts_add_up_field_by_field():
    """As over the processes of a distributed run: 31 images, 16 and 15, none twice."""
    logits = torch.randn(31, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(31) % 7
    whole, first, second = Scores(), Scores(), Scores()
    whole.update(logits, labels)
    first.update(logits[::2], labels[::2])
    second.update(logits[1::2], labels[1::2])
    names = [field.name for field in dataclasses.fields(Scores)]
    added = Scores(**{name: getattr(first, name) + getattr(second, name) for name in names})
    assert (added.count, added.top1, added.top5) == (whole.count, whole.top1, whole.top5)
    for name, metric in whole.metrics("val").items():
        assert added.metrics("val")[name].value == pytest.approx(metric.value, rel=1e-12)
