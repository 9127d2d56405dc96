"""Verdicts on C1, C2, C4 and C5 from made-up records: confirmed, refuted and undecided; and what shares a verdict."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from shared.report.claims import ClaimSet, Comparison, claim_sets
from shared.report.claims.comparison import judge
from shared.report.claims.words import in_numbers, sentence
from shared.report.studies import sort_records
from tests.shared.report.claims_records import (
    SEEDS,
    clusters,
    eta_records,
    model_records,
    moved,
    noise,
    students,
    systematic,
    verdict,
    wobble,
)


@pytest.mark.parametrize(("effect", "status"), [(-0.3, "confirmed"), (0.3, "refuted"), (0.0, "undecided")])
def test_c1_is_about_the_teachers_spread(sample: ModuleType, effect: float, status: str) -> None:
    records = clusters(sample, spread=lambda a, t, s: 0.4 + effect * a * (t is None) + 0.003 * noise(a, t, s))
    found = verdict(records, "C1")
    assert found.status == status
    assert [c.label for c in found.required] == [
        "spread of the teacher, train, α 0.1 minus 0",
        "spread of the teacher, val, α 0.1 minus 0",
    ]
    assert verdict(records, "C2").status == "undecided"


def test_stability_stands_beside_c1_and_decides_nothing(sample: ModuleType) -> None:
    def stability(a: float, t: float | None, s: int) -> float:
        return 0.9 - a + 0.001 * noise(a, t, s)  # far the other way

    records = clusters(sample, spread=lambda a, t, s: 0.4 - a + 0.001 * noise(a, t, s), stability=stability)
    found = verdict(records, "C1")
    assert found.status == "confirmed"
    beside = [c for c in found.comparisons if not c.required]
    assert [(c.direction, c.adjusted_p) for c in beside] == [(-1, None), (-1, None)]
    assert found.note == (
        "Beside it, not required (p < 0.05, not corrected), the other way: stability of the teacher (train and val)."
    )


def test_the_unscaled_distance_stands_beside_c2(sample: ModuleType) -> None:
    """Here it falls although the scaled one grows, for all classes draw together."""

    def similar(a: float, t: float | None, s: int) -> float:
        return 0.6 + a + 0.001 * noise(a, t, s)

    def between(a: float, t: float | None, s: int) -> float:
        return 10 - 60 * a

    found = verdict(clusters(sample, similar=similar, between=between), "C2")
    assert found.status == "confirmed"
    unscaled = next(c for c in found.comparisons if "unscaled, of the teacher, train" in c.label)
    by_hand = [similar(0.1, None, s) * between(0.1, None, s) - similar(0, None, s) * between(0, None, s) for s in SEEDS]
    assert unscaled.differences == pytest.approx(by_hand)
    assert (unscaled.required, unscaled.direction, unscaled.unit) == (False, -1, "feature units")
    assert "the other way: distance between similar classes, unscaled, of the teacher (train and val)" in found.note


@pytest.mark.parametrize(
    ("teacher", "student", "status"),
    [(0.5, 0.5, "confirmed"), (0.5, 0.0, "undecided"), (0.5, -0.5, "refuted"), (-0.5, 0.5, "refuted")],
)
def test_c2_needs_teacher_and_student_at_the_lowest_t(
    sample: ModuleType, teacher: float, student: float, status: str
) -> None:
    def similar(a: float, t: float | None, s: int) -> float:
        effect = teacher if t is None else student if t == 1 else -9.0  # T = 3 is not asked for
        return 0.6 + effect * a + 0.004 * noise(a, t, s)

    found = verdict(clusters(sample, similar=similar), "C2")
    assert found.status == status
    assert len(found.required) == 4
    assert found.statement.replace("\xa0", " ").endswith("its student at T = 1.")


def test_what_label_smoothing_changes_of_eta_stands_beside_c3(sample: ModuleType) -> None:
    records = eta_records(sample, lambda a, name, seed, target: 0.02 + a + a * seed / 100, SEEDS)
    found = {c.label: c for c in verdict(records, "C3").comparisons}
    gap = found["η(S1), T 1 → 3, train, α 0.1 minus 0"]
    assert gap.differences == pytest.approx([10.1, 10.2, 10.3, 10.4, 10.5])
    assert (gap.required, gap.direction) == (False, -1)


@pytest.mark.parametrize(("gap", "status"), [(2.0, "confirmed"), (-2.0, "refuted"), (0.0, "undecided")])
def test_c4_is_the_difference_of_the_losses(sample: ModuleType, gap: float, status: str) -> None:
    found = verdict(students(sample, moved(gap)), "C4")
    assert found.status == status
    [comparison] = found.comparisons
    assert comparison.label == "(T 3 − T 1) of α 0.1 minus that of α 0"
    assert comparison.mean.mean == pytest.approx(-gap, abs=0.3)


@pytest.mark.parametrize(
    ("gain", "loss", "status", "best"),
    [
        (2.0, 3.0, "confirmed", "T 1 with α 0.1"),
        (-2.0, 3.0, "refuted", "T 1 with α 0"),
        (2.0, -4.0, "refuted", "T 3 with α 0.1"),
        (0.0, 3.0, "undecided", ""),
    ],
)
def test_c5_compares_with_every_other_cell(
    sample: ModuleType, gain: float, loss: float, status: str, best: str
) -> None:
    def score(a: float, t: float | None, s: int) -> float:
        return 80 + wobble(s) + 0.3 * noise(a, t, s) + 10 * a * gain - loss * (t == 3) * (a > 0)

    found = verdict(students(sample, score), "C5")
    assert found.status == status
    assert [c.label for c in found.required] == [
        "T 1 with α 0.1 minus T 3 with α 0.1",
        "T 1 with α 0.1 minus T 1 with α 0",
        "T 1 with α 0.1 minus T 3 with α 0",
    ]
    assert f"The best mean is that of {best}" in found.note
    if status == "refuted":
        assert "the other way" in sentence(found)


def test_one_set_of_verdicts_for_each_alpha_above_zero(sample: ModuleType) -> None:
    records = model_records(sample, moved(2.0), (1.0, 3.0), SEEDS, (0.0, 0.05, 0.1))
    sets = claim_sets({Path(r.name) / "r": r for r in records}, records)
    assert [one.alpha for one in sets] == [0.05, 0.1]
    assert [one.verdicts[3].comparisons[0].label.split()[7] for one in sets] == ["0.05", "0.1"]


@pytest.mark.parametrize("seeds", [(9,), (1,)])
def test_an_alpha_that_is_not_done_yet_takes_no_seed_from_the_others(
    sample: ModuleType, seeds: tuple[int, ...]
) -> None:
    whole = model_records(sample, moved(2.0), (1.0, 3.0), SEEDS, (0.0, 0.1))
    records = whole + model_records(sample, moved(2.0), (1.0, 3.0), seeds, (0.2,))
    alone, *others = claim_sets({Path(r.name) / "r": r for r in records}, records)
    [expected] = claim_sets({Path(r.name) / "r": r for r in whole}, whole)
    assert (alone.alpha, alone.verdicts) == (0.1, expected.verdicts)
    assert [one.alpha for one in others] == [0.2] * len(set(seeds) & set(SEEDS))


def test_the_temperatures_are_those_of_every_alpha(sample: ModuleType) -> None:
    """Of one that ran a further T the others lack it; where one began lower, T_low is the study's."""

    def sets(further: float) -> list[ClaimSet]:
        whole = model_records(sample, moved(2.0), (2.0, 3.0), SEEDS, (0.0, 0.1))
        records = whole + model_records(sample, moved(2.0), (2.0, 3.0, further), SEEDS, (0.2,))
        return claim_sets({Path(r.name) / "r": r for r in records}, records)

    one, other = sets(64.0)
    assert (one.alpha, other.alpha) == (0.1, 0.2)
    assert one.verdicts[3].missing == ["(T 64 − T 2) of α 0.1 minus that of α 0"]
    assert (one.verdicts[3].status, one.verdicts[4].status) == ("undecided", "undecided")
    assert [one.alpha for one in sets(1.0)] == [0.2]  # the others have no student of T 1 to compare with


