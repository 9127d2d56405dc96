"""Verdicts where seeds, temperatures or kinds of records lack: what is named, and what may still be decided."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import dataclasses
from pathlib import Path
from types import ModuleType

from shared.report.claims import Comparison, claim_sets
from shared.report.claims.comparison import judge
from shared.report.claims.words import remarks, sentence
from shared.report.design import Design
from tests.shared.report.claims_records import (
    SEEDS,
    fulfilled,
    judged,
    moved,
    students,
    verdict,
)


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


def test_students_of_one_teacher_speak_for_that_one_alone() -> None:
    of_one = {(9, seed): (("r",), 1.0 + seed / 10) for seed in (1, 2, 3)}
    own = {(seed, seed): (("r",), 1.0 + seed / 10) for seed in (1, 2, 3)}
    found, alone = (judge("C", "s", [Comparison("x", 1, True, values, "points")]) for values in (of_one, own))
    assert remarks(found) == "Students share teachers (1\xa0seed of them): p and intervals are for these alone."
    assert remarks(alone) == ""


def test_a_claim_can_be_refuted_although_seeds_are_missing(sample: ModuleType) -> None:
    found = verdict(students(sample, moved(-2.0)), "C4", Design([0.0, 0.1], [1.0, 3.0], list(range(1, 9))))
    assert found.status == "refuted"
    assert found.missing == ["(T 3 − T 1) of α 0.1 minus that of α 0: 5 of 8\xa0seeds"]
