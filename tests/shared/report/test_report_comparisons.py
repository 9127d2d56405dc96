"""What may stand in one table, what is kept apart, and what several seeds add."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import dataclasses
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.report.eta import eta_groups
from shared.report.eta_figure import eta_picture
from shared.report.eta_tables import agreement_sentence, eta_blocks, eta_table
from shared.report.grouping import comparable_groups
from shared.report.metrics import Key
from shared.report.score_tables import score_blocks, score_table
from shared.report.scores import Scores
from shared.report.summary import headlines
from shared.results import Metric, Result

TOP1 = Key.parse("last/test/top1")


def study(sample: ModuleType, seeds: dict[float, list[int]], **recipes: Any) -> list[Result]:
    """Teacher and students at T = 1 and 3 for each alpha and seed; the scores follow from alpha, T and seed."""
    records = []
    for alpha, of_alpha in seeds.items():
        for seed in of_alpha:
            of = sample.teacher(alpha, seed)
            records.append(sample.model_record(f"t-{alpha}-{seed}", of, sample.image_metrics(91.0)))
            for temperature in (1.0, 3.0):
                value = 90.0 - temperature * (1 + 10 * alpha) + 0.5 * seed * temperature
                model = sample.student(of, temperature)
                name = f"s-{alpha}-{temperature:g}-{seed}"
                records.append(sample.model_record(name, model, sample.image_metrics(value), of))
    return records


def cells(scores: Scores, key: Key = TOP1) -> list[list[str]]:
    return [[cell.text.replace("\xa0", " ") for cell in row] for row in score_table(scores, key).rows]


def cautions(records: list[Result]) -> str:
    blocks = score_blocks(comparable_groups(records, "model"), "image-classification")
    return " ".join(block.text for block in blocks if block.kind == "caution")


def test_one_group_where_everything_agrees(sample: ModuleType) -> None:
    records = study(sample, {0.0: [1], 0.1: [1]})
    sorting = comparable_groups(records, "model")
    assert len(sorting.groups) == 1
    assert cautions(records) == ""
    assert cells(Scores.of(sorting.groups[0])) == [
        ["teacher", "91.00", "91.00", "0.00"],
        ["student, T = 1", "89.50", "88.50", "−1.00"],
        ["student, T = 3", "88.50", "85.50", "−3.00"],
        ["T 3 − T 1", "−1.00", "−3.00", ""],
    ]


def test_students_of_another_hard_label_weight_stand_apart(sample: ModuleType) -> None:
    """0 is what is usual beside a weight of 1; older records do not say it."""
    records = study(sample, {0.0: [1]})
    low, high = records[1:]
    for weight, groups in ((0.0, 1), (0.9, 2)):
        model = dataclasses.replace(high.models[0], distill={"hard_weight": weight, "beta": 1.0})
        changed = [records[0], low, dataclasses.replace(high, models=[model])]
        assert len(comparable_groups(changed, "model").groups) == groups


@pytest.mark.parametrize("kind", ["clusters", "diffusion"])
def test_students_of_other_losses_or_of_several_teachers_stand_apart(sample: ModuleType, kind: str) -> None:
    """Also in what was measured of them; DIST's settings are told apart, older records of KD say no loss."""
    of = sample.teacher(0.1)
    base = sample.diffusion_record("kd", of, {("val", "coat", "S1"): -0.01})
    if kind == "clusters":
        values = {"train/spread": Metric(0.4, "ratio", 100)}
        base = dataclasses.replace(base, kind=kind, models=base.models[:1], eta=[], metrics=values)

    def made(name: str, loss: str, teachers: int = 1, **distill: Any) -> Result:
        models = [dataclasses.replace(model, loss=loss, distill=distill) for model in base.models]
        several = [of, *(sample.teacher(0.1, seed) for seed in range(2, teachers + 1))] if teachers > 1 else []
        return dataclasses.replace(base, name=name, models=models, teachers=several)

    records = [
        base,
        made("said", "kd", hard_weight=0.0, beta=1.0),
        made("five", "kd", 5),
        made("dist", "dist", beta=1.0),
        made("beta", "dist", beta=2.0),
        made("epl", "epl"),
        made("epl of five", "epl", 5),
    ]
    groups = comparable_groups(records, kind).groups
    assert [[item.record.name for item in group.items] for group in groups] == [
        ["kd", "said"], ["five"], ["dist"], ["beta"], ["epl"], ["epl of five"]
    ]  # fmt: skip
    assert groups[0].variant == ("student loss kd, number of teachers 1",)
    assert groups[3].variant == ("student loss dist, number of teachers 1", "student distill.beta 2.0")
    assert comparable_groups(records[:2], kind).groups[0].variant == ()


