"""The heart of a document as plain text: what is in short, and the first table of every group."""

from __future__ import annotations

from shared.errors import one_line
from shared.report.document import Bullets, Document, Heading, Table, Tables

_SHOWN = (
    *("In short", "The paper's claims", "Translation", "Image classification", "KD and DIST", "Several teachers"),
    *("Clusters", "Diffusion index"),
)


def to_text(document: Document) -> str:
    """Notes, summary and headline tables for a terminal; the page has the rest."""
    lines = [document.title, *(f"Note: {note}" for note in document.notes)]
    for section in document.sections:
        if section.title not in _SHOWN:
            continue
        lines += ["", section.title.upper()]
        wanted = True  # the first table under each heading is its headline
        for block in section.blocks:
            if isinstance(block, Bullets):
                lines += [line for lead, sentences in block.items for line in (lead, *(f"  {s}" for s in sentences))]
            elif isinstance(block, Heading):
                lines, wanted = [*lines, block.text], True
            elif isinstance(block, Table | Tables) and wanted:
                lines += _table(block.tables[0] if isinstance(block, Tables) else block)
                wanted = False
    lines = [one_line(line.replace("\N{NO-BREAK SPACE}", " ")) for line in lines]  # to be searched and copied
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    rows = [list(table.header), *([cell.text.replace("\n", ", ") for cell in row] for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        head, *others = (
            text.ljust(width) if column == 0 or not table.numeric else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([head, *others]).rstrip())
    return [f"  {line}" for line in [table.caption, *lines, table.note] if line]