def test_the_verdicts_of_a_data_set_stand_together(sample: ModuleType) -> None:
    records = [
        dataclasses.replace(r, name=f"{name}-{r.name}", data=dataclasses.replace(r.data, name=name))
        for name in ("one", "two")
        for r in model_records(sample, moved(2.0), (1.0, 3.0), SEEDS, (0.0, 0.05, 0.1))
    ]
    sets = claim_sets({Path(r.name) / "r": r for r in records}, records)
    assert [(s.title[:3], s.alpha) for s in sets] == [("one", 0.05), ("one", 0.1), ("two", 0.05), ("two", 0.1)]


@pytest.mark.parametrize("alphas", [(0.0,), (0.1,), (0.05, 0.1)])
def test_without_both_sides_there_is_no_verdict(sample: ModuleType, alphas: tuple[float, ...]) -> None:
    records = model_records(sample, moved(2.0), (1.0, 3.0), SEEDS, alphas)
    assert claim_sets({Path(r.name) / "r": r for r in records}, records) == []


def test_students_of_another_recipe_have_verdicts_of_their_own(sample: ModuleType) -> None:
    records = students(sample, moved(2.0), (1, 2))
    longer = [
        dataclasses.replace(
            r,
            name=f"long {r.name}",
            models=[dataclasses.replace(r.models[0], recipe={"epochs": 9}, sha256="l" + r.name)],
        )
        for r in records
        if r.teacher
    ]
    both = records + longer
    sets = claim_sets({Path(r.name) / "r": r for r in both}, both)
    assert [one.title.rpartition("(")[2] for one in sets] == [
        "student epochs 4, lr 0.05)",
        "student epochs 9, lr not recorded)",
    ]
    for one in sets:
        names = [name for c in one.verdicts[3].comparisons for names, _ in c.values.values() for name in names]
        assert len({name.startswith("long") for name in names}) == 1


