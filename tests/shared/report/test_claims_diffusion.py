"""Verdicts on C3 from made-up records: what of the diffusion indices is compared, and with which seeds and sets."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import dataclasses
from pathlib import Path
from types import ModuleType

import pytest

from shared.report.claims import claim_sets
from shared.report.claims.words import remarks
from shared.report.design import Design
from shared.results import Null, Result
from tests.shared.report.claims_records import (
    SEEDS,
    eta_records,
    model_records,
    moved,
    noise,
    systematic,
    verdict,
)


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


def test_c3_keeps_to_targets_that_every_seed_has(sample: ModuleType) -> None:
    records = eta_records(sample, lambda a, name, seed, target: {"pullover": 0.03, "coat": 5.0}[target], (1, 2))
    second = [row for row in records[-1].eta if row.target == "pullover"]
    records[-1] = dataclasses.replace(records[-1], eta=second)
    found = verdict(records, "C3")
    assert found.required[0].differences == pytest.approx([3.0, 3.0])


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


def test_c3_judges_the_later_of_two_runs_and_the_first_of_two_choices(sample: ModuleType) -> None:
    """Records of an earlier name say the opposite of what the later runs found."""
    records = eta_records(sample, lambda a, name, seed, target: {"S1": 0.04, "S2": -0.02}[name], (1, 2))
    made = sample.provenance("again", finished="2026-01-01T00:00:00Z")
    again = [
        dataclasses.replace(
            r, name=f"{r.name}-again", provenance=made, eta=[dataclasses.replace(e, value=-2 * e.value) for e in r.eta]
        )
        for r in records
    ]
    found = verdict([*records, *again], "C3")
    assert [c.differences for c in found.required] == [pytest.approx(pair) for pair in ([-8.0] * 2, [4.0] * 2)] * 2
    assert all(name.endswith("-again") for c in found.required for names, _ in c.values.values() for name in names)
    assert "choices" not in found.measure
    others = [dataclasses.replace(r, eta=[dataclasses.replace(e, members=["bag"]) for e in r.eta]) for r in again]
    found = verdict([*records, *others], "C3")
    assert found.required[0].differences == pytest.approx([4.0, 4.0])
    assert "Of several choices of sets, the first is judged" in found.measure


def test_every_alpha_is_judged_by_the_same_choice_of_sets(sample: ModuleType) -> None:
    """Whatever the order of its own records."""
    of = {a: eta_records(sample, systematic, SEEDS, alphas=(a,)) for a in (0.0, 0.1, 0.2)}
    others = {
        a: [
            dataclasses.replace(
                r, name=f"{r.name}-2", eta=[dataclasses.replace(e, members=["bag"], value=-e.value) for e in r.eta]
            )
            for r in records
        ]
        for a, records in of.items()
    }
    records = [*of[0.1], *others[0.1], *others[0.2], *of[0.2], *of[0.0], *others[0.0]]
    sets = claim_sets({Path(r.name) / "r": r for r in records}, records)
    assert [(s.alpha, s.verdicts[2].status) for s in sets] == [(0.1, "confirmed"), (0.2, "confirmed")]


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


def test_c3_compares_alphas_over_the_targets_that_both_have(sample: ModuleType) -> None:
    """At 0.1 pullover has 1 % and coat 9 %, at 0 pullover has 1 % and nothing else."""
    records = eta_records(sample, lambda a, name, seed, target: {"pullover": 0.01, "coat": 0.09}[target], (1, 2))
    cut = [
        dataclasses.replace(r, eta=[row for row in r.eta if row.target == "pullover"]) if r.name[4:6] == "0-" else r
        for r in records
    ]
    found = {c.label: c for c in verdict(cut, "C3").comparisons}
    assert found["η(S1), T 1 → 3, val"].differences == pytest.approx([5.0, 5.0])
    assert found["η(S1), T 1 → 3, val, students of α 0"].differences == pytest.approx([1.0, 1.0])
    assert found["η(S1), T 1 → 3, val, α 0.1 minus 0"].differences == pytest.approx([0.0, 0.0])


def test_c3_tells_of_alphas_with_other_sets(sample: ModuleType) -> None:
    """As where each teacher's own centroids choose them: all seeds of an alpha agree."""

    def other(record: Result, seeds: str) -> Result:
        rows = [
            dataclasses.replace(row, members=["bag", "shirt"]) if (row.target, row.set_name) == ("coat", "S1") else row
            for row in record.eta
        ]
        return dataclasses.replace(record, eta=rows) if record.name in seeds.split() else record

    records = eta_records(sample, systematic, (1, 2))
    of_plain = [other(record, "eta-0-1-3-1 eta-0-1-3-2") for record in records]
    assert verdict(of_plain, "C3").note == "Students of α 0.1 and of 0 measured different sets for coat."
    of_all = [other(record, " ".join(r.name for r in records)) for record in records]
    assert verdict(of_all, "C3").note == ""