def test_teachers_of_different_recipes_never_share_a_table(sample: ModuleType) -> None:
    records = study(sample, {0.1: [1]})
    other = sample.teacher(0.0, 1, epochs=90)
    records.append(sample.model_record("other", other, sample.image_metrics(93.0)))
    records.append(sample.model_record("other-s", sample.student(other, 1.0), sample.image_metrics(92.0), other))
    groups = comparable_groups(records, "model").groups
    assert sorted(sorted(i.record.name for i in group.items) for group in groups) == [
        ["other", "other-s"],
        ["s-0.1-1-1", "s-0.1-3-1", "t-0.1-1"],
    ]
    assert "trained differently (they differ in recipe.epochs)" in cautions(records)
    assert "teacher epochs 90" in Scores.of(next(g for g in groups if len(g.items) == 2)).title


def test_alpha_in_the_recipe_is_what_is_studied(sample: ModuleType) -> None:
    teachers = [sample.teacher(alpha, label_smoothing=alpha) for alpha in (0.0, 0.1)]
    records = [sample.model_record(f"t{t.alpha}", t, sample.image_metrics(90.0)) for t in teachers]
    assert len(comparable_groups(records, "model").groups) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"kd_weight": 0.9}, "kd_weight"), ({"alpha": 0.1}, "alpha"), ({"recipe": {"epochs": 9}}, "recipe.epochs")],
)
def test_students_of_different_settings_never_share_a_table(
    sample: ModuleType, changes: dict[str, Any], field: str
) -> None:
    of = sample.teacher(0.1)
    low, high = sample.student(of, 1.0), dataclasses.replace(sample.student(of, 3.0), **changes)
    records = [sample.model_record(m.sha256[:5], m, sample.image_metrics(90.0), of) for m in (low, high)]
    records.append(sample.model_record("t", of, sample.image_metrics(91.0)))
    groups = comparable_groups(records, "model").groups
    assert [len(group.items) for group in groups] == [2, 2]  # the teacher stands in both
    assert field in cautions(records)


def test_data_of_one_name_and_other_content_is_kept_apart(sample: ModuleType) -> None:
    records = study(sample, {0.0: [1], 0.1: [1]})
    changed = dataclasses.replace(sample.FASHION, sha256={"train-images": "00" * 32})
    records[-1] = dataclasses.replace(records[-1], data=changed)
    assert len(comparable_groups(records, "model").groups) == 2
    assert "read different data (they differ in sha256.train-images)" in cautions(records)


def test_a_record_without_digests_stays_with_its_networks_or_alone(sample: ModuleType) -> None:
    """Seed 2 read other data; of what was measured, only the networks tell which."""
    other = dataclasses.replace(sample.FASHION, sha256={"train-images": "00" * 32})
    silent = dataclasses.replace(sample.FASHION, sha256={})
    scored = [
        dataclasses.replace(r, data=other if r.models[0].seed == 2 else r.data) for r in study(sample, {0.1: [1, 2]})
    ]
    measured = [
        dataclasses.replace(sample.diffusion_record(f"eta-{seed}", sample.teacher(0.1, seed), {}), data=silent)
        for seed in (2, 1, 3)
    ]
    groups = comparable_groups([*measured, *scored], "model", "diffusion").groups
    assert [sorted({i.teacher.seed for i in group.items}) for group in groups] == [[1], [2], [3]]
    assert [len(group.items) for group in groups] == [4, 4, 1]


