"""Translation's diffusion and projection records in a report: tokens, not images; valid, not val; large sets."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its quotation marks and minus signs

import dataclasses
from pathlib import Path
from types import ModuleType

import pytest

from shared.report.__main__ import read_document, write_document
from shared.report.document import Caution
from shared.report.eta import eta_groups
from shared.report.eta_tables import eta_blocks, eta_table
from shared.report.grouping import comparable_groups
from shared.results import Eta, Result

REST = [",", "\u2581(", *(f"\u2581w{k}" for k in range(1, 999))]


@pytest.fixture
def records(sample: ModuleType) -> list[Result]:
    of = sample.teacher(0.1, arch="transformer")
    eta = [
        Eta(split, "\u2581oder", name, members, value, "mean_pairwise", "nearest centroids")
        for split in ("valid", "train")
        for name, members, value in (("S1", ["\u2581und", "."], -0.0449), ("S2", REST, 0.0167))
    ]
    pair = [sample.student(of, t, arch="transformer") for t in (1.0, 3.0)]
    made = sample.provenance("eta")
    diffusion = Result("diffusion", "translation", "eta", sample.HELP, pair, made, teacher=of, eta=eta)
    projection = sample.projection_record("p", ("\u2581Tabelle", "\u2581Tabellen", "\u2581oder"))
    panels = [dataclasses.replace(p, split={"val": "valid"}.get(p.split, p.split)) for p in projection.panels]
    return [diffusion, dataclasses.replace(projection, task="translation", data=sample.HELP, panels=panels)]


def test_the_page_speaks_of_tokens(sample: ModuleType, records: list[Result], tmp_path: Path) -> None:
    document = read_document(sample.write_records(tmp_path, records))
    page, plain = write_document(document, tmp_path)
    text = plain.read_text(encoding="utf-8").replace("\xa0", " ")
    assert "A mark is one token" in text
    assert "decoder states of ▁Tabelle, ▁Tabellen and ▁oder" in text.replace("\\", "")
    assert "2,400 projected tokens" in text
    assert "In translation the classes are target tokens" in text
    assert "image" not in text.split("## What the paper reports")[0]
    assert page.stat().st_size > 10_000
    picture = next(p for p in document.pictures() if p.name.startswith("projection"))
    labels = [axes.get_ylabel() for axes in picture.figure.axes if axes.get_ylabel()]
    assert labels == ["training tokens", "validation tokens"]


def test_images_stay_images(demo: Path) -> None:
    plain = write_document(read_document(demo), demo)[1].read_text(encoding="utf-8")
    assert "A mark is one image" in plain
    assert "token" not in plain


def test_a_row_names_a_few_of_its_classes(sample: ModuleType, records: list[Result], tmp_path: Path) -> None:
    _, plain = write_document(read_document(sample.write_records(tmp_path, records)), tmp_path)
    text = plain.read_text(encoding="utf-8").replace("\\", "").replace("\xa0", " ")
    [s1] = [line for line in text.splitlines() if "S1 (similar)" in line]
    [s2] = [line for line in text.splitlines() if "S2 (dissimilar)" in line]
    assert "▁und, “.”" in s1
    assert "more" not in s1
    assert "“,”, “▁(”, ▁w1, ▁w2" in s2
    assert "▁w10 and 988 more" in s2
    assert s1.index("−4.49") < s1.rindex("−4.49")  # train, then valid
    assert [cell.strip() for cell in text.split("Target and set |")[1].splitlines()[0].strip("|").split("|")] == [
        "α = 0.1, train",
        "α = 0.1, valid",
    ]


def test_two_choices_of_sets_are_no_two_seeds(sample: ModuleType, records: list[Result]) -> None:
    """The same students over other classes: a table and a bar of their own, in which n stays 1."""
    first = records[0]
    other = [dataclasses.replace(row, members=row.members[:1], value=2 * row.value) for row in first.eta]
    again = dataclasses.replace(first, name="eta-again", eta=other)
    groups = eta_groups(comparable_groups([first, again], "diffusion"))
    assert [group.most_seeds for group in groups] == [1, 1]
    assert [group.columns for group in groups] == [[(0.1, "train"), (0.1, "valid")]] * 2
    assert len({group.title for group in groups}) == 2
    assert [eta_table(group).rows[0][1].text.replace("\xa0", " ") for group in groups] == ["−4.49 ✓", "−8.98 ✓"]


@pytest.mark.parametrize(("finished", "shown"), [("2026-01-01", "−8.98 ✓"), ("2024-01-01", "−4.49 ✓")])
@pytest.mark.parametrize("reordered", [False, True])
def test_the_same_classes_measured_again_are_no_other_choice(
    sample: ModuleType, records: list[Result], finished: str, shown: str, reordered: bool
) -> None:
    """A student trained again, whichever record is named first: the later one counts, and both are named."""
    first = records[0]
    low, high = first.models
    eta = [
        dataclasses.replace(row, members=row.members[:: -1 if reordered else 1], value=2 * row.value)
        for row in first.eta
    ]
    made = sample.provenance("eta-again", finished=f"{finished}T00:00:00Z")
    trained = [low, dataclasses.replace(high, sha256="f" * 64)]
    again = dataclasses.replace(first, name="eta-again", models=trained, eta=eta, provenance=made)
    named = "eta and eta-again" if finished > "2025" else "eta-again and eta"
    said = (
        f"{named} measured the same classes and are of one cell and seed; where both have an index, the later one is "
        "shown."
    )
    for order in ([first, again], [again, first]):
        [group] = eta_groups(comparable_groups(order, "diffusion"))
        assert (group.most_seeds, group.choice, len(group.lines)) == (1, 1, 2)
        assert eta_table(group).rows[0][1].text.replace("\xa0", " ") == shown
        told = [block.text for block in eta_blocks([group], []) if isinstance(block, Caution)]
        assert told == list(group.cautions) == [said]


def test_a_rerun_takes_the_place_of_its_own_choice_and_keeps_what_it_lacks(
    sample: ModuleType, records: list[Result]
) -> None:
    """S1 is the same in both choices, S2 is not; of the second choice, validation alone is measured again."""
    first = records[0]
    small = [dataclasses.replace(row, members=row.members[:9]) if row.set_name == "S2" else row for row in first.eta]
    second = dataclasses.replace(first, name="second", eta=small)
    valid = [dataclasses.replace(row, value=2 * row.value) for row in small if row.split == "valid"]
    again = dataclasses.replace(
        second, name="again", eta=valid, provenance=sample.provenance("again", finished="2026-01-01T00:00:00Z")
    )
    groups = eta_groups(comparable_groups([first, second, again], "diffusion"))
    assert [len(group.cautions) for group in groups] == [0, 1]
    shown = [[[*group.observed(line, c).values()] for line in group.lines for c in group.columns] for group in groups]
    names = [[name for [(name, _)] in cells] for cells in shown]
    assert names == [["eta"] * 4, ["second", "again"] * 2]


def test_another_alpha_joins_the_choice_that_it_shares(sample: ModuleType, records: list[Result]) -> None:
    """Both choices for both teachers, in an order that mixes them: each table keeps to one choice."""
    first = records[0]
    small = [dataclasses.replace(row, members=row.members[:1]) for row in first.eta]
    plain = sample.teacher(0.0, arch="transformer")
    pair = [sample.student(plain, t, arch="transformer") for t in (1.0, 3.0)]
    made = [
        first,
        dataclasses.replace(first, name="small", eta=small),
        dataclasses.replace(first, name="small-0", eta=small, teacher=plain, models=pair),
        dataclasses.replace(first, name="0", teacher=plain, models=pair),
    ]
    groups = eta_groups(comparable_groups(made, "diffusion"))
    assert [len(group.lines) for group in groups] == [2, 2]
    assert [len(group.columns) for group in groups] == [4, 4]
