"""The study's table beside the paper's."""

import dataclasses
from types import ModuleType

import pytest

from shared.report.beside import beside_blocks
from shared.report.document import Table, Tables
from shared.report.grouping import comparable_groups
from shared.results import Data, Result

# Chandrasegaran et al. 2022, BLEU: teacher and T = 1, 2, 3, 64; En-De alpha 0 and .1, En-Ru alpha 0 and .1.
PAPER = {
    "teacher": ["26.461", "26.750", "16.718", "16.976"],
    "T = 1": ["24.914", "25.085", "16.140", "16.197"],
    "T = 2": ["23.103", "23.421", "14.977", "15.100"],
    "T = 3": ["21.999", "22.076", "13.826", "14.106"],
    "T = 64": ["6.564", "6.461", "3.605", "3.590"],
}


def study(sample: ModuleType, pairs: list[str], temperatures: list[float], corpus: str = "help") -> list[Result]:
    """BLEU is 10 for a teacher and 10 - T / 100 for a student, one more where alpha is .1, 20 more in En-Ru."""
    records = []
    for pair in pairs:
        for alpha in (0.0, 0.1):
            extra = 10 * alpha + (20 if pair == "en-ru" else 0)
            teacher = sample.teacher(alpha, arch=f"tiny-{pair}")
            teacher = dataclasses.replace(teacher, arch="tiny")
            models = [(teacher, None, 10 + extra)]
            models += [(sample.student(teacher, t), teacher, 10 - t / 100 + extra) for t in temperatures]
            for model, of, bleu in models:
                name = f"{pair} {alpha} {model.temperature}"
                records.append(
                    Result(
                        "model", "translation", name, Data(f"{corpus}.{pair}"), [model], sample.provenance(name), of,
                        metrics=sample.text_metrics(bleu),
                    )
                )  # fmt: skip
    return records


def tables(records: list[Result]) -> list[Table]:
    blocks = beside_blocks(comparable_groups(records, "model"))
    return [table for block in blocks if isinstance(block, Tables) for table in block.tables]


def test_both_pairs_stand_in_the_papers_layout(sample: ModuleType) -> None:
    found = tables(study(sample, ["en-ru", "en-de"], [1.0, 2.0, 3.0, 64.0, 8.0]))
    assert [table.caption.partition(",")[0] for table in found] == ["En-De", "En-Ru"]
    for index, table in enumerate(found):
        assert "a different corpus" in table.caption
        assert "different corpus" in table.note
        assert table.header[1:] == ["here: \u03b1 0", "here: \u03b1 0.1", "paper: \u03b1 0", "paper: \u03b1 0.1"]
        shown = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
        assert {label: cells[2:] for label, cells in shown.items()} == {
            label: cells[2 * index : 2 * index + 2] for label, cells in PAPER.items()
        }
        assert shown["teacher"][:2] == [["10.00", "11.00"], ["30.00", "31.00"]][index]
        assert shown["T = 64"][:2] == [["9.36", "10.36"], ["29.36", "30.36"]][index]
        assert all(cell.records for row in table.rows for cell in row[1:3])
        assert not any(cell.records for row in table.rows for cell in row[3:])


def test_one_pair_and_some_temperatures(sample: ModuleType) -> None:
    (table,) = tables(study(sample, ["en-ru"], [1.0, 64.0]))
    assert [row[0].text for row in table.rows] == ["teacher", "T = 1", "T = 64"]
    assert [cell.text for cell in table.rows[2][3:]] == PAPER["T = 64"][2:]


def test_the_papers_own_corpus_is_not_called_another(sample: ModuleType) -> None:
    (table,) = tables(study(sample, ["en-de"], [1.0], corpus="iwslt14"))
    assert "different corpus" not in table.caption
    assert "prepared by others" in table.caption


@pytest.mark.parametrize("name", ["help.en-fr", "help", "en-de"])
def test_other_pairs_have_no_such_table(sample: ModuleType, name: str) -> None:
    records = study(sample, ["en-de"], [1.0])
    assert tables([dataclasses.replace(record, data=Data(name)) for record in records]) == []


def test_a_study_of_one_alpha_has_no_such_table(sample: ModuleType) -> None:
    records = [r for r in study(sample, ["en-de"], [1.0]) if (r.teacher or r.models[0]).alpha == 0.1]
    assert tables(records) == []
