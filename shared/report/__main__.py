"""`python -m shared.report FOLDER`: every result.json below FOLDER to report.md and one self-contained report.html."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import UserError, exit_on_user_error
from shared.files import atomic_path, write_text
from shared.locks import alone_in
from shared.results import read_results_by_path

if TYPE_CHECKING:
    from shared.report.document import Document


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the report, print its heart and where it is."""
    options = _parser().parse_args(arguments)
    with exit_on_user_error():
        _refuse_page(options.output)
        document = read_document(options.folder, title=options.title, note=options.note)
        output = options.output or options.folder
        with alone_in(output):
            page, plain = write_document(document, output)
    from shared.report.terminal import to_text

    print(f"{to_text(document)}\nreport: {plain}\nreport: {page}")


def read_document(folder: Path, *, title: str | None = None, note: str | None = None) -> Document:
    """The report of every record below `folder`. `title` and `note` override those of `folder/study.json`.

    Raises UserError for a folder without readable results, or where matplotlib is missing.
    """
    records = read_results_by_path(folder)
    _check_drawing()
    from shared.report.build import build_document, read_study

    found = read_study(folder)
    return build_document(records, folder, replace(found, title=title or found.title, note=note or found.note))


def write_document(document: Document, output: Path) -> tuple[Path, Path]:
    """Write `report.html`, `report.md` and its figures into `output`; return the paths of the two pages.

    Raises UserError for an output that cannot be written.
    """
    from shared.report.html import to_html
    from shared.report.markdown import FIGURES, to_markdown

    page, plain = output / "report.html", output / "report.md"
    try:
        for picture in document.pictures():
            with atomic_path(output / FIGURES / f"{picture.name}.png") as beside:
                picture.figure.savefig(beside, format="png", dpi=160, metadata={"Software": None})
        write_text(plain, to_markdown(document))
        write_text(page, to_html(document))
    except OSError as error:
        raise UserError(f"{output}: cannot write the report there ({error.strerror})") from None
    return page, plain


def _refuse_page(output: Path | None) -> None:
    """Raise UserError for an `output` that means a page: it would become a folder of that name."""
    if output is not None and output.suffix.lower() in (".md", ".html"):
        raise UserError(f"--output {output} is to be a folder; name one, for its report.md and report.html")


def _check_drawing() -> None:
    for package in ("matplotlib", "jinja2"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"the report needs {package}; install it with: pip install 'lskd[nmt]' or 'lskd[vision]'")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.report", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of a study; subfolders are searched")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write the report (default: FOLDER)")
    parser.add_argument("--title", help="the report's title (default: that of FOLDER/study.json)")
    parser.add_argument("--note", help="what the reader should know first (default: that of FOLDER/study.json)")
    return parser


if __name__ == "__main__":
    main()
