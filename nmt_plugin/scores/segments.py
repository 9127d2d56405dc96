"""Segments: the lines of a text file that is scored, read in the way of the `sacrebleu` command."""

from dataclasses import dataclass
from pathlib import Path

from nmt_plugin.corpora.corpus import Corpus
from shared.errors import UserError
from shared.files import sha256


@dataclass(frozen=True)
class Segments:
    """One file of hypotheses or references: where it is, its lines, and the digest of its bytes."""

    path: Path
    lines: list[str]
    sha256: str


def read_segments(path: Path) -> Segments:
    """The lines of a UTF-8 file. Only a line feed ends a line: other separators may stand inside one.

    Raises UserError where there is no such file, where it is empty, or where a line is not UTF-8 (it is named).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a text file with one sentence per line")
    content = path.read_bytes()
    if not content:
        raise UserError(f"{path} is empty; it needs one sentence per line")
    lines = [_decoded(line, path, number) for number, line in enumerate(_split(content), start=1)]
    return Segments(path, lines, sha256(path))


def corpus_references(corpus: Corpus, subset: str) -> Segments:
    """The references of a corpus's split. Raises UserError where they changed since the corpus was built."""
    name = f"raw/{subset}.{corpus.target_language}"
    lines = corpus.raw_text(subset, corpus.target_language)
    return Segments(corpus.folder / name, lines, corpus.sha256[name])


def check_parallel(hypotheses: Segments, references: Segments) -> None:
    """Raise UserError, with both counts, unless there is one reference for each hypothesis."""
    ours, theirs = len(hypotheses.lines), len(references.lines)
    if ours != theirs:
        raise UserError(
            f"{hypotheses.path} has {ours} lines, but the references {references.path} have {theirs}; "
            "they must be line by line the same sentences"
        )


def _split(content: bytes) -> list[bytes]:
    return content.removesuffix(b"\n").split(b"\n")


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x}, the {error.start + 1}. of the line); "
            "convert the file to UTF-8"
        ) from None