def test_records_without_digests_and_of_other_networks_share_a_table(sample: ModuleType) -> None:
    """Seeds 3 to 5 say nothing of the data that seeds 1 and 2 read differently."""
    data = {1: sample.FASHION, 2: dataclasses.replace(sample.FASHION, sha256={"train-images": "00" * 32})}
    silent = dataclasses.replace(sample.FASHION, sha256={})
    of_all = study(sample, {0.0: [1, 2, 3, 4, 5], 0.1: [1, 2, 3, 4, 5]})
    records = [dataclasses.replace(r, data=data.get(r.models[0].seed, silent)) for r in of_all]
    groups = comparable_groups(records, "model").groups
    assert [sorted({i.teacher.seed for i in group.items}) for group in groups] == [[1], [2], [3, 4, 5]]
    assert {i.teacher.alpha for i in groups[2].items} == {0.0, 0.1}


def test_a_record_without_digests_goes_where_most_of_its_networks_are(sample: ModuleType) -> None:
    """One teacher taught students on two versions of the data; the second's were measured."""
    teacher = sample.teacher(0.1, 1)
    other = dataclasses.replace(sample.FASHION, sha256={"train-images": "00" * 32})
    silent = dataclasses.replace(sample.FASHION, sha256={})
    records = [sample.model_record("teacher", teacher, sample.image_metrics(91.0))]
    for data, seed in ((sample.FASHION, 1), (other, 2)):
        for t in (1.0, 3.0):
            made = sample.model_record(f"s{seed}-{t:g}", sample.student(teacher, t, seed), {}, teacher)
            records.append(dataclasses.replace(made, data=data, metrics=sample.image_metrics(90.0 - t)))
    index = sample.diffusion_record("eta", teacher, {})
    index = dataclasses.replace(index, data=silent, models=[sample.student(teacher, t, 2) for t in (1.0, 3.0)])
    groups = comparable_groups([*records, index], "model", "diffusion").groups
    assert [[i.record.name for i in group.items] for group in groups] == [
        ["teacher", "s1-1", "s1-3"],
        ["s2-1", "s2-3", "eta"],
    ]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_record_that_names_less_of_its_data_goes_where_its_networks_are(sample: ModuleType, *, reverse: bool) -> None:
    """Seeds 1 and 2 trained on other images; their evaluations name the test images alone, which are the same."""
    records = []
    for r in study(sample, {0.1: [1, 2]}):
        of_test = {"test-images": "cc" * 32}
        whole = of_test | {"train-images": f"{r.models[0].seed}" * 64}
        short = dataclasses.replace(r, name=f"again-{r.name}", metrics={"test/ece": Metric(3.0, "%", 10_000)})
        records += [
            dataclasses.replace(one, data=dataclasses.replace(r.data, sha256=sha))
            for one, sha in ((r, whole), (short, of_test))
        ]
    records.sort(key=lambda r: r.name, reverse=reverse)
    groups = comparable_groups(records, "model").groups
    assert [len(group.items) for group in groups] == [6, 6]
    assert [len({i.teacher.seed for i in group.items}) for group in groups] == [1, 1]


@pytest.mark.parametrize("kind", ["clusters", "diffusion"])
def test_what_was_measured_of_another_student_than_was_scored_is_flagged(sample: ModuleType, kind: str) -> None:
    records = study(sample, {0.1: [1]})
    base = sample.diffusion_record("measured", sample.teacher(0.1), {("val", "coat", "S1"): -0.01})
    if kind == "clusters":
        values = {"train/spread": Metric(0.4, "ratio", 100)}
        base = dataclasses.replace(base, kind=kind, models=base.models[:1], eta=[], metrics=values)
    again = [dataclasses.replace(base.models[0], sha256="f" * 64), *base.models[1:]]
    assert comparable_groups([*records, base], kind).cautions == []
    [(_, text)] = comparable_groups([*records, dataclasses.replace(base, models=again)], kind).cautions
    assert "T\xa0=\xa01 (sha256 ffffffffffff) is not the one that its record here names" in text
    without = [r for r in records if r.models[0].temperature != 1.0]
    assert comparable_groups([*without, dataclasses.replace(base, models=again)], kind).cautions == []


