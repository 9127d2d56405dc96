"""The whole report, read back from its two pages."""

# ruff: noqa: RUF001  # expected text is written as the reader sees it, with its Greek letters and minus signs

import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.report.__main__ import main, read_document, write_document
from shared.report.document import Cell, Document, Section, Table
from shared.report.html import to_html
from shared.report.markdown import to_markdown


class Page(HTMLParser):
    """Tags, attributes, tables and visible text of a page, by the standard library's own parser."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._caption: str | None = None
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag == "table":
            self.tables[" ".join((self._caption or "").split())] = self._rows

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if "caption" in self._open:
            self._caption = (self._caption or "") + data
        elif "small" not in self._open and "sup" not in self._open and {"td", "th"} & set(self._open):
            self._rows[-1][-1] += data.replace("\xa0", " ").strip()


def read(folder: Path, **options: Any) -> tuple[Page, str, str]:
    page, plain = write_document(read_document(folder, **options), folder)
    html = page.read_text(encoding="utf-8")
    return Page(html), html, plain.read_text(encoding="utf-8")


def test_numbers_are_those_of_the_records(demo: Path) -> None:
    page, _, markdown = read(demo)
    assert page.tables["Top-1 accuracy, test set, last epoch (%)"] == [
        ["", "α = 0", "α = 0.1", "α = 0.1 − 0"],
        ["teacher", "91.02", "91.37", "+0.35"],
        ["student, T = 1", "90.41", "90.88", "+0.47"],
        ["student, T = 3", "90.13", "89.24", "−0.89"],
        ["T 3 − T 1", "−0.28", "−1.64", ""],
    ]
    assert page.tables["Top-1 accuracy, test set, best epoch on validation (%)"][2][1:3] == ["90.66", "91.13"]
    assert page.tables["BLEU, test set"][1:] == [
        ["teacher", "14.73"],
        ["student, T = 1", "13.06"],
        ["student, T = 3", "11.95"],
        ["T 3 − T 1", "−1.11"],
    ]
    assert page.tables["chrF, test set"][1] == ["teacher", "34.86"]
    for number in ("91.02", "89.24", "14.73", "34.86"):
        assert f"[{number}](#record-" in markdown


def test_eta_is_in_percent_with_its_sign_check(demo: Path) -> None:
    page, _, _ = read(demo)
    table = page.tables["Diffusion index η (%)"]
    assert table[0] == ["Target and set", "α = 0, train", "α = 0, val", "α = 0.1, train", "α = 0.1, val"]
    assert ["pullover, S1 (similar)", "1.26", "1.01", "−4.21 ✓", "−3.37 ✓"] in table
    assert ["shirt, S1 (similar)", "−0.15", "−0.12", "0.51 ✕", "0.41 ✕"] in table
    text = " ".join(page.text.split())
    assert "hold together for 2 of 3 targets on train and 2 of 3 targets on val" in text
    assert "distances normalized by mean_pairwise; sets chosen by: explicit" in text
    assert "coat, shirt" in text


def test_summary_states_the_change_and_that_one_seed_has_no_interval(demo: Path) -> None:
    page, _, _ = read(demo)
    text = " ".join(page.text.split())
    assert "changed BLEU from 13.06 to 11.95 (−1.11) with the LS teacher (α = 0.1)" in text
    assert "The change with α = 0.1 minus that with α = 0 is −1.36 points" in text
    assert "n = 1 seed: there is no interval" in text
    assert "significant" not in text


def test_signatures_and_counts_stand_under_the_scores(demo: Path, sample: ModuleType) -> None:
    page, _, _ = read(demo)
    text = " ".join(page.text.split())
    assert "2,004 sentences" in text
    assert f"Signature: {sample.SIGNATURE}." in text
    assert "10,000 images" in text


def test_every_number_links_to_its_record(demo: Path) -> None:
    page, html, markdown = read(demo)
    ids = {attrs["id"] for _, attrs in page.tags if attrs.get("id")}
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    assert all(link and link.startswith("#") and link[1:] in ids for link in links)
    row = re.search(r'<tr id="([^"]+)"><th scope="row">nmt/student-T3<', html)
    assert row is not None
    assert re.search(rf'<a href="#{row[1]}"[^>]*title="11.948"[^>]*>11.95</a>', html)
    for name in re.findall(r"\]\(#(record-\d+)\)", markdown):
        assert f'<a id="{name}"></a>' in markdown


def test_a_difference_links_to_the_records_of_both_sides(demo: Path) -> None:
    _, html, _ = read(demo)
    rows = dict(re.findall(r'<tr id="(record-\d+)"><th scope="row">([^<]+)<', html))
    cell = re.search(r"<td>((?:(?!<td>).)*>−0\.89</a>(?:(?!<td>).)*)</td>", html, re.DOTALL)
    assert cell is not None
    linked = [rows[name] for name in re.findall(r'href="#(record-\d+)"', cell[1])]
    assert linked == ["vision/student-a0.1-T3", "vision/student-a0.0-T3"]


def test_many_records_of_a_number_are_behind_a_fold() -> None:
    """The numbers of 20 links would be wider than the number that they are of."""
    names = tuple("abcdefgh")
    table = Table("caption", ["", ""], [[Cell("x"), Cell("1.0", names[:5])], [Cell("y"), Cell("2.0", names)]])
    anchors = {name: name.upper() for name in names}
    html = to_html(Document("title", "2025-03-01T10:00:00Z", "lead", sections=[Section("s", [table])], anchors=anchors))
    few, many = html.partition("2.0</a>")[::2]
    assert few.count("<sup>") == 4
    fold = many.partition("</details>")[0]
    assert "<summary>8 runs</summary>" in fold
    assert [f'href="#{name.upper()}"' in fold for name in names] == [True] * 8


def test_every_kind_of_cell_has_its_remarks_on_lines_of_their_own() -> None:
    """A line after the first is a remark in small; a command is one text whatever it holds."""
    cells = [
        Cell("1.0\nlinked", ("a", "b"), title="full"),
        Cell("2.0\ntitled\ntwice", title="full"),
        Cell("3.0\nbare"),
        Cell("printf 'a\nb'", code=True),
    ]
    table = Table("caption", ["", "", "", ""], [cells])
    document = Document(
        "title", "2025-03-01T10:00:00Z", "lead", sections=[Section("s", [table])], anchors={"a": "A", "b": "B"}
    )
    html = to_html(document)
    assert (
        '<a href="#A" title="full">1.0</a><sup> <a href="#B" title="b">2</a></sup><br><small>linked</small></th>'
        in html
    )
    assert '<span title="full">2.0</span><br><small>titled</small><br><small>twice</small></td>' in html
    assert "<td>3.0<br><small>bare</small></td>" in html
    assert "<code>printf &#39;a\nb&#39;</code>" in html
    assert "| [1.0](#A) [2](#B)<br>linked | 2.0<br>titled<br>twice | 3.0<br>bare |" in to_markdown(document)


def test_provenance_holds_what_traces_a_number(demo: Path, sample: ModuleType) -> None:
    page, _, _ = read(demo)
    table = page.tables["Records"]
    assert len(table) == 1 + len(sample.demo_records())
    row = next(row for row in table if row[0].startswith("nmt/student-T3"))
    path = f"{sample.digest('nmt/student-T3')[:8]}/result.json"
    assert path in page.text
    of = sample.teacher(0.1, arch="transformer", max_epoch=6)
    assert row[3] == f"α = 0.1, {of.sha256[:12]}"
    assert row[4] == "1 min 01 s, 1.00 GiB, cpu"
    assert row[5] == f"{sample.COMMIT[:12]}, software A"
    assert row[6] == "python -m vision.train name=nmt/student-T3 'note=two words'"
    assert page.tables["Software"][1] == ["A", "numpy 2.3.0, python 3.11.2, torch 2.14.1"]


def test_html_is_self_contained(demo: Path) -> None:
    page, html, markdown = read(demo)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    sources = [attrs["src"] for _, attrs in page.tags if "src" in attrs]
    assert len(sources) == 4  # two score figures, the indices, the projection
    assert all(source and source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert "url(" not in html
    assert "@import" not in html
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    for name in re.findall(r"\]\((report_figures/[^)]+)\)", markdown):
        assert (demo / name).read_bytes().startswith(b"\x89PNG")


def test_the_same_records_give_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    def written(folder: Path) -> dict[str, bytes]:
        write_document(read_document(demo), folder)
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert written(tmp_path / "a") == written(tmp_path / "b")


def test_hostile_names_stay_text(sample: ModuleType, tmp_path: Path) -> None:
    evil = '<img src=x onerror="alert(1)">|`$x_1$`[a](http://example.org)'
    of = sample.teacher(0.1)
    values = {("train", evil, "S1"): -0.01, ("train", evil, "S2"): 0.02}
    records = [
        sample.model_record(f"t{evil}", of, sample.image_metrics(90.0), command=["python", evil], device=evil),
        sample.diffusion_record("eta", of, values),
        sample.projection_record("p", (evil, "_hidden", "$\\frac$")),
    ]
    sample.write_records(tmp_path, records)
    page, html, markdown = read(tmp_path, title=evil, note="</style><script>alert(1)</script>")
    assert "<img src=x" not in html
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert evil in page.text
    assert "<img" not in markdown.replace("\\<img", "")
    assert "](http" not in markdown.replace("\\](http", "")
    table_rows = [line for line in markdown.splitlines() if line.startswith("| ") and "eta" in line]
    assert table_rows
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in table_rows if "python" in line)


def test_title_and_note_come_from_study_json_unless_given(demo: Path) -> None:
    (demo / "study.json").write_text(json.dumps({"title": "Quick demo", "note": "fewer epochs, weaker numbers"}))
    _, html, markdown = read(demo)
    assert "<h1>Quick demo</h1>" in html
    assert "fewer epochs, weaker numbers" in html
    assert markdown.startswith("# Quick demo\n")
    _, html, _ = read(demo, title="Mine", note="other")
    assert "<h1>Mine</h1>" in html
    assert "fewer epochs" not in html


def test_the_date_is_that_of_the_latest_record(sample: ModuleType, tmp_path: Path) -> None:
    moments = ["2025-03-02T08:05:00Z", "2025-02-28T10:00:00Z"]
    records = [
        sample.model_record(f"r{i}", sample.teacher(0.1, seed=i), sample.image_metrics(90.0), finished=moment)
        for i, moment in enumerate(moments)
    ]
    page, _, _ = read(sample.write_records(tmp_path, records))
    assert "2 March 2025, 08:05 UTC" in page.text


def test_the_command_prints_the_headline_tables_and_both_pages(demo: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shared.report", str(demo), "--output", str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    *text, plain, page = run.stdout.splitlines()
    assert plain == f"report: {tmp_path / 'out' / 'report.md'}"
    assert page == f"report: {tmp_path / 'out' / 'report.html'}"
    bleu = next(line for line in text if line.strip().startswith("BLEU"))
    teacher = next(line for line in text[text.index(bleu) :] if line.strip().startswith("teacher"))
    assert teacher.split() == ["teacher", "14.73"]
    assert not (demo / "report.html").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "holds no result.json"),
        (lambda folder: (folder / "result.json").write_text("{"), "not a result.json"),
        (lambda folder: folder.rmdir(), "not a folder"),
    ],
)
def test_bad_folders_give_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, message: str
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    make(folder)
    with pytest.raises(SystemExit) as caught:
        main([str(folder)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("text", ["[]", '{"titel": "x"}', '{"title": 3}', "{"])
def test_a_bad_study_json_is_refused(demo: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (demo / "study.json").write_text(text)
    with pytest.raises(SystemExit) as caught:
        main([str(demo)])
    assert caught.value.code == 2
    assert "study.json: want" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as caught:
        main([str(demo), "--output", str(tmp_path / "file")])
    assert caught.value.code == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["report.md", "study.HTML"])
def test_an_output_that_means_a_page_is_refused(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(demo), "--output", str(tmp_path / "new" / name)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: --output {tmp_path / 'new' / name} is to be a folder; ")
    assert not (tmp_path / "new").exists()


def test_missing_matplotlib_names_the_extra(
    demo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name))
    with pytest.raises(SystemExit) as caught:
        main([str(demo)])
    assert caught.value.code == 2
    assert "install it with: pip install 'lskd[nmt]' or 'lskd[vision]'" in capsys.readouterr().err


def test_import_needs_no_matplotlib() -> None:
    script = (
        "import sys; import shared.results, shared.report, shared.report.projection_figure, shared.report.__main__; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
