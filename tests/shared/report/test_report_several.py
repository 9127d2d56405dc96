"""Several noisy teachers in a report: replicates, paired differences, and the published order in words."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its minus signs

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.report.several import ENSEMBLE, EPL, RPL, SINGLE, SOFT, Method
from shared.report.several_sorting import several_studies
from shared.report.several_words import gaps, order, several_headline
from shared.results import Model, Result
from tests.shared.report.several_records import (
    SOLO,
    T_2,
    USUAL,
    between,
    cautions,
    column,
    metrics,
    one_study,
    page,
    student,
    study,
    table,
)


def test_every_method_is_a_row_of_its_own_replicates(sample: ModuleType) -> None:
    found = one_study(study(sample, USUAL))
    assert [(m.name, m.teachers) for m in found.methods] == [
        (SINGLE, 1), *((name, k) for k in (2, 3) for name in (ENSEMBLE, EPL, RPL))
    ]  # fmt: skip
    singles = [value for _, value in found.observed(SOLO).values()]
    assert sorted(singles) == [80, 81, 81, 82, 82, 82, 83, 83, 84]
    assert sorted(value for _, value in found.observed(Method(EPL, 3)).values()) == pytest.approx([89.0, 89.2, 89.4])
    assert (found.noise, found.sizes, found.cautions) == (0.2, [2, 3], [])


def test_differences_are_paired_by_set_of_teachers(sample: ModuleType) -> None:
    """Replicate r: the ensemble of three is at 88, its own three teachers at 81 + r on average."""
    found = one_study(study(sample, USUAL))
    ensemble, epl, rpl = Method(ENSEMBLE, 3, "logits"), Method(EPL, 3), Method(RPL, 3)
    gap = between(found, ensemble, SOLO)
    assert (gap.mean, gap.n) == (pytest.approx((7 + 6 + 5) / 3), 3)
    assert gap.half_width == pytest.approx(T_2 * 1.0 / 3**0.5, rel=1e-5)  # of 7, 6, 5: s = 1
    gap = between(found, epl, ensemble)
    assert (gap.mean, gap.half_width) == (pytest.approx(1.2), pytest.approx(T_2 * 0.2 / 3**0.5, rel=1e-5))
    gap = between(found, rpl, epl)
    assert (gap.mean, gap.half_width) == (pytest.approx(0.0), pytest.approx(T_2 * 0.1 / 3**0.5, rel=1e-5))
    assert found.difference(epl, Method(ENSEMBLE, 2, "logits")) is None  # other sets of teachers


@pytest.mark.parametrize(
    ("gains", "verdicts"),
    [
        # half-widths: EPL - ensemble 0.50, RPL - ensemble 0.75, RPL - EPL 0.25
        (USUAL, ["shown", "shown", "shown", "not contradicted"]),
        # -1.2 +- 0.50, 1.2 +- 0.75, 2.4 +- 1.24
        ({"epl": [-1.0, -1.2, -1.4], "rpl": [0.9, 1.2, 1.5]}, ["shown", "contradicted", "shown", "contradicted"]),
        # means on either side of 0, in intervals that include it: 0.2 +- 3.11, -0.77 +- 3.11; then -0.97 +- 0.14
        (
            {"epl": [-1.0, 1.5, 0.1], "rpl": [-2.0, 0.5, -0.8]},
            ["shown", "not contradicted", "not contradicted", "contradicted"],
        ),
        # equal in all replicates, which is no certainty: EPL - ensemble and RPL - EPL, and RPL - ensemble too
        ({"epl": [0.0, 0.0, 0.0], "rpl": [0.0, 0.0, 0.0]}, ["shown", *3 * ["cannot tell"]]),
        ({"epl": [0.5, 0.5, 0.5], "rpl": [-0.5, -0.5, -0.5]}, ["shown", *3 * ["cannot tell"]]),
    ],
)
def test_what_the_intervals_say_of_the_published_order(
    sample: ModuleType, gains: dict[str, list[float]], verdicts: list[str]
) -> None:
    found = gaps(one_study(study(sample, gains)), 3)
    assert [gap.verdict for gap in found] == verdicts
    said = next((word for word in ("contradicted", "not contradicted", "cannot tell") if word in verdicts[:3]), "shown")
    assert order(found) == said


def test_an_ensemble_that_does_not_beat_one_teacher(sample: ModuleType) -> None:
    def with_scores(*scores: float) -> str:
        records = study(sample, USUAL, ks=(3,))
        members = dict(zip((f"ensemble {r}3" for r in range(3)), scores, strict=True))
        changed = [
            dataclasses.replace(r, metrics=metrics(members[r.name])) if r.name in members else r for r in records
        ]
        return gaps(one_study(changed), 3)[0].verdict

    # The teachers are at 81, 82 and 83 on average.
    assert with_scores(79.0, 80.1, 80.8) == "contradicted"  # -2.03 +- 0.38
    assert with_scores(81.0, 82.0, 83.0) == "cannot tell"  # 0 +- 0
    assert with_scores(81.1, 82.1, 83.1) == "cannot tell"  # 0.1 +- 0, within rounding
    assert with_scores(80.0, 82.5, 82.8) == "not contradicted"  # -0.23 +- 1.9
    assert with_scores(82.0, 82.5, 86.0) == "not contradicted"  # 1.5 +- 3.29
    assert with_scores(86.0, 86.1, 86.2) == "shown"


def test_one_replicate_shows_nothing(sample: ModuleType) -> None:
    found = one_study(study(sample, {"epl": [1.0], "rpl": [1.0]}))
    assert {gap.verdict for gap in gaps(found, 3)} == {"cannot tell"}
    assert {gap.remark for gap in gaps(found, 3)} == {"one replicate: cannot tell"}
    _, order_told, equal_told, _ = (text.replace("\xa0", " ") for text in several_headline(found))
    assert order_told == (
        "At k = 3 the published order (one teacher < ensemble ≤ EPL, RPL) cannot be told: test-time ensemble − single "
        "teacher (logits) +7.00 (one replicate); EPL − test-time ensemble (logits) +1.00 (one replicate); RPL − "
        "test-time ensemble (logits) +1.00 (one replicate)."
    )
    assert equal_told == "At k = 3, RPL − EPL is 0.00, and one replicate cannot tell whether the methods differ."


def test_equal_differences_show_nothing_and_have_no_interval(sample: ModuleType) -> None:
    """EPL at the ensemble, RPL 0.1 below it in both: 87.9 - 88 is -0.1 within rounding."""
    found = one_study(study(sample, {"epl": [0.0, 0.0], "rpl": [-0.1, -0.1]}, ks=(3,)))
    assert column(table(found, 1), "EPL − test-time ensemble (logits)") == ["0.00\n2 equal differences: cannot tell"]
    assert column(table(found, 1), "RPL − EPL") == ["−0.10\n2 equal differences: cannot tell"]
    assert column(table(found, 1), "the published order") == ["cannot tell"]
    assert "neither can equal differences" in table(found, 1).note
    _, order_told, equal_told, _ = (text.replace("\xa0", " ") for text in several_headline(found))
    assert order_told == (
        "At k = 3 the published order (one teacher < ensemble ≤ EPL, RPL) cannot be told: EPL − test-time ensemble "
        "(logits) 0.00 (2 equal differences); RPL − test-time ensemble (logits) −0.10 (2 equal differences). Shown: "
        "test-time ensemble − single teacher (logits) +6.50 (95 % t interval +0.15 to +12.85, n = 2)."
    )
    assert equal_told == "At k = 3, RPL − EPL is −0.10, and 2 equal differences cannot tell whether the methods differ."


def test_equal_scores_are_equal_in_their_mean_too(sample: ModuleType) -> None:
    """337 of 360 images right, of which the mean of three is 1.4e-14 above: no difference is so small."""
    top1 = 100 * 337 / 360
    assert sum([top1] * 3) / 3 != top1
    records = study(sample, {"epl": [0.0] * 3, "rpl": [0.0] * 3}, ks=(3,))
    scores = {"0": top1, "1": 98.0, "2": 98.5}  # by replicate
    records = [dataclasses.replace(r, metrics=metrics(scores[r.name.split()[1][0]])) for r in records]
    found = one_study(records)
    gap = found.difference(Method(ENSEMBLE, 3, "logits"), SOLO)
    assert gap is not None
    assert gap.values == (0.0, 0.0, 0.0)
    assert {gap.remark.replace("\xa0", " ") for gap in gaps(found, 3)} == {"3 equal differences: cannot tell"}


@pytest.mark.parametrize("top1", [1e300, 1.7e308])
def test_scores_beyond_reason_are_told(sample: ModuleType, tmp_path: Path, top1: float) -> None:
    records = study(sample, USUAL)
    wild = [dataclasses.replace(r, metrics=metrics(top1)) if r.name in ("epl 03", "teacher 11") else r for r in records]
    assert "several teachers slim" in page(sample, tmp_path, wild)


def test_an_order_of_which_nothing_was_run_is_not_judged(sample: ModuleType) -> None:
    records = [r for r in study(sample, USUAL) if r.kind == "model" and r.models[0].loss in ("epl", "rpl")]
    found = one_study(records)
    assert [gap.label for gap in gaps(found, 3)] == ["RPL − EPL"]
    assert order(gaps(found, 3)) == ""
    assert [text.split(" is ")[0].replace("\xa0", " ") for text in several_headline(found)[1:]] == [
        "At k = 3, RPL − EPL"
    ]
    assert column(table(found, 1), "the published order") == ["–", "–"]


def test_what_makes_a_comparison_doubtful_is_said(sample: ModuleType) -> None:
    records = study(sample, USUAL, ks=(3,))
    without = [record for record in records if record.name != "teacher 11"]
    assert "1 teacher of 9 has no record" in cautions(without).replace("\xa0", " ")
    [found] = several_studies(without)
    assert (
        between(found, Method(ENSEMBLE, 3, "logits"), SOLO).n == 2
    )  # the replicate whose teachers are not all known is left out
    by_name = {record.name: record for record in records}
    mixed = [by_name["ensemble 03"].models[0], *by_name["ensemble 13"].models[1:]]
    crossed = dataclasses.replace(by_name["ensemble 23"], name="crossed", models=mixed)
    assert "the sets of teachers overlap" in cautions([*records, crossed])
    again = dataclasses.replace(by_name["epl 03"], name="again", models=[student(sample, "epl", 7)])
    only = [r for r in records if r.name.split()[1].startswith("0")]
    assert "EPL, k = 3: all of one set of teachers" in cautions([*only, again]).replace("\xa0", " ")


def test_a_later_score_counts_unless_it_is_on_other_images(sample: ModuleType) -> None:
    """A teacher's second record: with another training part it says more of the same, with another test set nothing."""
    records = study(sample, USUAL, ks=(3,))
    first = next(record for record in records if record.name == "teacher 00")
    made = dataclasses.replace(first.provenance, finished="2025-04-01T10:00:00Z")
    second = dataclasses.replace(first, name="second", metrics=metrics(70.0), provenance=made)
    for sizes, expected in (({"train": 7, "test": 10000}, ("second", 70.0)), ({"test": 99}, ("teacher 00", 80.0))):
        later = dataclasses.replace(second, data=dataclasses.replace(first.data, sizes=sizes))
        observed = one_study([*records, later]).observed(SOLO)
        assert observed[frozenset([first.models[0].sha256]), None] == expected
        assert len(observed) == 9


