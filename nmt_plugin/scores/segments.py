"""Segments: the lines of a text file that is scored, read in the way of the `sacrebleu` command."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from nmt_plugin.corpora.corpus import Corpus
from shared.errors import UserError
from shared.files import sha256

# TER tries out shifts of words: lines of 300 take seconds, of 1,000 half a minute, of a megabyte for ever.
MAX_WORDS = 2000


@dataclass(frozen=True)
class Segments:
    """One file of hypotheses or references: where it is, its lines, and the digest of its bytes."""

    path: Path
    lines: list[str]
    sha256: str


def read_segments(path: Path) -> Segments:
    """The lines of a UTF-8 file. Only a line feed ends a line: other separators may stand inside one.

    Raises UserError where there is no such file, where it is empty, where it starts with a byte order mark (sacreBLEU
    would take it for a part of the first word), and where a line, which is named, is not UTF-8, holds a NUL or has
    more than `MAX_WORDS` words.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a text file with one sentence per line")
    content = path.read_bytes()
    if not content:
        raise UserError(f"{path} is empty; it needs one sentence per line")
    if content.startswith(codecs.BOM_UTF8):
        raise UserError(f"{path}, line 1: starts with a byte order mark; remove it (sed -i '1s/^\\xef\\xbb\\xbf//')")
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
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x}, the {error.start + 1}. of the line); "
            "convert the file to UTF-8"
        ) from None
    if "\0" in text:
        raise UserError(f"{path}, line {number}: holds a NUL; convert the file if it is UTF-16 (iconv -t UTF-8)")
    if (words := len(text.split())) > MAX_WORDS:
        raise UserError(f"{path}, line {number}: has {words:,} words; give one sentence per line")
    return text