def test_a_missing_teacher_is_flagged(sample: ModuleType) -> None:
    records = [r for r in study(sample, {0.1: [1]}) if r.models[0].role == "student"]
    sorting = comparable_groups(records, "model")
    assert len(sorting.cautions) == 2
    record, text = sorting.cautions[0]
    assert record.name in text
    assert sample.teacher(0.1).sha256[:12] in text
    assert "has no record in this folder" in text


def test_a_card_that_contradicts_the_teachers_record_is_flagged(sample: ModuleType) -> None:
    records = study(sample, {0.1: [1]})
    lying = dataclasses.replace(sample.teacher(0.1), alpha=0.0)
    records[1] = dataclasses.replace(records[1], teacher=lying)
    sorting = comparable_groups(records, "model")
    assert [record.name for record, _ in sorting.cautions] == [records[1].name]
    assert Scores.of(sorting.groups[0]).alphas == [0.1]


def test_seeds_that_not_every_alpha_has_get_their_own_table(sample: ModuleType) -> None:
    records = study(sample, {0.0: [1, 2], 0.1: [2, 3]})
    groups = comparable_groups(records, "model").groups
    found = sorted(sorted({(i.teacher.alpha, i.teacher.seed) for i in group.items}) for group in groups)
    assert found == [[(0.0, 1)], [(0.0, 2), (0.1, 2)], [(0.1, 3)]]
    assert "The teachers differ in seed" in cautions(records)


def test_intervals_by_hand(sample: ModuleType) -> None:
    """T = 1, alpha = 0: 89.5, 90.0, 90.5, so mean 90, s = 0.5, t(2) = 4.3027, half-width 1.242.

    T 3 - T 1 is -2 + seed for alpha = 0, so its mean is 0 and its half-width 4.3027 / sqrt(3) = 2.484; alpha 0.1 minus
    0 is the same number for every seed, so the paired interval has no width.
    """
    scores = Scores.of(comparable_groups(study(sample, {0.0: [1, 2, 3], 0.1: [1, 2, 3]}), "model").groups[0])
    table = cells(scores)
    assert table[1] == ["student, T = 1", "90.00 ± 1.24", "89.00 ± 1.24", "−1.00 ± 0.00"]
    assert table[3][1] == f"0.00 ± {4.302653 / math.sqrt(3):.2f}"
    assert "n = 3 seeds per cell" in score_table(scores, TOP1).note
    said = headlines(comparable_groups(study(sample, {0.1: [1, 2, 3]}), "model"), [])[0][1]
    assert "by −2.00 points on average (95 % t interval −4.48 to +0.48, n = 3 paired seeds)" in " ".join(said).replace(
        "\xa0", " "
    )


def test_a_cell_of_fewer_seeds_says_so_and_pairs_what_it_can(sample: ModuleType) -> None:
    records = [r for r in study(sample, {0.0: [1, 2], 0.1: [1, 2]}) if r.name != "s-0.1-3-2"]
    table = cells(Scores.of(comparable_groups(records, "model").groups[0]))
    assert table[2][2] == "85.50 (n = 1)"
    assert table[2][3] == "−3.00"  # seed 1 only: 85.5 - 88.5, not the means' 85.5 - 89.25