@pytest.mark.parametrize("change", ["recipe", "noise"])
def test_teachers_of_different_kinds_share_no_table(sample: ModuleType, change: str) -> None:
    def other(model: Model) -> Model:
        recipe: dict[str, Any] = {"recipe": {**model.recipe, "epochs": 99}} if change == "recipe" else {}
        return dataclasses.replace(model, sha256=model.sha256[::-1], **recipe)

    records = study(sample, USUAL)
    copies = []
    for record in records:
        taught = (
            {"teacher": other(record.teacher), "teachers": [*map(other, record.teachers)]} if record.teacher else {}
        )
        noisy = dataclasses.replace(record.data, label_noise=0.4) if record.data.label_noise else record.data
        models = record.models if record.teacher else [*map(other, record.models)]
        copy = dataclasses.replace(record, name=f"{record.name} again", models=models, **taught)
        copies.append(copy if change == "recipe" else dataclasses.replace(copy, data=noisy))
    first, second = several_studies([*records, *copies])
    assert first.observed(SOLO).keys().isdisjoint(second.observed(SOLO).keys())
    assert len(first.observed(SOLO)) == len(second.observed(SOLO)) == 9


def test_students_of_different_recipes_share_no_table(sample: ModuleType) -> None:
    records = study(sample, USUAL)
    longer = []
    for record in records:
        if record.teacher:
            model = dataclasses.replace(record.models[0], recipe={"epochs": 50}, sha256=record.models[0].sha256[::-1])
            longer.append(dataclasses.replace(record, name=f"{record.name} longer", models=[model]))
    studies = several_studies([*records, *longer])
    assert [len(found.observed(Method(EPL, 3))) for found in studies] == [3, 3]
    assert all("2 separate tables" in found.cautions[0] for found in studies)
    assert [len(found.observed(Method(ENSEMBLE, 3, "logits"))) for found in studies] == [3, 3]


