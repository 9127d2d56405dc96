"""The page of a whole study: verdicts, clusters, random sets beside eta, the study's design and its costs."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from shared.report.__main__ import main, read_document, write_document
from shared.report.document import Document, Table, Tables
from shared.report.markdown import to_markdown
from shared.results import Null, Result
from tests.shared.report.claims_records import cluster_records, eta_records, model_records, noise, with_outcomes

SEEDS = (1, 2, 3)
DESIGN = {"alphas": [0, 0.1], "temperatures": [1, 3], "seeds": [1, 2, 3]}
NULL = Null(84, 0.001, -0.015, 0.03, 0.0119, True)


def study_records(sample: ModuleType) -> list[Result]:
    def score(a: float, t: float | None, s: int) -> float:
        return 90 - (t == 3) * (1 + 30 * a) + 0.1 * noise(a, t, s)

    def small(base: float, a: float, t: float | None, s: int) -> float:
        return base + 0.001 * noise(a, t, s)

    measures = {
        "spread": lambda a, t, s: small(0.4, a, t, s) - a,
        "similar": lambda a, t, s: small(0.6, a, t, s) + a,
        "separation": lambda a, t, s: small(1.5, a, t, s),
        "stability": lambda a, t, s: small(0.9, a, t, s),
        "within": lambda a, t, s: small(3.0, a, t, s),
    }
    eta = {"S1": -0.02, "S2": 0.02}
    return [
        *model_records(sample, score, (1.0, 3.0), SEEDS, (0.0, 0.1)),
        *cluster_records(sample, measures, (None, 1.0, 3.0), SEEDS),
        *eta_records(sample, lambda a, n, s, t: 10 * a * eta[n] + 0.001 * noise(a, 1, s), SEEDS, null=NULL),
    ]


@pytest.fixture
def study(sample: ModuleType, tmp_path: Path) -> Path:
    with_outcomes(tmp_path, study_records(sample), 200)
    (tmp_path / "study.json").write_text(json.dumps({"title": "whole", "design": DESIGN}))
    return tmp_path


def plain(document: Document) -> str:
    return to_markdown(document).replace("\xa0", " ")


def tables(document: Document, title: str) -> list[Table]:
    [section] = [section for section in document.sections if section.title == title]
    found = []
    for block in section.blocks:
        found += [block] if isinstance(block, Table) else list(block.tables) if isinstance(block, Tables) else []
    return found


def texts(table: Table) -> list[list[str]]:
    return [[cell.text.replace("\xa0", " ") for cell in row] for row in table.rows]


def verdicts(document: Document) -> list[dict[str, str]]:
    """The rows of the table of verdicts, by their heads."""
    table = tables(document, "The paper's claims")[0]
    return [dict(zip(table.header, row, strict=True)) for row in texts(table)]


def test_the_verdicts_stand_first(study: Path) -> None:
    document = read_document(study)
    assert [section.title for section in document.sections][:3] == [
        "In short",
        "The paper's claims",
        "Image classification",
    ]
    found = [(row["Claim"][:2], row["Verdict"], row["Comparisons"], row["Seeds"]) for row in verdicts(document)]
    assert found[:3] == [
        ("C1", "confirmed", "2 of 2 comparisons as predicted, 2 of them beyond chance", "n = 3 seeds"),
        ("C2", "confirmed", "4 of 4 comparisons as predicted, 4 of them beyond chance", "n = 3 seeds"),
        ("C3", "confirmed", "4 of 4 comparisons as predicted, 4 of them beyond chance", "n = 3 seeds"),
    ]
    assert [row[0] for row in found[3:]] == ["C4", "C5"]
    text = plain(document)
    short = text[text.index("## In short") : text.index("## The paper's claims")]
    assert [re.findall(rf"- (C{k} \w+): ", short) for k in (1, 2, 3)] == [[f"C{k} confirmed"] for k in (1, 2, 3)]
    assert re.search(r"- C4 \w+: .*\(n = 3 seeds\)\.", short)
    assert text.count("A comparison is a mean of differences that are paired by seed") == 1


def test_claims_without_anything_to_compare_share_a_line(demo: Path) -> None:
    text = plain(read_document(demo))
    assert "- C1 and C2 undecided: nothing to compare. Missing: records of kind clusters." in text
    assert "C4 undecided: The student loses more" in text
    assert "(n = 1 seed: no test)" in text


def test_every_comparison_links_to_its_records(study: Path) -> None:
    document = read_document(study)
    compared = tables(document, "The paper's claims")[1:]
    c4 = next(table for table in compared if table.caption.startswith("C4"))
    assert c4.header[-1].replace("\xa0", " ") == "95 % over items and seeds"
    mean = c4.rows[0][2]
    assert set(mean.records) == {f"student-{a}-{t}-{s}" for a in ("0", "0.1") for t in (1, 3) for s in SEEDS}
    assert all(row[2].records for table in compared for row in table.rows)
    known = set(document.anchors)
    assert all(set(row[2].records) <= known for table in compared for row in table.rows)


def test_signs_are_told_in_words(study: Path) -> None:
    found = {row[3] for table in tables(read_document(study), "The paper's claims")[1:] for row in texts(table)}
    assert "as predicted, beyond chance" in found
    assert "none predicted" in found


def test_the_same_study_gives_the_same_page(study: Path, tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        page, text = write_document(read_document(study), tmp_path / name)
        pages.append(page.read_bytes() + text.read_bytes())
    assert pages[0] == pages[1]


def test_clusters_have_tables_and_a_figure(study: Path) -> None:
    document = read_document(study)
    found = {table.caption: texts(table) for table in tables(document, "Clusters")}
    spread = found["Spread of the clusters (within / between), training set (ratio)"]
    assert [row[0] for row in spread] == ["teacher", "student, T = 1", "student, T = 3", "T 3 − T 1"]
    assert re.fullmatch(r"0\.\d{4} ± 0\.\d{4}", spread[0][1])
    assert float(spread[0][3].split(" ")[0].replace("−", "-")) == pytest.approx(-0.1, abs=0.002)
    assert "Distance within a class, validation set (ratio)" in found
    [picture] = [p for p in document.pictures() if p.name == "clusters-1"]
    assert [axes.get_ylabel() for axes in picture.figure.axes if axes.get_ylabel()] == ["ratio, train", "ratio, val"]
    drawn = picture.figure.axes[0].containers
    assert [float(drawn[k][0].get_ydata()[0]) for k in (0, 1)] == pytest.approx([0.4, 0.3], abs=0.002)
    assert "smaller spread" in picture.caption
    assert "0.4" in picture.alt


def test_random_sets_stand_in_the_cells_of_eta_and_in_the_sentence(study: Path) -> None:
    document = read_document(study)
    [table] = tables(document, "Diffusion index")
    assert texts(table)[0][3].split("\n")[1] == "random sets −1.50 to 3.00; p 0.012"
    text = plain(document)
    assert "Beyond the range of random sets of as many classes: η(S1) for 6 of 6 on train and 6 of 6 on val;" in text
    assert "η(S2) for 0 of 6 on train and 0 of 6 on val (pairs of target and seed)." in text


def test_old_indices_have_no_random_sets(demo: Path) -> None:
    assert "andom sets" not in plain(read_document(demo))


def test_how_far_it_moved_stands_beside_the_paper(study: Path) -> None:
    document = read_document(study)
    [table] = [t for t in tables(document, "Image classification") if t.caption.startswith("Change of")]
    rows = {row[0]: row[1:] for row in texts(table)}
    assert list(rows) == [
        "T 1 → 3, here",
        "T 1 → 3, ImageNet-1K, ResNet-18",
        "T 1 → 3, ImageNet-1K, ResNet-50",
        "T 1 → 3, CUB-200-2011, ResNet-18",
        "T 1 → 3, CUB-200-2011, ResNet-50",
        "T 1 → 3, CUB-200-2011, MobileNetV2",
    ]
    # 69.674 - 71.488 and 67.752 - 71.666; 80.785 - 80.169 and 78.196 - 80.946
    assert rows["T 1 → 3, ImageNet-1K, ResNet-18"] == ["−1.81", "−3.91", "−2.10"]
    assert rows["T 1 → 3, CUB-200-2011, ResNet-18"] == ["+0.62", "−2.75", "−3.37"]
    assert rows["T 1 → 3, CUB-200-2011, MobileNetV2"] == ["+0.11", "−2.77", "−2.88"]
    c4 = next(t for t in tables(document, "The paper's claims") if t.caption.startswith("C4"))
    assert rows["T 1 → 3, here"][2] == texts(c4)[0][2]


def test_the_papers_tables_are_whole(study: Path) -> None:
    """Every column of its tables, and what its slides say otherwise."""
    imagenet, cub, mobilenet, eta = tables(read_document(study), "What the paper reports")
    assert imagenet.header[1:] == [f"ResNet-{depth}, α {alpha}" for depth in (18, 50) for alpha in ("0", "0.1")]
    assert cub.header == imagenet.header
    assert mobilenet.header[1:] == ["MobileNetV2, α 0", "MobileNetV2, α 0.1"]
    assert texts(mobilenet)[-1][1:] == ["75.441 / 94.702", "70.435 / 93.494"]
    assert "slides print an earlier run" in imagenet.note
    assert len(eta.rows) == 10
    assert texts(eta)[-1] == ["king snake", "−2.474", "0.521", "−4.577", "0.840"]


def test_a_whole_design_is_no_matter_and_a_missing_cell_is_told(
    study: Path, sample: ModuleType, tmp_path: Path
) -> None:
    assert "missing of the study's design" not in plain(read_document(study))
    gone = {"student-0.1-3-2", "student-0.1-3-3", "teacher-0-1"}
    other = tmp_path / "other"
    sample.write_records(other, [r for r in study_records(sample) if r.name not in gone])
    (other / "study.json").write_text(json.dumps({"design": DESIGN | {"seeds": [1, 2, 3]}}))
    text = plain(read_document(other))
    assert (
        "fashion-mnist, teacher resnet18, student cnn: missing of the study's design: teacher, α 0, seed 1; "
        "student, α 0.1, T 3, seeds 2 and 3."
    ) in text


def test_a_temperature_of_the_design_that_nobody_ran_leaves_c4_undecided(study: Path) -> None:
    (study / "study.json").write_text(json.dumps({"design": DESIGN | {"temperatures": [1, 3, 64]}}))
    c4 = verdicts(read_document(study))[3]
    assert c4["Verdict"] == "undecided"
    assert "Missing: (T 64 − T 1)" in c4["Remarks"]


def test_a_seed_of_the_design_that_nobody_ran_leaves_every_claim_undecided(study: Path) -> None:
    (study / "study.json").write_text(json.dumps({"design": DESIGN | {"seeds": [1, 2, 3, 4]}}))
    document = read_document(study)
    rows = verdicts(document)
    assert [row["Verdict"] for row in rows] == ["undecided"] * 5
    assert rows[2]["Remarks"].startswith("Missing: η(S1), T 1 → 3, train: 3 of 4 seeds; ")
    assert (
        "clusters of student, α 0.1, T 1 and 3, seed 4; diffusion index of student, α 0, T 1 → 3, seed 4; "
        "diffusion index of student, α 0.1, T 1 → 3, seed 4."
    ) in plain(document)


@pytest.mark.parametrize(
    "design", [{"alphas": [0]}, {**DESIGN, "seeds": ["1"]}, {**DESIGN, "seeds": [1, 2, 1]}, {**DESIGN, "data": "x"}, []]
)
def test_a_bad_design_is_refused(study: Path, capsys: pytest.CaptureFixture[str], design: object) -> None:
    (study / "study.json").write_text(json.dumps({"design": design}))
    with pytest.raises(SystemExit):
        main([str(study)])
    error = capsys.readouterr().err
    assert "study.json: want" in error
    assert error.count("\n") == 1


def test_costs_are_summed_by_kind(study: Path) -> None:
    costs = tables(read_document(study), "Where every number comes from")[-1]
    # 18 models, 18 clusters and 6 diffusion records of 61.4 s and 1 GiB each
    assert texts(costs) == [
        ["model", "18", "0.31", "1.00 GiB"],
        ["diffusion", "6", "0.10", "1.00 GiB"],
        ["clusters", "18", "0.31", "1.00 GiB"],
        ["all", "42", "0.72", "1.00 GiB"],
    ]


def test_a_title_given_keeps_the_design(study: Path) -> None:
    (study / "study.json").write_text(json.dumps({"design": DESIGN | {"seeds": [1, 2, 3, 4]}}))
    document = read_document(study, title="mine")
    assert document.title == "mine"
    assert "teacher, α 0, seed 4" in plain(document)
