"""Characters at which some tool ends a line, reorders, hides or drops text, and a corpus builder without fairseq."""

from pathlib import Path
from typing import Any

from nmt_plugin.corpora import databin

# Where str.splitlines ends a line; most other tools do so at a line feed alone.
ENDS = {
    "carriage return": "\r",
    "vertical tab": "\x0b",
    "form feed": "\x0c",
    "file separator": "\x1c",
    "group separator": "\x1d",
    "record separator": "\x1e",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
}
INVISIBLE = {
    "unit separator": "\x1f",
    "escape": "\x1b[31m",
    "bell": "\x07",
    "delete": "\x7f",
    "right-to-left mark": "\u200f",
    "left-to-right mark": "\u200e",
    "right-to-left override": "\u202e",
    "embedding": "\u202b",
    "isolate": "\u2066",
    "end of isolate": "\u2069",
    "zero-width space": "\u200b",
    "word joiner": "\u2060",
    "zero-width joiner": "\u200d",
    "zero-width non-joiner": "\u200c",
    "byte order mark inside": "\ufeff",
    "soft hyphen": "\u00ad",
    "tag": "\U000e0041",
    "arabic number sign": "\u0600",
}
BLANKS = {"tab": "\t", "no-break space": "\u00a0", "ideographic space": "\u3000", "SentencePiece's blank": "\u2581"}
VISIBLE = {
    "SentencePiece's unknown": "\u2585",
    "replacement character": "\ufffd",
    "non-character": "\uffff",
    "private": "\ue000",
    "beyond the plane": "\U0001f600",
    "hangul filler": "\u3164",
    "stacked marks": "a" + "\u0301\u0323" * 40,
    "fairseq's padding": "<pad>",
    "fairseq's end": "</s>",
    "fairseq's flag": "#fairseq:overwrite",
}
ALL = ENDS | INVISIBLE | BLANKS | VISIBLE


def without_fairseq(pieces: Path, output: Path, *languages: str, **_: Any) -> None:
    """Stands for `databin.preprocess`, which takes seconds; it looks at the text as the real one does first."""
    databin._check_lines(pieces, (languages[0], languages[1]))
    output.mkdir()
    for language in languages:
        (output / f"dict.{language}.txt").write_text("a 1\n")


def lines_of(path: Path) -> list[str]:
    """Lines of a file that every tool cuts into the same ones."""
    text = path.read_bytes().decode()
    found = text.split("\n")[:-1]
    assert text.splitlines() == found
    assert path.read_text(encoding="utf-8").split("\n")[:-1] == found  # with universal line ends, as fairseq reads
    return found