def test_students_of_other_weights_share_no_cell(sample: ModuleType) -> None:
    """By KD or DIST they are rows of one table; EPL and RPL are compared with each other, so they stand apart."""
    records = study(sample, {"epl": [1.0], "rpl": [0.9]}, ks=(3,))
    epl = next(r for r in records if r.name == "epl 03")

    def made(name: str, top1: float, **changes: Any) -> Result:
        model = dataclasses.replace(epl.models[0], sha256=sample.digest(name), **changes)
        return dataclasses.replace(epl, name=name, models=[model], metrics=metrics(top1))

    soft = [made(f"kd {w}", 86 + w, loss="kd", temperature=4.0, kd_weight=w, alpha=a) for w, a in ((1, None), (0.5, 0))]
    dist = [made(f"dist {b}", 80 + b, loss="dist", temperature=1.0, distill={"beta": b, "gamma": 1.0}) for b in (1, 2)]
    found = one_study([*records, *soft, *dist])
    assert [m.label.replace("\xa0", " ") for m in found.methods[2:6]] == [
        "soft ensemble, k = 3 (T = 4, alpha 0, kd_weight 0.5)",
        "soft ensemble, k = 3 (T = 4, alpha none, kd_weight 1)",
        "DIST from the soft ensemble, k = 3 (T = 1, distill.beta 1)",
        "DIST from the soft ensemble, k = 3 (T = 1, distill.beta 2)",
    ]
    assert found.cautions == []
    mixed = made("epl mixed", 50.0, distill={"hard_weight": 1.0})
    first, second = several_studies([*records, *soft, mixed])
    assert [name for name, _ in first.observed(Method(EPL, 3)).values()] == ["epl 03"]
    assert [name for name, _ in second.observed(Method(EPL, 3)).values()] == ["epl mixed"]
    assert second.observed(Method(RPL, 3)) == {}
    for one in (first, second):
        assert "the weights of their loss, so they stand in 2 separate tables" in one.cautions[0]
        assert sum(method.name == SOFT for method in one.methods) == 2