def test_a_cell_and_seed_run_twice_counts_once(sample: ModuleType) -> None:
    records = study(sample, {0.1: [1]})
    again = sample.model_record(
        "again", records[1].models[0], sample.image_metrics(50.0), records[1].teacher, finished="2026-01-01T00:00:00Z"
    )
    scores = Scores.of(comparable_groups([*records, again], "model").groups[0])
    assert cells(scores)[1] == ["student, T = 1", "50.00"]
    assert scores.cautions == [
        "s-0.1-1-1 and again are of one cell and seed; where both have a score, the later one is shown."
    ]


def test_scores_of_different_scorers_are_flagged(sample: ModuleType) -> None:
    of = sample.teacher(0.1, arch="transformer")
    records = [
        sample.model_record("t", of, sample.text_metrics(14.0), data=sample.HELP),
        sample.model_record("s", sample.student(of, 1.0), sample.text_metrics(13.0, "tok:none"), of, data=sample.HELP),
    ]
    blocks = score_blocks(comparable_groups(records, "model"), "translation")
    said = [block.text for block in blocks if block.kind == "caution"]
    assert said == ["BLEU, test set: the scores differ in scorer signature; do not compare them."]


def test_hypotheses_of_other_searches_are_flagged(sample: ModuleType) -> None:
    of = sample.teacher(0.1, arch="transformer")
    teacher = sample.model_record("t", of, sample.text_metrics(14.0), data=sample.HELP)
    student = sample.model_record("s", sample.student(of, 1.0), sample.text_metrics(13.0), of, data=sample.HELP)

    def said(beam: int) -> list[str]:
        records = [
            dataclasses.replace(record, notes=[f"beam {size}, length penalty 1, at most 200 tokens"])
            for record, size in ((teacher, 5), (student, beam))
        ]
        blocks = score_blocks(comparable_groups(records, "model"), "translation")
        return [block.text for block in blocks if block.kind == "caution"]

    assert said(5) == []
    [told] = said(1)
    assert "beam 1, length penalty 1, at most 200 tokens; beam 5" in told


def test_eta_over_seeds_and_its_agreement(sample: ModuleType) -> None:
    """S1: -1, -2, +1 %: mean -0.67, s = 1.5275, half-width 4.3027 * 1.5275 / sqrt(3) = 3.79."""
    records = [
        sample.diffusion_record(
            f"eta-{seed}", sample.teacher(0.1, seed), {("train", "coat", "S1"): s1, ("train", "coat", "S2"): 0.01}
        )
        for seed, s1 in ((1, -0.01), (2, -0.02), (3, 0.01))
    ]
    [group] = eta_groups(comparable_groups(records, "diffusion"))
    assert eta_table(group).rows[0][1].text.replace("\xa0", " ") == "−0.67 ± 3.79 ✓"
    assert "2 of 3 pairs of target and seed on train" in agreement_sentence(group)


def test_seeds_with_other_sets_are_rows_of_their_own_and_seeds_all_the_same(sample: ModuleType) -> None:
    """As where each seed's own teacher chooses the sets: the bar is over both seeds, so all speak of two."""
    records = [
        sample.diffusion_record(f"eta-{seed}", sample.teacher(0.1, seed), {("train", "coat", "S1"): -0.01 * seed})
        for seed in (1, 2)
    ]
    [group] = eta_groups(comparable_groups(records, "diffusion"))
    assert (group.most_seeds, "rows of their own" in eta_table(group).note) == (2, False)
    other = [dataclasses.replace(row, members=["shirt", "bag"]) for row in records[1].eta]
    [group] = eta_groups(comparable_groups([records[0], dataclasses.replace(records[1], eta=other)], "diffusion"))
    assert group.most_seeds == 2
    caption = eta_picture(group, "eta").caption
    assert "Bars carry a 95" in caption
    assert "n = 1 seed" not in caption
    table = eta_table(group)
    assert "Seeds that measured other classes stand in rows of their own." in table.note
    assert [row[1].text.replace("\xa0", " ") for row in table.rows] == ["−1.00 (n = 1) ✓", "−2.00 (n = 1) ✓"]