def test_records_of_other_data_are_never_paired(sample: ModuleType) -> None:
    """Cells of another test set of the same name make no comparison: their digests differ."""
    other = dataclasses.replace(sample.FASHION, sha256={"train-images": "ef" * 32})
    records = students(sample, moved(2.0))
    changed = [dataclasses.replace(r, data=other) if r.name.startswith("student-0.1-3") else r for r in records]
    sets = claim_sets({Path(r.name) / "r": r for r in changed}, changed)
    labels = [c.label for one in sets for v in one.verdicts for c in v.comparisons]
    assert labels == ["T 1 with α 0.1 minus T 1 with α 0", "T 1 with α 0.1 minus T 3 with α 0"]


def test_students_by_other_losses_are_left_out(sample: ModuleType) -> None:
    records = students(sample, moved(2.0))
    dist = [dataclasses.replace(r, models=[dataclasses.replace(r.models[0], loss="dist")]) for r in records]
    kept = [new if old.name.endswith("-3-5") else old for old, new in zip(records, dist, strict=True)]
    assert verdict(kept, "C4").comparisons[0].mean.n == 4


def test_what_was_measured_of_students_of_several_teachers_is_left_out(sample: ModuleType) -> None:
    """In the place of a seed's record, it is not taken for that of the student of its first teacher."""
    records = [*clusters(sample), *eta_records(sample, systematic, SEEDS)]
    others = [sample.teacher(0.1, 77)]
    several = [
        dataclasses.replace(r, teachers=[r.teacher, *others]) if r.name in ("clusters-0.1-1-5", "eta-0.1-1-3-5") else r
        for r in records
    ]
    for given, n in ((records, 5), (several, 4)):
        [found] = claim_sets({Path(r.name) / "r": r for r in given}, sort_records(given).by_temperature)
        counts = {c.label.replace("\xa0", " "): c.mean.n for v in found.verdicts for c in v.comparisons}
        assert counts["distance between similar classes of the student at T = 1, train, α 0.1 minus 0"] == n
        assert counts["η(S1), T 1 → 3, train"] == n


def test_other_sets_of_classes_are_told(sample: ModuleType) -> None:
    records = clusters(sample)
    assert verdict(records, "C2").note == ""
    other = dataclasses.replace(records[0], notes=["pullover (nearest): S1 coat; S2 bag"])
    assert "other sets of similar classes" in verdict([other, *records[1:]], "C2").note


def test_the_rule(sample: ModuleType) -> None:
    """Three seeds near 1 are beyond chance alone, and no longer with Holm's factor; values by a t table."""

    def made(values: Sequence[float], sign: int = 1) -> Comparison:
        return Comparison("x", sign, True, {(k, k): (("r",), v) for k, v in enumerate(values)}, "points")

    near = made([1.0, 1.4, 0.6])  # t = 1 / (0.4 / sqrt 3) = 4.33 with 2 degrees: p = .049
    assert near.p == pytest.approx(0.0494, abs=5e-4)
    assert judge("C", "s", [near]).status == "confirmed"
    assert judge("C", "s", [near, near]).status == "undecided"
    assert judge("C", "s", [made([-1.0, -1.4, -0.6])]).status == "refuted"
    assert judge("C", "s", [near], ["more"]).status == "undecided"
    assert judge("C", "s", []).status == "undecided"
    against = made([-1.0, -1.4, -0.6])
    assert judge("C", "s", [against], ["more"]).status == "undecided"  # p = .049 of two
    assert judge("C", "s", [against], ["more"], absent=0).status == "refuted"
    assert judge("C", "s", [against, made([1.0])]).status == "undecided"  # one seed is one of the two as well
    certain = made([-1.0, -1.01, -0.99])  # p = 3e-5
    assert judge("C", "s", [certain], ["more"], absent=100).status == "refuted"
    assert judge("C", "s", [certain], ["more"], absent=10_000).status == "undecided"
    two = judge("C", "s", [near, made([2.0, 2.01, 1.99]), made([-1.0, 0.5, 0.1])])
    assert in_numbers(two).replace("\xa0", " ") == (
        "2 of 3 comparisons as predicted, 1 of them beyond chance; 1 the other way, none beyond chance"
    )