def test_combinations_and_soft_ensembles_are_rows(sample: ModuleType) -> None:
    records = study(sample, USUAL, ks=(3,))
    vote = dataclasses.replace(
        next(r for r in records if r.name == "ensemble 03"), name="v", combination="vote", metrics=metrics(85.0)
    )
    epl = next(r for r in records if r.name == "epl 03")
    soft = dataclasses.replace(student(sample, "kd", 0), temperature=4.0)
    kd = dataclasses.replace(epl, name="kd", models=[soft], metrics=metrics(86.0))
    found = one_study([*records, vote, kd])
    labels = [method.label.replace("\xa0", " ") for method in found.methods]
    assert labels == [
        "single teacher",
        "test-time ensemble, k = 3 (logits)",
        "test-time ensemble, k = 3 (vote)",
        "soft ensemble, k = 3 (T = 4)",
        "EPL, k = 3",
        "RPL, k = 3",
    ]
    assert column(table(found, 0), "soft ensemble, k = 3 (T = 4)") == ["86.00", "1", "–"]
    assert column(table(found, 1), "EPL − test-time ensemble (vote)") == ["+4.00\none replicate: cannot tell"]


def test_students_by_other_labels_are_rows_of_their_own(sample: ModuleType) -> None:
    """EPL by vote is compared with the ensemble by vote; RPL says so where it draws a teacher for a whole batch."""
    records = study(sample, USUAL, ks=(3,))
    by_name = {record.name: record for record in records}
    vote = dataclasses.replace(by_name["ensemble 03"], name="v", combination="vote", metrics=metrics(85.0))
    for name, distill, top1 in (("epl 03", {"ensemble": "vote"}, 87.0), ("rpl 03", {"draw": "batch"}, 84.0)):
        model = dataclasses.replace(by_name[name].models[0], distill=distill, sha256=sample.digest(name))
        records.append(dataclasses.replace(by_name[name], name=f"{name} b", models=[model], metrics=metrics(top1)))
    found = one_study([*records, vote])
    assert [m.detail for m in found.methods] == ["", "logits", "vote", "", "vote", "", "per batch"]
    labels = [gap.label for gap in gaps(found, 3) if "vote" in gap.label]
    assert "EPL − test-time ensemble (vote)" in labels
    assert not any("vote; logits" in label for label in labels)
    assert found.cautions == []
    twice = dataclasses.replace(by_name["epl 03"], name="twice", models=[dataclasses.replace(model, loss="epl")])
    twice = dataclasses.replace(twice, models=[dataclasses.replace(twice.models[0], distill={})])
    assert "epl 03 and twice are of one cell and replicate" in cautions([*records, twice])
