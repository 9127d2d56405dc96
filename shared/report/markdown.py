"""A document as Markdown, its figures as PNG files in a folder beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.report.document import Block, Bullets, Caution, Cell, Document, Heading, Paragraph, Picture, Table, Tables
from shared.report.text import moment

FIGURES = "report_figures"
# What CommonMark, GitHub's tables and mathematics, or embedded HTML could read as more than a letter. Parentheses and
# `!` mean nothing beside an escaped bracket; `_` opens nothing within a word, so that `fashion_mnist` stays as it is.
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|<(?! )|&(?=[#A-Za-z])|(?<=\s)#(?=#*$)")
# What begins a block where a line begins with it.
_BLOCK = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=[#>]|[-+](?:[-\s]|$)))(.)")


def to_markdown(document: Document) -> str:
    """The page; figures are referred to as `report_figures/NAME.png`."""
    lines = [f"# {escape(document.title)}", "", f"Latest record finished {escape(moment(document.date))}.", ""]
    for note in document.notes:
        lines += [f"> {escape(note)}", ""]
    lines += [escape(document.lead), ""]
    for section in document.sections:
        lines += [f"## {escape(section.title)}", ""]
        for block in section.blocks:
            lines += [*_lines(block, document), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def escape(text: str) -> str:
    """`text` as literal Markdown on one line, also where a line begins with it."""
    return _BLOCK.sub(r"\1\\\2", _inline(text))


def _inline(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", re.sub(r"[\r\n]+", " ", text).strip())


def _lines(block: Block, document: Document) -> list[str]:
    if isinstance(block, Heading):
        return [f"### {escape(block.text)}"]
    if isinstance(block, Bullets):
        return [line for item in block.items for line in _bullet(*item)]
    if isinstance(block, Caution):
        return [f"> **Caution.** {escape(block.text)}"]
    if isinstance(block, Picture):
        return [f"![{escape(block.alt)}]({FIGURES}/{block.name}.png)", "", f"*{escape(block.caption)}*"]
    if isinstance(block, Tables):
        lines = [line for table in block.tables for line in (*_table(table, document), "")]
        if block.folded:
            return ["<details>", f"<summary>{escape(block.folded)}</summary>", "", *lines, "</details>"]
        return lines
    if isinstance(block, Table):
        return _table(block, document)
    assert isinstance(block, Paragraph)
    return [escape(block.text)]


def _bullet(lead: str, sentences: Sequence[str]) -> list[str]:
    return [f"- **{escape(lead)}**", *(f"  - {escape(sentence)}" for sentence in sentences)]


def _table(table: Table, document: Document) -> list[str]:
    rule = ["---", *(("---:" if table.numeric else "---") for _ in table.header[1:])]
    lines = [f"**{escape(table.caption)}**", "", _row([escape(h) for h in table.header]), _row(rule)]
    for index, row in enumerate(table.rows):
        cells = [_cell(cell, document) for cell in row]
        if table.anchors:
            cells[0] = f'<a id="{table.anchors[index]}"></a>{cells[0]}'
        lines.append(_row(cells))
    return [*lines, "", escape(table.note)] if table.note else lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, document: Document) -> str:
    text, *remarks = (_inline(line) for line in cell.text.split("\n"))
    if cell.records:
        first, *more = (document.anchors[name] for name in cell.records)
        text = f"[{text}](#{first})" + "".join(f" [{k}](#{address})" for k, address in enumerate(more, start=2))
    return "<br>".join([text, *remarks])