def test_normalizations_stand_in_separate_tables(sample: ModuleType, tmp_path: Path) -> None:
    of = sample.teacher(0.1)
    values = {("val", "coat", "S1"): -0.01, ("val", "coat", "S2"): 0.01}
    records = [sample.diffusion_record(n, of, values, normalization=n) for n in ("none", "mean_pairwise")]
    assert [g.normalization for g in eta_groups(comparable_groups(records, "diffusion"))] == ["none", "mean_pairwise"]


def test_two_students_that_differ_in_more_than_temperature_are_flagged(sample: ModuleType) -> None:
    record = sample.diffusion_record("eta", sample.teacher(0.1), {("val", "coat", "S1"): -0.01})
    low, high = record.models
    longer = dataclasses.replace(high, recipe={**high.recipe, "epochs": 40})
    sorting = comparable_groups([dataclasses.replace(record, models=[low, longer])], "diffusion")
    assert "differ in recipe.epochs besides temperature" in " ".join(text for _, text in sorting.cautions)


def test_no_expected_sign_without_label_smoothing(sample: ModuleType) -> None:
    values = {("val", "coat", "S1"): 0.01, ("val", "coat", "S2"): -0.01}
    [group] = eta_groups(comparable_groups([sample.diffusion_record("eta", sample.teacher(0.0), values)], "diffusion"))
    assert [row[1].text for row in eta_table(group).rows] == ["1.00", "−1.00"]
    assert agreement_sentence(group) == ""


def test_students_in_the_wrong_order_are_flagged(sample: ModuleType) -> None:
    record = sample.diffusion_record("eta", sample.teacher(0.1), {("val", "coat", "S1"): -0.01})
    sorting = comparable_groups([dataclasses.replace(record, models=record.models[::-1])], "diffusion")
    assert "must have the lower temperature" in " ".join(text for _, text in sorting.cautions)


def test_a_second_record_of_a_model_adds_its_scores(sample: ModuleType) -> None:
    """As `vision.evaluate` writes for another split: nothing is hidden, nothing flagged, the seed counts once."""
    records = study(sample, {0.1: [1]})
    more = {"val/top1": Metric(77.5, "%", 2000)}
    later = "2026-01-01T00:00:00Z"
    records.append(sample.model_record("val", records[1].models[0], more, records[1].teacher, finished=later))
    scores = Scores.of(comparable_groups(records, "model").groups[0])
    assert scores.cautions == []
    assert cells(scores)[1] == ["student, T = 1", "88.50"]
    assert cells(scores, Key.parse("val/top1"))[1] == ["student, T = 1", "77.50"]
    folded = [
        b for b in score_blocks(comparable_groups(records, "model"), "image-classification") if b.kind == "tables"
    ]
    assert [(b.folded, len(b.tables)) for b in folded] == [("", 6), ("Scores on other splits", 1)]


def test_the_normalization_that_couples_s1_and_s2_is_flagged(sample: ModuleType) -> None:
    values = {("val", "coat", "S1"): -0.01, ("val", "coat", "S2"): 0.01}

    def said(normalization: str) -> list[str]:
        record = sample.diffusion_record("eta", sample.teacher(0.1), values, normalization=normalization)
        groups = eta_groups(comparable_groups([record], "diffusion"))
        return [block.text for block in eta_blocks(groups, []) if block.kind == "caution"]

    assert len(said("target_mean")) == 1
    assert said("mean_pairwise") == []


def test_sets_that_are_each_others_complement_are_flagged(sample: ModuleType) -> None:
    values = {("val", "coat", "S1"): -0.01, ("val", "coat", "S2"): 0.01}
    record = sample.diffusion_record("eta", sample.teacher(0.1), values, normalization="mean_pairwise")
    record = dataclasses.replace(record, notes=["coat (explicit): S1 shirt; S2 every other class"])
    groups = eta_groups(comparable_groups([record], "diffusion"))
    [said] = [block.text for block in eta_blocks(groups, []) if block.kind == "caution"]
    assert "S2 is every class that is not in S1" in said
