"""What a report is made of. Tables and words are built once here, then written as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Cell:
    """One table cell; a line after the first is a remark in small.

    `records` names the records that its number comes from, `title` holds it in full precision.
    """

    text: str
    records: tuple[str, ...] = ()
    title: str = ""
    code: bool = False


@dataclass(frozen=True)
class Paragraph:
    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Heading:
    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Bullets:
    """Pairs of a bold lead and the sentences below it."""

    items: Sequence[tuple[str, Sequence[str]]]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Caution:
    """Something the reader must know before trusting a comparison."""

    text: str
    kind: ClassVar[str] = "caution"


@dataclass(frozen=True)
class Table:
    """`rows` of cells under `header`; the first cell of a row is its head. `anchors` gives rows an address."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    anchors: Sequence[str] = ()
    numeric: bool = True
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Tables:
    """Small tables that stand side by side where there is room; with a name in `folded`, behind it until opened."""

    tables: Sequence[Table]
    folded: str = ""
    kind: ClassVar[str] = "tables"


@dataclass(frozen=True)
class Picture:
    """`name` becomes the file's stem, `caption` says what to see, `alt` what is drawn; `wide` uses the page."""

    name: str
    caption: str
    alt: str
    figure: Figure
    wide: bool = False
    kind: ClassVar[str] = "picture"


Block = Paragraph | Heading | Bullets | Caution | Table | Tables | Picture


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report. `notes` stand under the title; `anchors` maps the name of a record to its address."""

    title: str
    date: str
    lead: str
    notes: Sequence[str] = ()
    sections: Sequence[Section] = ()
    anchors: Mapping[str, str] = field(default_factory=dict)

    def pictures(self) -> list[Picture]:
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]
