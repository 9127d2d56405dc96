"""DIST against KD, of records as image classification and as translation write them."""

import dataclasses

import pytest

from shared.advice.evidence import Evidence, read_evidence
from shared.advice.loss import best_dist, compare_losses

GAINS = (0.2, 0.5, 0.8, 0.5, 0.4)  # of DIST over KD, by seed
# mean 0.48, s = 0.21679; 97.5 % of Student's t with 4 degrees of freedom, from a printed table
HALF_WIDTH = 2.776 * 0.21679 / 5**0.5


def students(sample, alpha, gains, *, arch="resnet18", best=91.0):
    """Of each seed a teacher, two KD students (the second 1 better), and a DIST student by its gain over that one."""
    records = []
    for seed, gain in enumerate(gains, 1):
        of = sample.teacher(alpha, seed, arch=arch)
        records.append(sample.model_record(f"{arch} {alpha} {seed}", of, sample.image_metrics(93.0)))
        for loss, temperature, score in (("kd", 4.0, best - 1), ("kd", 2.0, best), ("dist", 1.0, best + gain)):
            made = sample.student(of, temperature)
            made = dataclasses.replace(made, loss=loss, sha256=sample.digest(made.sha256, loss))
            name = f"{arch} {alpha} {seed} {loss} {temperature}"
            records.append(sample.model_record(name, made, sample.image_metrics(score), of))
    return records


def compared(records, alphas, task="image-classification"):
    evidence = Evidence("runs", task, records, {record.name: record.name for record in records})
    of, data = records[0].models[0], records[0].data.name
    return compare_losses(evidence.loss_studies(of, data), alphas, str)


def test_dist_that_is_better_beyond_chance_is_chosen(sample):
    records = students(sample, 0.1, GAINS) + students(sample, 0.0, [-1, 1, -1, 1, 0])
    [one] = compared(records, [0.1])
    assert one.kd.replace("\xa0", " ").startswith("KD, T = 2")
    assert (one.gain.mean, one.gain.half_width) == pytest.approx((0.48, HALF_WIDTH), rel=1e-3)
    assert one.better
    assert best_dist([one]) is one
    assert one.temperature == 1.0
    assert set(one.records) == {f"resnet18 0.1 {s} {of}" for s in range(1, 6) for of in ("dist 1.0", "kd 2.0")}


def test_dist_that_is_not_or_not_for_every_teacher_is_not(sample):
    [one] = compared(students(sample, 0.1, [-1, 1, -1, 2, 0]), [0.1])
    assert not one.better
    assert best_dist([one]) is None
    two = compared(students(sample, 0.1, GAINS) + students(sample, 0.1, [-1, 1, -1, 2, 0], arch="big"), [0.1])
    assert sorted(one.better for one in two) == [False, True]
    assert best_dist(two) is None
    [worse] = compared(students(sample, 0.1, [-gain for gain in GAINS]), [0.1])
    assert worse.adjusted_p < 0.01
    assert best_dist([worse]) is None


def test_one_seed_decides_nothing_and_no_dist_is_no_comparison(sample):
    [one] = compared(students(sample, 0.1, [5.0]), [0.1])
    assert (one.gain.mean, one.p, one.better) == (5.0, None, False)
    assert best_dist([]) is None
    records = students(sample, 0.1, GAINS)
    assert compared(records, [0.2]) == []
    assert compared([r for r in records if r.models[0].loss != "dist"], [0.1]) == []


def test_translations_are_judged_by_bleu(sample, tmp_path):
    records = []
    for record in students(sample, 0.1, GAINS):
        metrics = sample.text_metrics(record.metrics["last/test/top1"].value)
        records.append(dataclasses.replace(record, task="translation", data=sample.HELP, metrics=metrics))
    sample.write_records(tmp_path, records)
    evidence = read_evidence(tmp_path, "translation")
    [one] = compare_losses(evidence.loss_studies(records[0].models[0], sample.HELP.name), [0.1], str)
    assert one.better
    assert one.gain.mean == pytest.approx(0.48)
    [kd] = evidence.score_studies(records[0].models[0], sample.HELP.name)
    assert kd.temperatures == [2.0, 4.0]  # DIST's T = 1 is no row of KD's
