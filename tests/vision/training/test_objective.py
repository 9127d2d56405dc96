"""Every way to learn from teachers, against its definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vision.settings import DistillSettings, RecipeSettings
from vision.training.distillation import Distillation
from vision.training.frozen_teacher import FrozenTeacher
from vision.training.mixing import Mixing
from vision.training.objective import Objective

RECIPE = RecipeSettings(2, 4, "sgd", 0.1, 0.9, 1e-4, "cosine", 0.5, None)
LABELS = torch.tensor([0, 1, 2, 4, 3, 3])


@pytest.fixture
def logits():
    """The student's and three teachers', [6, 5] each."""
    torch.manual_seed(3)
    return torch.randn(6, 5), [3 * torch.randn(6, 5) for _ in range(3)]


def test_several_teachers_are_averaged_in_softened_probability(logits):
    student, teachers = logits
    terms = Objective(temperature=2.0).terms(student, teachers, LABELS)
    mean = torch.stack([F.softmax(z / 2, -1) for z in teachers]).mean(0)
    expected = 4 * F.kl_div(F.log_softmax(student / 2, -1), mean, reduction="sum")
    torch.testing.assert_close(terms["loss"], expected)


def test_dist_is_its_mean_times_the_batch_and_has_weights_of_its_own(logits):
    """By numpy, with the weights of strategy B1: cross-entropy 1, DIST 2."""
    student, teachers = logits
    objective = Objective(0.1, 1.0, 2.0, 1.0, DistillSettings("dist", hard_weight=1.0, beta=2.0, gamma=0.5))
    terms = objective.terms(student, teachers[:1], LABELS)
    ours, theirs = (F.softmax(z.double(), -1).numpy() for z in (student, teachers[0]))
    inter = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)])
    intra = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ours.T, theirs.T, strict=True)])
    assert float(terms["dist"]) / 6 == pytest.approx(2.0 * inter + 0.5 * intra, rel=1e-5)
    hard = F.cross_entropy(student, LABELS, label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(terms["loss"], 2.0 * terms["dist"] + hard)


@pytest.mark.parametrize("squared", [True, False])
def test_dist_takes_the_temperature(logits, squared):
    student, teachers = logits
    distill = DistillSettings("dist", hard_weight=1.0, tau_squared=squared)
    terms = Objective(0.0, 4.0, 2.0, 1.0, distill).terms(student, teachers[:1], LABELS)
    ours, theirs = (F.softmax(z.double() / 4, -1).numpy() for z in (student, teachers[0]))
    inter = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)])
    intra = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ours.T, theirs.T, strict=True)])
    assert float(terms["dist"]) / 6 == pytest.approx((16 if squared else 1) * (inter + intra), rel=1e-4)


def test_the_teachers_labels_are_not_smoothed(logits):
    student, teachers = logits
    terms = Objective(0.1, 1.0, 0.5, 0.5, DistillSettings("epl")).terms(student, teachers, LABELS)
    labels = torch.stack(teachers).mean(0).argmax(-1)
    torch.testing.assert_close(terms["epl"], F.cross_entropy(student, labels, reduction="sum"))


@pytest.mark.parametrize("ensemble", ["logits", "probabilities", "vote"])
def test_epl_learns_the_ensembles_labels(ensemble):
    teachers = [torch.tensor([[2.0, 1.9, 0.0]]), torch.tensor([[2.0, 1.9, 0.0]]), torch.tensor([[0.0, 9.0, 0.0]])]
    student = torch.tensor([[0.3, 0.2, 0.1]])
    objective = Objective(distill=DistillSettings("epl", ensemble=ensemble))
    label = torch.tensor([0 if ensemble == "vote" else 1])
    expected = F.cross_entropy(student, label, reduction="sum")
    torch.testing.assert_close(objective.terms(student, teachers, torch.tensor([2]))["loss"], expected)


def test_mixed_images_have_mixed_hard_labels(logits):
    student, teachers = logits
    shares = F.softmax(torch.randn(6, 5), -1)
    terms = Objective(0.1, 4.0, 1.0, 0.9).terms(student, teachers[:1], shares)
    expected = F.cross_entropy(student, shares, label_smoothing=0.1, reduction="sum")
    torch.testing.assert_close(terms["cross_entropy"], expected)


class Network(nn.Module):
    """Remembers what it saw."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.seen = nn.Linear(3 * 8 * 8, 5), []

    def forward(self, images):
        self.seen.append(images.clone())
        return self.layer(images.flatten(1))


