"""Hostile text into evaluate and compare: refused by file and line, or scored sentence by sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt_plugin import compare, evaluate
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.scores.segments import MAX_WORDS
from shared.errors import UserError
from shared.files import sha256
from tests.hostile.hostile_text import ALL, ENDS, INVISIBLE
from tests.hostile.outcomes import error_line

COUNT = 12
SENTENCES = [f"this is sentence {number} of the whole text" for number in range(COUNT)]
Run = Callable[[Path, Path], None]


def evaluated(hypotheses: Path, references: Path) -> None:
    output = hypotheses.parent / "scores"
    evaluate.main(["--hypotheses", str(hypotheses), "--references", str(references), "--output", str(output)])


def compared(hypotheses: Path, references: Path) -> None:
    other = hypotheses.parent / "other"
    other.write_text("".join(f"{line} more\n" for line in SENTENCES))
    files = ["--baseline", str(other), "--systems", str(hypotheses), "--references", str(references)]
    compare.main([*files, "--samples", "20", "--output", str(hypotheses.parent / "compared.json")])


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


DAMAGED = {
    "NUL": (b"a\0b", "holds a NUL"),
    "a byte of Latin-1": (b"sch\xf6n", "not UTF-8 (byte 0xf6, the 4. of the line)"),
    "overlong": (b"a\xc0\xafb", "not UTF-8"),
    "surrogate": (b"a\xed\xa0\x80b", "not UTF-8"),
    "cut in the middle": (b"a\xe2\x82", "not UTF-8"),
    "a megabyte of words": (b"x " * 500_000, "has 500,000 words"),
    "a few words too many": (b"x " * (MAX_WORDS + 1), f"has {MAX_WORDS + 1:,} words"),
}


@pytest.mark.parametrize("run", [evaluated, compared])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_text_is_refused_by_file_and_line(
    name: str, side: int, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = DAMAGED[name]
    sides = [[line.encode() for line in SENTENCES] for _ in range(2)]
    sides[side][6] = content
    paths = [write(tmp_path / name, lines) for name, lines in zip(("mine", "theirs"), sides, strict=True)]
    assert f"{paths[side]}, line 7: {said}" in error_line(capsys, run, *paths)
    assert not (tmp_path / "compared.json").exists()
    assert not (tmp_path / "scores").exists()


FILES = {
    "empty": (b"", "mine is empty"),
    "a byte order mark": (b"\xef\xbb\xbf" + "\n".join(SENTENCES).encode(), "line 1: starts with a byte order mark"),
    "UTF-16": ("\n".join(SENTENCES).encode("utf-16"), "line 1: not UTF-8"),
    "UTF-16 without a mark": ("\n".join(SENTENCES).encode("utf-16-le"), "line 1: holds a NUL"),
    "a line less": ("\n".join(SENTENCES[1:]).encode(), "mine has 11 lines, but the references"),
    "a line more": ("\n".join([*SENTENCES, "", ""]).encode(), "mine has 13 lines, but the references"),
    "ended by carriage returns": ("\r".join(SENTENCES).encode(), "mine has 1 lines, but the references"),
    "ended by line separators": ("\u2028".join(SENTENCES).encode(), "mine has 1 lines, but the references"),
}


@pytest.mark.parametrize("run", [evaluated, compared])
@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_scored(name: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, said = FILES[name]
    theirs = write(tmp_path / "theirs", [line.encode() for line in SENTENCES])
    (tmp_path / "mine").write_bytes(content)
    assert said in error_line(capsys, run, tmp_path / "mine", theirs)


def test_a_file_of_blank_lines_scores_nothing(tmp_path: Path) -> None:
    theirs = write(tmp_path / "theirs", [line.encode() for line in SENTENCES])
    evaluated(write(tmp_path / "mine", [b""] * COUNT), theirs)
    metrics = json.loads((tmp_path / "scores/scores.json").read_text())["metrics"]
    assert (metrics["bleu"]["value"], metrics["ter"]["value"], metrics["bleu"]["count"]) == (0.0, 100.0, COUNT)


@pytest.mark.parametrize("name", ALL)
def test_sentences_stay_with_their_references(name: str, tmp_path: Path) -> None:
    """Every sentence is its own reference: one step out of line would cost nearly all of the score."""
    lines = [f"{line}{ALL[name]}{number} end" for number, line in enumerate(SENTENCES)]
    paths = [write(tmp_path / side, [line.encode() for line in lines]) for side in ("mine", "theirs")]
    evaluated(*paths)
    metrics = json.loads((tmp_path / "scores/scores.json").read_text())["metrics"]
    assert [metrics[key]["value"] for key in ("bleu", "chrf", "ter")] == pytest.approx([100.0, 100.0, 0.0])
    assert {metrics[key]["count"] for key in metrics} == {COUNT}


def test_a_very_long_word_is_scored(tmp_path: Path) -> None:
    lines = [line.encode() for line in SENTENCES]
    theirs = write(tmp_path / "theirs", lines)
    evaluated(write(tmp_path / "mine", [*lines[:-1], b"x" * 300_000]), theirs)
    metrics = json.loads((tmp_path / "scores/scores.json").read_text())["metrics"]
    assert 80.0 < metrics["bleu"]["value"] < 100.0


# A corpus folder of a stranger's, its card in order


def stranger_s_corpus(folder: Path, references: bytes) -> Path:
    (folder / "raw").mkdir(parents=True)
    (folder / "raw/test.de").write_bytes(references)
    card = {
        "source_language": "en", "target_language": "de", "request": {}, "splits": {"test": {"pairs": COUNT}},
        "files": {"raw/test.de": sha256(folder / "raw/test.de")},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize("name", ENDS | INVISIBLE)
def test_only_a_line_feed_ends_a_reference(name: str, tmp_path: Path) -> None:
    lines = [f"{line}{ALL[name]}end" for line in SENTENCES]
    corpus = stranger_s_corpus(tmp_path / "corpus", "".join(f"{line}\n" for line in lines).encode())
    assert read_corpus(corpus).raw_text("test", "de") == lines


@pytest.mark.parametrize(("damage", "said"), [(b"\0", "holds a NUL"), (b"\xff", "not UTF-8")])
def test_damaged_references_of_a_corpus(damage: bytes, said: str, tmp_path: Path) -> None:
    corpus = read_corpus(stranger_s_corpus(tmp_path / "corpus", b"a\nb" + damage + b"\n"))
    with pytest.raises(UserError, match=rf"raw/test\.de, line 2: {said}"):
        corpus.raw_text("test", "de")
