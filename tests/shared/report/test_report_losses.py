"""KD beside DIST in a report: a row for each teacher, columns by loss, differences paired by seed."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its minus signs

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.report.__main__ import read_document, write_document
from shared.report.document import Caution, Table, Tables
from shared.report.losses import loss_studies
from shared.report.losses_tables import loss_blocks
from shared.report.studies import sort_records
from shared.results import Metric, Model, Result

SETTINGS = {"kd": (4.0, 1.0), "dist": (1.0, 2.0)}  # T and weight of the paper's B1
GAIN = {1: 0.2, 2: 0.5, 3: 0.8}  # of DIST over KD, by seed
# Student's t, 97.5 %, 2 degrees of freedom, from a printed table: 4.303 * 0.3 / sqrt(3)
GAIN_HALF_WIDTH = "0.75"


def student(sample: ModuleType, of: Model, loss: str, temperature: float | None = None) -> Model:
    usual, weight = SETTINGS[loss]
    made = sample.student(of, temperature or usual)
    sha = sample.digest(made.sha256, loss)
    return dataclasses.replace(made, loss=loss, kd_weight=weight, alpha=0.0, sha256=sha)


def study(sample: ModuleType, scores: dict[str, float], seeds: tuple[int, ...] = (1, 2, 3)) -> list[Result]:
    """Teachers of `scores`, KD students 3 below them, DIST students by `GAIN` above these; the student alone at 85."""
    records = []
    for arch, score in scores.items():
        for seed in seeds:
            of = sample.teacher(0.0, seed, arch=arch)
            records.append(sample.model_record(f"{arch} {seed}", of, sample.image_metrics(score)))
            for loss, top1 in (("kd", score - 3), ("dist", score - 3 + GAIN[seed])):
                model = student(sample, of, loss)
                records.append(sample.model_record(f"{arch} {seed} {loss}", model, sample.image_metrics(top1), of))
    for seed in seeds:
        alone = sample.teacher(0.0, seed, arch="cnn")
        alone = dataclasses.replace(alone, recipe={"epochs": 4, "lr": 0.05})
        records.append(sample.model_record(f"alone {seed}", alone, sample.image_metrics(85.0)))
    return records


SCORES = {"big": 93.0, "small": 90.0, "middle": 91.5}


def tables(records: list[Result]) -> list[Table]:
    blocks = loss_blocks(loss_studies(records))
    return [table for block in blocks if isinstance(block, Tables) for table in block.tables]


def shown(table: Table) -> list[list[str]]:
    return [list(table.header), *([cell.text for cell in row] for row in table.rows)]


def plain(text: str) -> str:
    return text.replace("\xa0", " ")


def gained(level: float) -> list[str]:
    return [f"{level:.2f} ± {GAIN_HALF_WIDTH}", f"+0.50 ± {GAIN_HALF_WIDTH}"]


def test_rows_are_teachers_and_columns_losses(sample: ModuleType) -> None:
    table = tables(study(sample, SCORES))[0]
    assert table.caption == "Top-1 accuracy, test set, last epoch (%)"
    assert [[plain(text) for text in row] for row in shown(table)] == [
        ["teacher", "its own", "student alone", "KD, T = 4", "DIST, T = 1", "DIST − KD"],
        *(
            [arch, *(f"{value:.2f} ± 0.00" for value in (score, 85, score - 3)), *gained(score - 2.5)]
            for arch, score in sorted(SCORES.items(), key=lambda item: item[1])  # the weakest first
        ),
    ]
    assert "up to 3 seeds" in table.note
    assert all(cell.records for cell in table.rows[0][1:])
    assert table.rows[0][5].records == (*(f"small {s} dist" for s in (1, 2, 3)), *(f"small {s} kd" for s in (1, 2, 3)))


def test_differences_are_paired_by_seed(sample: ModuleType) -> None:
    """KD lacks seed 1, so the pairs are 0.5 and 0.8: half-width 12.706 * 0.2121 / sqrt(2) = 1.906."""
    records = [r for r in study(sample, {"big": 93.0}) if r.name != "big 1 kd"]
    [row] = tables(records)[0].rows
    assert plain(row[3].text) == "90.00 ± 0.00 (n = 2)"
    assert plain(row[5].text) == "+0.65 ± 1.91"


def test_teachers_of_one_architecture_and_other_recipes_are_rows_of_their_own(sample: ModuleType) -> None:
    records = study(sample, {"big": 93.0}, seeds=(1,))
    weak = dataclasses.replace(sample.teacher(0.0, 1, arch="big", epochs=1), sha256="f" * 64)
    records.append(sample.model_record("weak", weak, sample.image_metrics(80.0)))
    for loss in SETTINGS:
        records.append(
            sample.model_record(f"weak {loss}", student(sample, weak, loss), sample.image_metrics(79.0), weak)
        )
    [table, *_] = tables(records)
    assert [row[0].text for row in table.rows] == ["big (epochs 1)", "big (epochs 3)"]
    assert [row[1].text for row in table.rows] == ["80.00", "93.00"]
    assert "n = 1 seed per cell" in table.note


def test_the_student_alone_is_smoothed_as_the_students_are(sample: ModuleType) -> None:
    records = study(sample, {"big": 93.0}, seeds=(1,))
    alone = next(record for record in records if record.name == "alone 1")
    smoothed = dataclasses.replace(alone.models[0], alpha=0.1, seed=2, sha256="a" * 64)
    records.append(sample.model_record("smoothed", smoothed, sample.image_metrics(70.0)))
    assert [row[2].text for row in tables(records)[0].rows] == ["85.00"]


def test_students_of_other_recipes_or_teachers_without_dist_stand_apart(sample: ModuleType) -> None:
    records = study(sample, {"big": 93.0}, seeds=(1,))
    of = records[0].models[0]
    longer = [dataclasses.replace(student(sample, of, loss), recipe={"epochs": 50}) for loss in SETTINGS]
    longer = [dataclasses.replace(model, sha256=model.sha256[::-1]) for model in longer]
    other = sample.teacher(0.0, 1, arch="other")
    extra = [
        *(sample.model_record(f"longer {m.loss}", m, sample.image_metrics(88.0), of) for m in longer),
        sample.model_record("other", student(sample, other, "kd"), sample.image_metrics(60.0), other),
    ]
    found = loss_studies([*records, *extra])
    assert len(found) == 2
    assert all("2 separate tables" in one.group.cautions[0] for one in found)
    assert [sorted(r.name for r in one.records) for one in found] == [
        ["alone 1", "big 1", "big 1 dist", "big 1 kd"],
        ["big 1", "longer dist", "longer kd"],
    ]


def test_several_temperatures_are_columns(sample: ModuleType) -> None:
    records = study(sample, {"big": 93.0}, seeds=(1,))
    of = records[0].models[0]
    for weight in (1.0, 2.0):
        model = dataclasses.replace(student(sample, of, "kd", 2.0), kd_weight=weight, sha256=f"{weight:g}" * 64)
        records.append(sample.model_record(f"T2 w{weight}", model, sample.image_metrics(89.0 + weight), of))
    header, row = shown(tables(records)[0])
    assert [plain(text) for text in header[3:7]] == [
        "KD, T = 2, weight 1", "KD, T = 2, weight 2", "KD, T = 4", "DIST, T = 1"
    ]  # fmt: skip
    assert row[3:7] == ["90.00", "91.00", "90.00", "90.20"]
    assert [plain(text) for text in header[7:]] == [f"(DIST, T = 1) − ({name})" for name in map(plain, header[3:6])]
    assert row[7:] == ["+0.20", "−0.80", "+0.20"]


def test_only_what_says_more_by_temperature_stays_in_the_other_tables(sample: ModuleType) -> None:
    records = study(sample, SCORES)
    assert sort_records(records).by_temperature == []
    of = records[0].models[0]
    low = sample.model_record("T1", student(sample, of, "kd", 1.0), sample.image_metrics(90.0), of)
    kept = {record.name for record in sort_records([*records, low]).by_temperature}
    assert kept == {"T1", *(f"big {seed}{kd}" for seed in (1, 2, 3) for kd in ("", " kd"))}


def test_without_dist_nothing_changes(sample: ModuleType) -> None:
    records = [record for record in study(sample, SCORES) if record.models[0].loss != "dist"]
    assert loss_studies(records) == []
    assert sort_records(records).by_temperature == records


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_the_page(sample: ModuleType, tmp_path: Path, seeds: tuple[int, ...]) -> None:
    document = read_document(sample.write_records(tmp_path, study(sample, SCORES, seeds)))
    text = plain(write_document(document, tmp_path)[1].read_text(encoding="utf-8"))
    spread = " (95 % t interval −0.25 to +1.25, n = 3 paired seeds)" if len(seeds) > 1 else " (n = 1)"
    gain = "+0.50" if len(seeds) > 1 else "+0.20"
    level = "90.50" if len(seeds) > 1 else "90.20"
    said = f"Teacher big (93.00 %): top-1 accuracy 90.00 % by KD, T = 4 and {level} % by DIST, T = 1; DIST − KD {gain}"
    assert said + spread in text
    assert "Image classification" not in text
    assert "Other test scores" in text
    assert "students learned by KD and by DIST" in text
    assert "student cnn, DIST at T = 1, 200,000 parameters" in text


def test_the_latest_score_of_a_network_counts_wherever_its_record_stands(sample: ModuleType) -> None:
    records = study(sample, {"big": 93.0}, seeds=(1,))
    for name in ("alone 1", "big 1"):
        again = dataclasses.replace(next(r for r in records if r.name == name).models[0])
        old = sample.model_record(f"{name}, older", again, sample.image_metrics(60.0), finished="2024-01-01T00:00:00Z")
        records.append(old)
    assert [[cell.text for cell in row[1:3]] for row in tables(records)[0].rows] == [["93.00", "85.00"]]


@pytest.mark.parametrize("name", ["big 2 dist", "big 2 kd", "big 2", "alone 2"])
def test_of_two_runs_of_a_cell_and_seed_the_later_counts_with_a_caution(sample: ModuleType, name: str) -> None:
    """A student, its teacher with a student of its own, or the student alone, trained again to 60 %."""
    records = study(sample, {"big": 93.0})
    first = next(record for record in records if record.name == name)
    model = dataclasses.replace(first.models[0], sha256="f" * 64)
    later = "2026-01-01T00:00:00Z"
    again = sample.model_record("again", model, sample.image_metrics(60.0), first.teacher, finished=later)
    taught = sample.model_record("taught", student(sample, model, "dist"), sample.image_metrics(50.0), model)
    more = [again, *[taught] * (name == "big 2")]
    said = [f"{name} and again are of one cell and seed; where both have a score, the later one is shown."]
    if name == "big 2":
        said.insert(0, said[0].replace(name, "big 2 dist").replace("again", "taught"))
    for given in ([*records, *more], [*more, *records]):
        [told] = loss_studies(given)
        blocks = loss_blocks([told])
        assert told.cautions == said
        assert [block.text for block in blocks if isinstance(block, Caution)] == said
        [row] = tables(given)[0].rows
        column = {"big 2": 1, "alone 2": 2, "big 2 kd": 3, "big 2 dist": 4}[name]
        assert "again" in row[column].records
        assert name not in row[column].records


def test_another_split_of_a_network_is_no_second_run(sample: ModuleType) -> None:
    records = study(sample, {"big": 93.0})
    more = [
        sample.model_record(f"{r.name}, val", r.models[0], {"val/top1": Metric(77.5, "%", 2000)}, r.teacher)
        for r in records
    ]
    assert [one.cautions for one in loss_studies([*records, *more])] == [[]]


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({"name": "other-digits"}, "93.00"),
        ({"sizes": {"test": 500}}, "93.00"),
        ({"sha256": {"train-images": "c" * 64}}, "93.00"),
        ({"sizes": {"train": 7, "test": 10000}, "sha256": {}, "label_noise": 0.2}, "20.00"),  # the same test images
    ],
)
def test_a_teachers_own_score_is_on_the_students_test_images(
    sample: ModuleType, changes: dict[str, Any], score: str
) -> None:
    """A later record of each teacher, at 20 %: another data set's or test part's says nothing here."""
    records = study(sample, {"big": 93.0})
    of = [record for record in records if record.name in ("big 1", "big 2", "big 3")]
    data = dataclasses.replace(sample.FASHION, **changes)
    more = [sample.model_record(f"{r.name} later", r.models[0], sample.image_metrics(20.0), data=data) for r in of]
    [found] = loss_studies([*records, *more])
    [row] = tables([*records, *more])[0].rows
    assert plain(row[1].text) == f"{score} ± 0.00"
    assert len(found.cautions) == (0 if score == "93.00" else 3)


def test_only_the_students_own_architecture_stands_beside_it(sample: ModuleType) -> None:
    """A teacher and another student, both trained by the students' recipe."""
    records = study(sample, {"big": 93.0}, seeds=(1,))
    of = records[0].models[0]
    wide = dataclasses.replace(student(sample, of, "kd"), arch="wide", sha256="b" * 64)
    records.append(sample.model_record("wide kd", wide, sample.image_metrics(50.0), of))
    recipe = {"epochs": 4, "lr": 0.05}
    other = dataclasses.replace(sample.teacher(0.0, 1, arch="wide"), recipe=recipe, sha256="c" * 64)
    records.append(sample.model_record("wide alone", other, sample.image_metrics(60.0)))
    [row] = tables(records)[0].rows
    assert [cell.text for cell in row[2:4]] == ["85.00", "90.00"]