def module(teachers, mixing=None, **distill):
    objective = Objective(hard_weight=0.5, kd_weight=0.5, distill=DistillSettings(**distill))
    return Distillation(Network(0), RECIPE, 1, 2, objective, FrozenTeacher(teachers), mixing=mixing)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_teacher_answers_on_the_mixed_image(kind):
    images = torch.randn(4, 3, 8, 8)
    teacher = Network(1)
    distillation = module([teacher], Mixing(float(kind == "mixup"), float(kind == "cutmix"), 5))
    loss = distillation.training_step((images, torch.tensor([0, 1, 2, 4])), 0) * 4
    (taught,), (seen,) = teacher.seen, distillation.model.seen
    assert torch.equal(taught, seen)
    assert not torch.equal(seen, images)
    # The mix by hand: what is the image's own share of the pair, and so of the labels.
    pairs = images.flip(0)
    if kind == "mixup":
        share = float(((seen - pairs) / (images - pairs)).median())
        torch.testing.assert_close(seen, share * images + (1 - share) * pairs)
    else:
        share = float((seen == images).double().mean())
        assert ((seen == images) | (seen == pairs)).all()
    hard = share * F.one_hot(torch.tensor([0, 1, 2, 4]), 5) + (1 - share) * F.one_hot(torch.tensor([4, 2, 1, 0]), 5)
    with torch.no_grad():
        ours = distillation.model.layer(seen.flatten(1)).log_softmax(-1)
        theirs = teacher.layer(seen.flatten(1)).softmax(-1)
    kd = (theirs * (theirs.log() - ours)).sum()
    torch.testing.assert_close(loss.detach(), 0.5 * kd - 0.5 * (hard * ours).sum(), rtol=1e-4, atol=1e-4)


def test_a_mix_is_of_its_seed_alone():
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 4])
    mixing, before = Mixing(1.0, 1.0, 5), images.clone()
    one, other = mixing(images, labels, 7), mixing(images, labels, 7)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0], mixing(images, labels, 8)[0])
    assert torch.equal(images, before)


@pytest.mark.parametrize("draw", ["example", "batch"])
def test_rpl_asks_one_teacher_for_every_image(draw):
    teachers = [Network(seed) for seed in (1, 2, 3)]
    images = torch.randn(40, 3, 8, 8)
    distillation = module(teachers, loss="rpl", draw=draw)
    terms = distillation.losses(images, torch.zeros(40, dtype=torch.int64))
    asked = [torch.cat([*teacher.seen, images[:0]]) for teacher in teachers]
    assert sum(len(part) for part in asked) == 40
    assert sorted(len(part) > 0 for part in asked) == ([True] * 3 if draw == "example" else [False, False, True])
    labels = torch.empty(40, dtype=torch.int64)
    for teacher, part in zip(teachers, asked, strict=True):
        for image in part:
            row = int((images == image).flatten(1).all(1).nonzero())
            labels[row] = teacher.layer(image.flatten()).argmax()
    expected = F.cross_entropy(distillation.model.layer(images.flatten(1)), labels, reduction="sum")
    torch.testing.assert_close(terms["rpl"], expected)
    again = module([Network(seed) for seed in (1, 2, 3)], loss="rpl", draw=draw)
    torch.testing.assert_close(again.losses(images, torch.zeros(40, dtype=torch.int64))["rpl"], terms["rpl"])
