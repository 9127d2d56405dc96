"""Several noisy teachers in a report: what the page shows, its figure and links; other tables stay as they were."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its minus signs

import dataclasses
import re
from pathlib import Path
from types import ModuleType

import pytest

from shared.report.document import Picture
from shared.report.several import BEST, ENSEMBLE, EPL, LAW, Method
from shared.report.several_tables import several_blocks
from shared.report.several_words import several_headline
from shared.report.studies import sort_records
from tests.shared.report.several_records import (
    SOLO,
    USUAL,
    column,
    measured,
    one_study,
    page,
    study,
    table,
    trained,
)


def test_the_page(sample: ModuleType, tmp_path: Path) -> None:
    text = page(sample, tmp_path, study(sample, USUAL))
    assert "fashion_mnist, label noise 20 %: several teachers slim, student slim" in text
    assert "At k = 3 the published order (one teacher < ensemble ≤ EPL, RPL) is shown: test-time ensemble − " in text
    assert "At k = 3, RPL − EPL is 0.00 ± 0.25 (95 % t, n = 3), which includes 0, as published." in text
    assert "EPL − test-time ensemble (logits) +1.20 (95 % t interval +0.70 to +1.70, n = 3)" in text
    assert "total-variation distance 0.030 from the law of the noisy labels" in text
    assert re.search(r"\| RPL − EPL \| \[0\.00 ± 0\.25\]\(#record-\d+\)[^|]*<br>interval includes 0, n = 3 \|", text)
    assert re.search(r"<br>> 0: shown, n = 3 \|", text)
    assert re.search(r"<br>≥ 0: shown, n = 3 \|", text)
    assert "| the published order | shown | shown |" in text
    assert "fashion_mnist" in text
    assert "Kaplun" not in text  # other data: the paper's numbers say nothing of them
    assert "EPL: 88.20 at k = 2 and 89.20 at k = 3" in text
    assert (tmp_path / "report_figures" / "several-teachers-1.png").stat().st_size > 5000
    assert "Image classification" not in text
    assert "label smoothing in the teacher" not in text


def test_an_order_that_fails_is_told_with_its_numbers_first(sample: ModuleType, tmp_path: Path) -> None:
    text = page(sample, tmp_path, study(sample, {"epl": [-1.0, -1.2, -1.4], "rpl": [0.9, 1.2, 1.5]}, data="cifar10"))
    assert "is contradicted: EPL − test-time ensemble (logits) −1.20 (95 % t " in text
    assert "n = 3). Shown: test-time ensemble − single teacher (logits) +6.00 (" in text
    assert "RPL − EPL is +2.40 ± 1.24 (95 % t, n = 3), which excludes 0, unlike what is published." in text
    assert "<br>interval excludes 0, n = 3 |" in text
    assert text.count("one teacher 81.3 %, test-time ensemble 87.8 %") == 1


def test_one_number_of_teachers_has_no_figure(sample: ModuleType, tmp_path: Path) -> None:
    text = page(sample, tmp_path, study(sample, USUAL, ks=(3,), data="cifar10"))
    assert not list(tmp_path.rglob("*.png"))
    assert text.count("one teacher 81.3 %, test-time ensemble 87.8 %") == 1


def test_other_tables_are_as_they_were(sample: ModuleType, tmp_path: Path) -> None:
    """The demo's own sections do not change by a letter where the other study lies beside it."""
    demo = sample.demo_records()
    alone, both = page(sample, tmp_path / "alone", demo), page(sample, tmp_path / "both", demo + study(sample, USUAL))

    def section(text: str, title: str) -> str:
        body = text.split(f"## {title}\n")[1].split("\n## ")[0]
        return re.sub(r"#record-\d+", "", body)  # records are numbered over the whole folder

    for title in ("Translation", "Image classification", "Diffusion index", "Projections of three classes"):
        assert section(both, title) == section(alone, title)


def test_a_teacher_that_also_teaches_alone_stays_in_the_other_tables(sample: ModuleType) -> None:
    records = study(sample, USUAL)
    of = next(record for record in records if record.name == "teacher 00")
    alone = sample.model_record("alone", sample.student(of.models[0], 3.0), sample.image_metrics(80.0), of.models[0])
    kept = {record.name for record in sort_records([*records, alone]).by_temperature}
    assert kept == {"teacher 00", "alone"}
    assert sort_records(records).by_temperature == []


