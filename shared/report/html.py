"""A document as one self-contained HTML page: inline style, figures as data URIs, no script, nothing fetched."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import jinja2

from shared.report.document import Document, Picture
from shared.report.text import moment

_HERE = Path(__file__).parent


def to_html(document: Document) -> str:
    """The page. Every text of the records is escaped by the template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["moment"] = moment
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    pictures = {picture.name: _data_uri(picture) for picture in document.pictures()}
    return environment.get_template("page.html").render(document=document, style=style, pictures=pictures)


def _data_uri(picture: Picture) -> str:
    """SVG, sharp on paper and phone alike; without its date and with a fixed salt, so that it is reproducible."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": picture.name}):
        picture.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
