import math

import pytest
import torch

from shared.errors import UserError
from vision.scores import Scores, score


def test_counts_and_nll_by_hand():
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
    assert {metric.count for metric in metrics.values()} == {3}


def test_a_short_last_batch_weighs_by_its_images():
    class Constant(torch.nn.Linear):
        def forward(self, images):
            return torch.tensor([[5.0, 0.0]]).expand(len(images), 2)

    batches = [(torch.zeros(4, 1), torch.zeros(4).long()), (torch.zeros(1, 1), torch.ones(1).long())]
    assert score(Constant(1, 1), batches).top1_percent == pytest.approx(80.0)


def test_outputs_that_are_not_finite_are_refused():
    scores = Scores()
    scores.update(torch.full((2, 3), float("nan")), torch.tensor([0, 1]))
    with pytest.raises(UserError, match="diverged"):
        scores.metrics("test")
