"""Names in a report: none becomes markup, whatever a record says."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from shared.report.__main__ import read_document, write_document
from shared.report.terminal import to_text
from shared.results import Result
from tests.hostile.names import MARKUP, NAMES
from tests.shared import conftest as records

pytestmark = pytest.mark.usefixtures("bounded")
HARMLESS = "plain"


class Tags(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[Any] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, sorted(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")

    def handle_data(self, data: str) -> None:
        self.text += data


def study(folder: Path, text: str) -> Path:
    """A folder of records in which every text that a person or a program chose is `text`, with a word of its own."""
    projection = records.projection_record("0" + text, tuple(f"{text} {k}" for k in "abc"))
    made: list[Result] = [dataclasses.replace(projection, panels=projection.panels[:1], models=projection.models[:1])]
    of = records.teacher(0.1, arch=text)
    provenance = records.provenance("x", command=[text], device=text, versions={text: text}, finished=text)
    data = dataclasses.replace(records.FASHION, name=text, sha256={text: "ab"})
    student = records.student(of, 1.0, arch=f"{text}!")
    for name, model, teacher in (("1" + text, of, None), ("2" + text, student, of)):
        made.append(
            dataclasses.replace(
                records.model_record(name, model, records.image_metrics(90.0), teacher, data),
                provenance=provenance,
                notes=[text],
            )
        )
    eta = records.diffusion_record("3" + text, of, {("train", f"{text} a", "S1"): 0.1}, normalization=text)
    made.append(eta)
    records.write_records(folder, made)
    (folder / "study.json").write_text(json.dumps({"title": text, "note": text}))
    return folder


def pages(folder: Path, text: str) -> tuple[Tags, str, str]:
    document = read_document(study(folder, text))
    html, markdown = write_document(document, folder)
    return Tags(html.read_text(encoding="utf-8")), markdown.read_text(encoding="utf-8"), to_text(document)


def marks(markdown: str) -> list[str]:
    """What CommonMark reads as HTML: tags whose `<` no backslash disarms."""
    return re.findall(r"(?<!\\)(?:\\\\)*<([a-zA-Z/!?][a-zA-Z0-9]*)", markdown)


def lines_that_open(markdown: str) -> list[str]:
    """The beginnings of lines that make headings, lists, tables, quotes, fences and rules."""
    return [
        match[0]
        for line in markdown.splitlines()
        if (match := re.match(r"\s*(#+ |[-*+] |\||>|```|~~~|---|\d+\. )", line))
    ]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tags, str, str]:
    return pages(tmp_path_factory.mktemp("harmless"), HARMLESS)


CASES = {
    "in one line": [text for text in MARKUP.values() if "\n" not in text],
    "over several lines": [text for text in MARKUP.values() if "\n" in text],
    "in every script": [NAMES[kind] for kind in ("emoji", "combining marks", "Chinese", "right to left", "200 bytes")],
}


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("kind", CASES)
def test_no_name_is_markup(kind: str, harmless: tuple[Tags, str, str], tmp_path: Path) -> None:
    """The page has the same tags, and the Markdown the same blocks, as with harmless names; the text is all there.

    What follows a line end in a cell is a remark there, after <br> and in <small>.
    """
    page, markdown, shown = pages(tmp_path, " ".join(CASES[kind]))
    assert without_remarks(page.tags) == without_remarks(harmless[0].tags)
    assert without_remarks(marks(markdown)) == without_remarks(marks(harmless[1]))
    assert lines_that_open(markdown) == lines_that_open(harmless[1])
    assert len(shown.splitlines()) == len(harmless[2].splitlines())
    text = " ".join(page.text.split())
    assert all(" ".join(name.split()) in text for name in CASES[kind])


def without_remarks(tags: list[Any]) -> list[Any]:
    return [tag for tag in tags if tag not in ("br", "small", "/small", ("br", []), ("small", []))]


def test_no_name_commands_a_terminal(tmp_path: Path) -> None:
    _, _, shown = pages(tmp_path, "\x1b[2J\x1b]0;title\x07 a\rb\x00 \x9b2J \x08\x08\x7f \u2028 \x85")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", shown)
    assert "\\x1b[2J" in shown
