"""Verdicts on C1 to C5 from made-up records: each claim confirmed, refuted and undecided, and what lacks."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scipy import stats

from shared.report.claims import Comparison, Verdict, claim_sets
from shared.report.claims.comparison import judge
from shared.report.claims.words import in_numbers, remarks, sentence
from shared.report.design import Design
from shared.results import Null, Result
from tests.shared.report.claims_records import (
    Effect,
    cluster_records,
    eta_records,
    judged,
    model_records,
    noise,
    verdict,
    with_outcomes,
    wobble,
)

SEEDS = (1, 2, 3, 4, 5)


def students(sample: ModuleType, score: Effect, seeds: Sequence[int] = SEEDS) -> list[Result]:
    return model_records(sample, score, (1.0, 3.0), seeds, (0.0, 0.1))


def clusters(sample: ModuleType, **measures: Effect) -> list[Result]:
    flat: dict[str, Effect] = {"spread": lambda a, t, s: 0.4 + 0.01 * noise(a, t, s)}
    both = flat | {"similar": lambda a, t, s: 0.6 + 0.01 * noise(a, t, s)} | measures
    return cluster_records(sample, both, (None, 1.0, 3.0), SEEDS)


def moved(gap: float) -> Effect:
    """From T = 1 to 3 a student loses 1, and `gap` more with alpha = 0.1."""
    return lambda a, t, s: 90 + wobble(s) + 0.1 * noise(a, t, s) - (t == 3) * (1 + 10 * gap * a)


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


@pytest.mark.parametrize(
    ("s1", "s2", "status"),
    [(-0.04, 0.02, "confirmed"), (-0.04, -0.02, "refuted"), (0.04, 0.02, "refuted"), (-0.04, 0.0, "undecided")],
)
def test_c3_needs_both_signs(sample: ModuleType, s1: float, s2: float, status: str) -> None:
    def eta(alpha: float, name: str, seed: int, target: str) -> float:
        of = s1 if name == "S1" else s2
        return 10 * alpha * of + 0.002 * noise(alpha, len(name + target) + (name == "S1"), seed)

    found = verdict(eta_records(sample, eta, SEEDS), "C3")
    assert found.status == status
    assert [(c.label, c.predicted_sign) for c in found.required] == [
        ("η(S1), T 1 → 3, train", -1),
        ("η(S2), T 1 → 3, train", 1),
        ("η(S1), T 1 → 3, val", -1),
        ("η(S2), T 1 → 3, val", 1),
    ]
    plain = [c for c in found.comparisons if c.label.endswith("students of α 0")]
    assert len(plain) == 4
    assert not any(c.required or c.direction for c in plain)


def test_c3_is_the_mean_over_targets_in_percent_also_less_that_of_random_sets(sample: ModuleType) -> None:
    values = {"pullover": 0.03, "coat": -0.01}
    null = Null(84, 0.004, -0.02, 0.03, 0.1, True)
    records = eta_records(sample, lambda a, name, seed, target: values[target] + seed / 100, SEEDS, null=null)
    found = {c.label: c for c in verdict(records, "C3").comparisons}
    own, less = found["η(S2), T 1 → 3, val"], found["η(S2), T 1 → 3, val, minus that of random sets"]
    assert own.differences == pytest.approx([2.0, 3.0, 4.0, 5.0, 6.0])
    assert less.differences == pytest.approx([1.6, 2.6, 3.6, 4.6, 5.6])
    assert (own.required, less.required) == (True, False)


def test_what_label_smoothing_changes_of_eta_stands_beside_c3(sample: ModuleType) -> None:
    records = eta_records(sample, lambda a, name, seed, target: 0.02 + a + a * seed / 100, SEEDS)
    found = {c.label: c for c in verdict(records, "C3").comparisons}
    gap = found["η(S1), T 1 → 3, train, α 0.1 minus 0"]
    assert gap.differences == pytest.approx([10.1, 10.2, 10.3, 10.4, 10.5])
    assert (gap.required, gap.direction) == (False, -1)


def test_c3_keeps_to_targets_that_every_seed_has(sample: ModuleType) -> None:
    records = eta_records(sample, lambda a, name, seed, target: {"pullover": 0.03, "coat": 5.0}[target], (1, 2))
    second = [row for row in records[-1].eta if row.target == "pullover"]
    records[-1] = dataclasses.replace(records[-1], eta=second)
    found = verdict(records, "C3")
    assert found.required[0].differences == pytest.approx([3.0, 3.0])


def systematic(alpha: float, name: str, seed: int, target: str) -> float:
    """Far beyond chance, as C3 predicts."""
    return {"S1": -0.04, "S2": 0.02}[name] + 0.002 * noise(alpha, len(name + target), seed)


def test_c3_needs_every_step_of_the_design_and_of_the_students(sample: ModuleType) -> None:
    records = eta_records(sample, systematic, SEEDS)
    design = Design([0.0, 0.1], [1.0, 3.0, 64.0], list(SEEDS))
    assert verdict(records, "C3", Design([0.0, 0.1], [1.0, 3.0], list(SEEDS))).status == "confirmed"
    found = verdict(records, "C3", design)
    assert (found.status, remarks(found)) == ("undecided", "Missing: η for T 1 → 64 with α 0.1.")
    lasting = model_records(sample, moved(2.0), (1.0, 3.0, 64.0), SEEDS, (0.0, 0.1))
    assert verdict([*records, *lasting], "C3").missing == ["η for T 1 → 64 with α 0.1"]
    plain = eta_records(sample, systematic, SEEDS, alphas=(0.0,), steps=((1.0, 64.0),))
    for plan in (design, None):
        assert verdict([*records, *plain], "C3", plan).missing == ["η for T 1 → 64 with α 0.1"]
    whole = eta_records(sample, systematic, SEEDS, steps=((1.0, 3.0), (1.0, 64.0)))
    assert verdict(whole, "C3", design).status == "confirmed"


def test_c3_needs_every_step_on_the_same_splits(sample: ModuleType) -> None:
    records = eta_records(sample, systematic, SEEDS, steps=((1.0, 3.0), (1.0, 64.0)))
    cut = [
        dataclasses.replace(r, eta=[row for row in r.eta if row.split == "train"]) if "-1-64-" in r.name else r
        for r in records
    ]
    found = verdict(cut, "C3")
    assert found.status == "undecided"
    assert found.missing == ["η(S1), T 1 → 64, val", "η(S2), T 1 → 64, val"]


@pytest.mark.parametrize("changed", [0.1, 0.0])
def test_c3_tells_of_seeds_with_other_sets(sample: ModuleType, changed: float) -> None:
    records = eta_records(sample, systematic, (1, 2, 3))
    assert verdict(records, "C3").note == ""

    def other(record: Result, target: str, members: list[str]) -> Result:
        rows = [
            dataclasses.replace(row, members=members) if (row.target, row.set_name) == (target, "S1") else row
            for row in record.eta
        ]
        return dataclasses.replace(record, eta=rows)

    name = f"eta-{changed:g}-1-3-2"
    reordered = [other(r, "coat", ["dress", "shirt"]) if r.name == name else r for r in records]
    assert verdict(reordered, "C3").note == ""
    mixed = [other(r, "coat", ["shirt", "bag"]) if r.name == name else r for r in records]
    assert verdict(mixed, "C3").note == "Not every seed measured the same sets of classes for coat."
    unused = [  # the third seed has no coat, so nothing is averaged over it
        dataclasses.replace(r, eta=[row for row in r.eta if row.target != "coat"]) if r.name.endswith("-3") else r
        for r in mixed
    ]
    assert verdict(unused, "C3").note == ""


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


def test_one_seed_decides_nothing(sample: ModuleType) -> None:
    found = verdict(students(sample, moved(2.0), [1]), "C4")
    assert (found.status, found.required[0].p, found.required[0].adjusted_p) == ("undecided", None, None)
    assert "1 of 1 comparison as predicted (n = 1 seed: no test)" in sentence(found).replace("\xa0", " ")


def test_what_lacks_is_named_and_confirms_nothing(sample: ModuleType) -> None:
    records = students(sample, moved(2.0))
    by_path = {Path(record.name) / "result.json": record for record in records}
    assert verdict(records, "C4").status == "confirmed"
    [one] = claim_sets(by_path, records, Design([0.0, 0.1], [1.0, 3.0, 64.0], list(SEEDS)))
    c1, c2, c3, c4, c5 = one.verdicts
    assert [v.status for v in (c1, c2, c3, c4)] == ["undecided"] * 4
    assert remarks(c1) == "Missing: records of kind clusters."
    assert remarks(c3) == "Missing: records of kind diffusion."
    assert remarks(c4) == "Missing: (T 64 − T 1) of α 0.1 minus that of α 0."
    assert "Missing: T 1 with α 0.1 minus T 64 with α 0.1; T 1 with α 0.1 minus T 64 with α 0." in remarks(c5)


def test_a_claim_can_be_refuted_although_something_lacks(sample: ModuleType) -> None:
    records = students(sample, moved(-2.0))
    [one] = claim_sets({Path(r.name) / "r": r for r in records}, records, Design([0.0, 0.1], [64.0], []))
    assert [v.status for v in one.verdicts if v.claim == "C4"] == ["refuted"]


def fulfilled(sample: ModuleType) -> list[Result]:
    """Records of C1 to C5 that confirm each, of seeds 1 to 5."""

    def score(a: float, t: float | None, s: int) -> float:
        return 90 + wobble(s) + 0.1 * noise(a, t, s) + 20 * a - (t == 3) * (1 + 20 * a)

    measures: dict[str, Effect] = {
        "spread": lambda a, t, s: 0.4 - a + 0.001 * noise(a, t, s),
        "similar": lambda a, t, s: 0.6 + a + 0.001 * noise(a, t, s),
    }
    return [*students(sample, score), *clusters(sample, **measures), *eta_records(sample, systematic, SEEDS)]


def test_seeds_of_the_design_that_are_missing_confirm_nothing(sample: ModuleType) -> None:
    records = fulfilled(sample)
    assert [v.status for v in judged(records).verdicts] == ["confirmed"] * 5
    design = Design([0.0, 0.1], [1.0, 3.0], list(SEEDS))
    assert [v.status for v in judged(records, design).verdicts] == ["confirmed"] * 5
    more = dataclasses.replace(design, seeds=[*SEEDS, 6, 7])
    found = {v.claim: v for v in judged(records, more).verdicts}
    assert [v.status for v in found.values()] == ["undecided"] * 5
    assert found["C1"].missing == [
        "spread of the teacher, train, α 0.1 minus 0: 5 of 7\xa0seeds",
        "spread of the teacher, val, α 0.1 minus 0: 5 of 7\xa0seeds",
    ]
    assert remarks(found["C4"]) == "Missing: (T 3 − T 1) of α 0.1 minus that of α 0: 5 of 7\xa0seeds."
    assert found["C3"].missing[0] == "η(S1), T 1 → 3, train: 5 of 7\xa0seeds"
    assert (len(found["C2"].missing), len(found["C3"].missing), len(found["C5"].missing)) == (4, 4, 3)


def test_only_the_comparisons_that_lack_a_seed_are_named(sample: ModuleType) -> None:
    """A missing student at T 3 says nothing of those at T 1; other seeds than those planned do not stand in."""
    design = Design([0.0, 0.1], [1.0, 3.0], list(SEEDS))
    gone = [r for r in fulfilled(sample) if r.name != "student-0-3-4"]
    found = {v.claim: v for v in judged(gone, design).verdicts}
    assert [v.status for v in found.values()] == ["confirmed"] * 3 + ["undecided"] * 2
    assert found["C5"].missing == ["T 1 with α 0.1 minus T 3 with α 0: 4 of 5\xa0seeds"]
    assert judged(gone).verdicts[4].status == "confirmed"
    others = dataclasses.replace(design, seeds=[11, 12])
    assert judged(fulfilled(sample), others).verdicts[3].missing == [
        "(T 3 − T 1) of α 0.1 minus that of α 0: 0 of 2\xa0seeds"
    ]


def test_the_seed_of_a_student_counts_and_of_a_teacher_its_own() -> None:
    values = {(9, seed): (("r",), 1.0) for seed in (1, 2)}
    assert judge("C", "s", [Comparison("x", 1, True, values, "points")], seeds=[1, 2]).missing == []
    own = {(seed, None): (("r",), 1.0) for seed in (1, 2)}
    assert judge("C", "s", [Comparison("x", 1, True, own, "points")], seeds=[1, 9]).missing == ["x: 1 of 2\xa0seeds"]


def test_a_claim_can_be_refuted_although_seeds_are_missing(sample: ModuleType) -> None:
    found = verdict(students(sample, moved(-2.0)), "C4", Design([0.0, 0.1], [1.0, 3.0], list(range(1, 9))))
    assert found.status == "refuted"
    assert found.missing == ["(T 3 − T 1) of α 0.1 minus that of α 0: 5 of 8\xa0seeds"]


def test_one_set_of_verdicts_for_each_alpha_above_zero(sample: ModuleType) -> None:
    records = model_records(sample, moved(2.0), (1.0, 3.0), SEEDS, (0.0, 0.05, 0.1))
    sets = claim_sets({Path(r.name) / "r": r for r in records}, records)
    assert [one.alpha for one in sets] == [0.05, 0.1]
    assert [one.verdicts[3].comparisons[0].label.split()[7] for one in sets] == ["0.05", "0.1"]


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
    two = judge("C", "s", [near, made([2.0, 2.0, 2.0]), made([-1.0, 0.5, 0.1])])
    assert in_numbers(two).replace("\xa0", " ") == (
        "2 of 3 comparisons as predicted, 1 of them beyond chance; 1 the other way, none beyond chance"
    )


# ---- the same once more from the JSON, by scipy ----------------------------------------------------------------------
def raw(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.rglob("result.json")]


def top1(records: list[dict[str, Any]], alpha: float, t: float, seed: int) -> float:
    [value] = [
        record["metrics"]["last/test/top1"]["value"]
        for record in records
        if record["kind"] == "model"
        and record["teacher"]
        and (record["teacher"]["alpha"], record["models"][0]["temperature"], record["models"][0]["seed"])
        == (alpha, t, seed)
    ]
    return float(value)


def holm_by_hand(p_values: list[float]) -> list[float]:
    ordered, adjusted, highest = sorted(p_values), {}, 0.0
    for rank, p in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - rank) * p))
        adjusted[p] = highest
    return [adjusted[p] for p in p_values]


def check(found: Verdict, wanted: dict[str, list[float]]) -> None:
    assert {c.label for c in found.required} == set(wanted)
    p_values = [float(stats.ttest_1samp(wanted[c.label], 0.0).pvalue) for c in found.required]
    for c, p, adjusted in zip(found.required, p_values, holm_by_hand(p_values), strict=True):
        values = wanted[c.label]
        assert sorted(c.differences) == pytest.approx(sorted(values), abs=1e-9)
        assert c.p == pytest.approx(p, rel=1e-6)
        assert c.adjusted_p == pytest.approx(adjusted, rel=1e-6)
        low, high = stats.t.interval(0.95, len(values) - 1, math.fsum(values) / len(values), stats.sem(values))
        assert c.mean.half_width == pytest.approx((high - low) / 2, rel=1e-6)


def test_c4_and_c5_agree_with_scipy_on_the_files(sample: ModuleType, tmp_path: Path) -> None:
    records = model_records(sample, moved(0.4), (1.0, 3.0, 64.0), SEEDS, (0.0, 0.1))
    written = with_outcomes(tmp_path, records, 500)
    found = {v.claim: v for v in judged(written).verdicts}
    read = raw(tmp_path)

    def change(alpha: float, t: float, seed: int) -> float:
        return top1(read, alpha, t, seed) - top1(read, alpha, 1.0, seed)

    losses = {
        f"(T {t:g} − T 1) of α 0.1 minus that of α 0": [change(0.1, t, s) - change(0.0, t, s) for s in SEEDS]
        for t in (3.0, 64.0)
    }
    check(found["C4"], losses)
    others = [(0.1, 3.0), (0.1, 64.0), (0.0, 1.0), (0.0, 3.0), (0.0, 64.0)]
    gains = {
        f"T 1 with α 0.1 minus T {t:g} with α {alpha:g}": [
            top1(read, 0.1, 1.0, s) - top1(read, alpha, t, s) for s in SEEDS
        ]
        for alpha, t in others
    }
    check(found["C5"], gains)


def test_c1_c2_and_c3_agree_with_scipy_on_the_files(sample: ModuleType, tmp_path: Path) -> None:
    records = clusters(sample)
    records += eta_records(sample, lambda a, name, seed, target: 0.02 * noise(a, len(name + target), seed), SEEDS)
    with_outcomes(tmp_path, records, 1)
    found, read = {v.claim: v for v in judged(records).verdicts}, raw(tmp_path)

    def measure(alpha: float, t: float | None, seed: int, key: str) -> float:
        cards = [
            (r, (r["teacher"] or r["models"][0])["alpha"], r["models"][0]) for r in read if r["kind"] == "clusters"
        ]
        [value] = [
            r["metrics"][key]["value"] for r, a, m in cards if (a, m["temperature"], m["seed"]) == (alpha, t, seed)
        ]
        return float(value)

    def gap(t: float | None, key: str) -> list[float]:
        return [measure(0.1, t, s, key) - measure(0.0, t, s, key) for s in SEEDS]

    check(
        found["C1"], {f"spread of the teacher, {s}, α 0.1 minus 0": gap(None, f"{s}/spread") for s in ("train", "val")}
    )
    similar = "distance between similar classes of the"
    check(
        found["C2"],
        {
            f"{similar} {who}, {split}, α 0.1 minus 0": gap(t, f"{split}/similar")
            for t, who in ((None, "teacher"), (1.0, "student at T\xa0=\xa01"))
            for split in ("train", "val")
        },
    )

    def eta(seed: int, name: str, split: str) -> float:
        [record] = [
            r
            for r in read
            if r["kind"] == "diffusion" and r["teacher"]["alpha"] == 0.1 and r["models"][0]["seed"] == seed
        ]
        rows = [100 * row["value"] for row in record["eta"] if (row["set_name"], row["split"]) == (name, split)]
        return sum(rows) / len(rows)

    wanted = {
        f"η({name}), T 1 → 3, {split}": [eta(s, name, split) for s in SEEDS]
        for name in ("S1", "S2")
        for split in ("train", "val")
    }
    check(found["C3"], wanted)