def test_links_are_in_order_of_seed(sample: ModuleType) -> None:
    """Of teachers, of ensembles by their teachers, of students by their own; of differences the high side first."""
    records = study(sample, USUAL, ks=(3,))
    found = one_study(records[::-1])
    teachers = [f"teacher {r}{j}" for r in range(3) for j in range(3)]
    ensembles, students = [[f"{name} {r}3" for r in range(3)] for name in ("ensemble", "epl")]
    assert [name for name, _ in found.observed(SOLO).values()] == teachers
    assert [name for name, _ in found.observed(Method(ENSEMBLE, 3, "logits")).values()] == ensembles
    assert [name for name, _ in found.observed(Method(EPL, 3)).values()] == students
    rows = {row[0].text: row[1].records for row in table(found, 1).rows}
    assert rows["test-time ensemble − single teacher (logits)"] == (*ensembles, *teachers)
    assert rows["EPL − test-time ensemble (logits)"] == (*students, *ensembles)


def test_the_score_table_says_which_epoch_and_adds_the_best(sample: ModuleType) -> None:
    records = study(sample, USUAL)
    assert list(table(one_study(records), 0).header)[1] == "top-1 (%)"  # these records do not say
    assert list(table(one_study(trained(records)), 0).header) == ["", "last epoch", "n"]
    found = one_study(trained(records, best=5.0))
    scores = table(found, 0)
    assert list(scores.header) == ["", "last epoch", "best epoch on validation", "n"]
    assert [cell.split(" ")[0] for cell in column(scores, "single teacher")] == ["82.00", "87.00", "9"]
    assert column(scores, "test-time ensemble, k = 2 (logits)")[1] == "–"
    assert "whose labels are noisy too" in scores.note
    assert len(found.observed(SOLO, BEST)) == 9
    told = [text.replace("\xa0", " ") for text in several_headline(found)]
    assert "noisy as they are, one teacher has 87.00 %: +5.00 (9 equal differences)" in told[-1]
    assert "Mean top-1 on the test set, last epoch: " in told[0]
    clean = [dataclasses.replace(r, data=dataclasses.replace(r.data, label_noise=None)) for r in trained(records, 5.0)]
    assert "noisy" not in " ".join([*several_headline(one_study(clean)), table(one_study(clean), 0).note])


def test_replicates_are_counted_as_they_are(sample: ModuleType) -> None:
    """Three sets: the k = 2 of each are in its k = 3. Without k = 3 the sets are those of two."""
    note = table(one_study(study(sample, USUAL)), 0).note.replace("\xa0", " ")
    assert "sets of teachers (3 sets, of which a smaller k uses a part)" in note
    assert "The row single teacher is over single teachers instead, those of all sets together." in note
    note = table(one_study(study(sample, USUAL, ks=(2,))), 0).note.replace("\xa0", " ")
    assert "sets of teachers (3 sets), for" in note


def test_the_figure_tells_of_the_single_teacher_too(sample: ModuleType) -> None:
    [picture] = [b for b in several_blocks([one_study(study(sample, USUAL))]) if isinstance(b, Picture)]
    assert picture.alt.startswith(
        "Line chart of top-1 accuracy by number of teachers. one teacher, mean: 82.00, a level"
    )
    no_singles = [r for r in study(sample, USUAL) if not r.name.startswith("teacher")]
    [picture] = [b for b in several_blocks([one_study(no_singles)]) if isinstance(b, Picture)]
    assert "one teacher" not in picture.alt


def test_a_teacher_that_was_measured_again_counts_once(sample: ModuleType) -> None:
    records = trained(study(sample, USUAL), best=5.0)
    before, after = one_study(records), one_study([*records, *measured(records)])
    assert before.observed(SOLO, LAW) == {}
    distances = dict(after.observed(SOLO, LAW).values())
    assert distances == {
        f"teacher {r}{j} measured": pytest.approx(0.01 + 0.1 * r + 0.01 * j) for r in range(3) for j in range(3)
    }
    assert after.cautions == []
    for number in (0, 1, 2):  # label, last epoch, best epoch
        assert [row[number].text for row in table(after, 0).rows] == [row[number].text for row in table(before, 0).rows]
    assert [[c.text for c in row] for row in table(after, 1).rows] == [
        [c.text for c in row] for row in table(before, 1).rows
    ]
    assert column(table(after, 0), "single teacher")[2:] == ["9", "0.120 ± 0.067"]  # s = 0.0870, t(8) = 2.306


@pytest.mark.parametrize("first", ["training", "evaluation"])
def test_a_second_measurement_does_not_reach_the_other_tables(sample: ModuleType, first: str) -> None:
    """Teacher 00 also teaches alone: the tables by alpha and T keep its own record, and get no other."""
    records = trained(study(sample, USUAL))
    of = records[0].models[0]
    alone = sample.model_record("alone", sample.student(of, 3.0), sample.image_metrics(80.0), of)
    again = measured(records)
    if first == "evaluation":  # trained anew since, to the same weights
        made = dataclasses.replace(records[0].provenance, finished="2025-07-01T00:00:00Z")
        records[0] = dataclasses.replace(records[0], provenance=made)
    kept = sort_records([*records, *again, alone]).by_temperature
    assert [record.name for record in kept] == ["teacher 00", "alone"]
