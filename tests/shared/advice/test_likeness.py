"""What measure and card say together, on hand-made teachers."""

import dataclasses

import pytest

from shared.advice.evidence import Evidence
from shared.advice.likeness import StudiedTeachers, likeness, studied_teachers
from shared.results import Metric, Result
from shared.stats import mean_interval


def teachers(ours, **confidences):
    """Nearest first; keyword `a10` is alpha 0.1."""
    made = [
        StudiedTeachers("fashion-mnist", "resnet18", int(name[1:]) / 100, mean_interval(values), ours, ["r"])
        for name, values in confidences.items()
    ]
    return sorted(made, key=lambda one: one.distance)


TWO = {"a0": [0.99, 0.98], "a10": [0.89, 0.90]}


@pytest.mark.parametrize(
    ("ours", "card", "alphas", "said"),
    [
        (0.90, None, [0.1], "alpha 0.1; its card does not say"),
        (0.90, 0.1, [0.1], "measure and card agree"),
        (0.90, 0.10002, [0.1], "measure and card agree"),  # fairseq's convention
        (0.98, 0.1, [0.1, 0.0], "alpha 0; its card says 0.1: measure and card disagree"),
        (0.90, 0.2, [0.2, 0.1], "measure and card disagree"),
        (0.70, 0.1, [], "like no teacher of the studies: none has a confidence within 0.05"),
    ],
)
def test_the_nearest_in_confidence_and_the_card(ours, card, alphas, said):
    found = likeness(card, 0.2, teachers(ours, a0=TWO["a0"][:1], a10=TWO["a10"][:1]), [0.0, 0.1])
    assert found.alphas == alphas
    assert said in found.verdict


def test_alphas_that_seeds_do_not_tell_apart_stay_together():
    both = teachers(0.92, a0=[0.90, 0.94, 0.95], a10=[0.89, 0.93, 0.92])
    assert likeness(None, 0.1, both, []).alphas == [0.0, 0.1]
    assert "alpha 0 and 0.1, which their seeds do not tell apart" in likeness(None, 0.1, both, []).verdict
    assert likeness(0.0, 0.1, both, []).alphas == [0.0]


def test_without_teachers_the_card_is_believed_unless_contradicted():
    assert likeness(0.1, 0.16, [], [0.0]).alphas == [0.1]
    assert likeness(0.1, 0.051, [], [0.0]).alphas == [0.1]
    contradicted = likeness(0.1, 0.049, [], [0.0])
    assert contradicted.alphas == []
    assert "imply 0.049" in contradicted.verdict
    assert likeness(0.1, None, [], [0.0]).alphas == [0.1]
    assert likeness(None, 0.1, [], [0.0, 0.1]).alphas == [0.0, 0.1]


def clusters(sample, name, of, confidence, notes=(), data=None, task="image-classification"):
    metrics = {"train/confidence": Metric(confidence, "ratio", 5000)}
    data = data or sample.FASHION
    where = sample.provenance(name)
    return Result("clusters", task, name, data, [of], where, metrics=metrics, notes=list(notes))


def evidence(records, task="image-classification"):
    return Evidence("runs", task, records, {record.name: f"runs/{record.name}/result.json" for record in records})


def test_teachers_of_a_study_are_pooled_by_alpha(sample):
    records = [
        clusters(sample, f"clusters-{alpha}-{seed}", sample.teacher(alpha, seed), value + seed / 100)
        for alpha, value in ((0.0, 0.95), (0.1, 0.85))
        for seed in (1, 2, 3)
    ]
    student = sample.student(sample.teacher(0.1), 1.0)
    records.append(dataclasses.replace(records[0], name="student", models=[student]))
    near, far = studied_teachers(evidence(records), "fashion-mnist", lambda _: 0.88)
    assert (near.alpha, far.alpha) == (0.1, 0.0)
    assert near.theirs.mean == pytest.approx(0.87)
    assert near.distance == pytest.approx(0.01)
    assert near.records == [f"runs/clusters-0.1-{seed}/result.json" for seed in (1, 2, 3)]


def test_a_teacher_that_was_measured_twice_is_one_seed(sample):
    values = {"explicit": (1, 0.84), "nearest": (1, 0.86), "other": (2, 0.9)}
    records = [clusters(sample, name, sample.teacher(0.1, seed), value) for name, (seed, value) in values.items()]
    [found] = studied_teachers(evidence(records), "fashion-mnist", lambda _: 0.88)
    assert (found.theirs.n, found.theirs.mean) == (2, pytest.approx(0.875))
    assert len(found.records) == 3


def test_those_of_the_same_data_go_first(sample):
    other = dataclasses.replace(sample.FASHION, name="cifar10")
    records = [
        clusters(sample, "other", sample.teacher(0.0), 0.88, data=other),
        clusters(sample, "same", sample.teacher(0.1), 0.5),
    ]
    assert [one.data for one in studied_teachers(evidence(records), "fashion-mnist", lambda _: 0.88)] == [
        "fashion-mnist"
    ]
    assert [one.data for one in studied_teachers(evidence(records[:1]), "fashion-mnist", lambda _: 0.88)] == ["cifar10"]


@pytest.mark.parametrize("how", ["nearest centroids", "explicit", "nearest centroids, S2 a sample of 50 (seed 1)"])
def test_a_confidence_over_some_tokens_is_compared_over_the_same(sample, how):
    notes = [
        "stability and confidence are over the 5 tokens that are targets or in S1",
        f"\u2581Tabelle ({how}): S1 \u2581Tabellen ;; S2 every other class",
        f"\u2581oder ({how}): S1 \u2581Tabellen (; S2 \u2581und )",
    ]
    asked = []

    def confidence_of(names):
        asked.append(names)
        return 0.4

    record = clusters(sample, "c", sample.teacher(0.1), 0.41, notes, sample.HELP, "translation")
    [found] = studied_teachers(evidence([record], "translation"), sample.HELP.name, confidence_of)
    assert set(asked[0]) == {"\u2581Tabelle", "\u2581Tabellen", ";", "\u2581oder", "("}
    assert found.ours == 0.4
    assert studied_teachers(evidence([record], "translation"), sample.HELP.name, lambda _: None) == []
