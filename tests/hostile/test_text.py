"""Hostile text into the corpora builder, any pair of text files: refused by its line, or aligned to the last line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

from nmt_plugin.corpora import databin
from nmt_plugin.corpora.__main__ import main
from tests.hostile.hostile_text import ALL, lines_of, without_fairseq
from tests.hostile.outcomes import error_line

COUNT = 120
Write = Callable[[bytes, bytes], list[str]]


@pytest.fixture(autouse=True)
def _without_fairseq(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "e2e" not in request.keywords:
        monkeypatch.setattr(databin, "preprocess", without_fairseq)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the two files and gives their names."""

    def write_files(source: bytes, target: bytes) -> list[str]:
        paths = [tmp_path / "text.en", tmp_path / "text.fr"]
        for path, data in zip(paths, (source, target), strict=True):
            path.write_bytes(data)
        return [str(path) for path in paths]

    return write_files


def numbered(hostile: str = "") -> tuple[bytes, bytes]:
    """Sentences that say their number; every third of the source and every fifth of the target holds `hostile`."""
    english = [f"the {number} word{hostile if number % 3 == 0 else ' '}stands" for number in range(COUNT)]
    french = [f"le mot {number}{hostile if number % 5 == 0 else ' '}existe" for number in range(COUNT)]
    return tuple("".join(f"{line}\n" for line in side).encode() for side in (english, french))  # type: ignore[return-value]


def command(output: Path, files: list[str], *more: str) -> list[str]:
    languages = ("--source-lang", "en", "--target-lang", "fr")
    sizes = ("--valid-size", "10", "--test-size", "10", "--block", "5", "--vocab-size", "90", "--max-ratio", "99")
    return ["text", *languages, "--train", *files, "--output", str(output), *sizes, *more]


def check_aligned(folder: Path) -> int:
    """Every line of both sides, raw and in pieces, says the same number as its partner; how many there are."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm/sentencepiece.model"))
    total = 0
    for split in ("train", "valid", "test"):
        raw = [lines_of(folder / f"raw/{split}.{language}") for language in ("en", "fr")]
        spm = [lines_of(folder / f"spm/{split}.{language}") for language in ("en", "fr")]
        numbers = [[re.findall(r"\d+", line)[0] for line in side] for side in raw]
        assert numbers[0] == numbers[1]
        assert [[model.decode_pieces(line.split()) for line in side] for side in spm] == raw
        total += len(raw[0])
    return total


@pytest.mark.parametrize("name", ALL)
def test_both_sides_stay_aligned(name: str, write: Write, tmp_path: Path) -> None:
    main(command(tmp_path / "corpus", write(*numbered(ALL[name]))))
    assert check_aligned(tmp_path / "corpus") == COUNT


def test_everything_at_once(write: Write, tmp_path: Path) -> None:
    main(command(tmp_path / "corpus", write(*numbered(" ".join(ALL.values()))), "--vocab-size", "150"))
    assert check_aligned(tmp_path / "corpus") == COUNT


DAMAGED = {
    "NUL": (b"a\0b", "line 8: holds a NUL"),
    "a byte of Latin-1": (b"sch\xf6n", "line 8: not UTF-8"),
    "overlong": (b"a\xc0\xafb", "line 8: not UTF-8"),
    "surrogate": (b"a\xed\xa0\x80b", "line 8: not UTF-8"),
    "beyond Unicode": (b"a\xf4\x90\x80\x80", "line 8: not UTF-8"),
    "cut in the middle": (b"a\xe2\x82", "line 8: not UTF-8"),
    "a stray continuation": (b"\x80", "line 8: not UTF-8"),
}


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_text_is_refused_by_file_and_line(
    name: str, side: int, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = [data.split(b"\n") for data in numbered()]
    sides[side][7], said = DAMAGED[name]
    files = write(*(b"\n".join(lines) for lines in sides))
    assert f"{files[side]}, {said}" in error_line(capsys, main, command(tmp_path / "corpus", files))
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_other_encodings_are_refused(
    encoding: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    english, french = numbered()
    files = write(english.decode().encode(encoding), french)
    assert f"{files[0]}, line 1: " in error_line(capsys, main, command(tmp_path / "corpus", files))


SHAPES = {
    "both empty": (b"", b"", "leave no page for train"),
    "one empty": (b"", b"a\n", "0 lines and .* 1: line 1 of .*text.fr has no partner"),
    "blank lines alone": (b"\n" * 9, b"\n" * 9, "leave no page for train"),
    "white space alone": (b" \t\n\x0b\n", "\u2028\n\u200b\n".encode(), "leave no page for train"),
    "a line more": (numbered()[0] + b"more\n", numbered()[1], "121 lines and .* 120: line 121 of .*text.en has no"),
    "a carriage return for a line feed": (
        numbered()[0].replace(b"\n", b"\r", 1), numbered()[1], "119 lines and .* 120: line 120 of .*text.fr has no",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_files_that_give_no_corpus(name: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target, said = SHAPES[name]
    assert re.search(said, error_line(capsys, main, command(tmp_path / "corpus", write(source, target))))
    assert not (tmp_path / "corpus").exists()


def test_line_ends_of_either_kind_a_mark_at_the_start_and_no_end(write: Write, tmp_path: Path) -> None:
    """One side from Windows, with a byte order mark; the other without its last line feed."""
    source, target = numbered()
    main(command(tmp_path / "corpus", write(b"\xef\xbb\xbf" + source.replace(b"\n", b"\r\n"), target[:-1])))
    assert check_aligned(tmp_path / "corpus") == COUNT


MEGABYTE = {
    "one word": "x" * 1_000_000,
    "words": "x " * 500_000,
    "broken links": "[#a" * 333_333,
    "open brackets": "a[" * 500_000,
    "marks on one letter": "a" + "\u0301" * 250_000 + "\u0323" * 250_000,
    "carriage returns": "a\r" * 500_000,
    "bidi controls": "a\u202e" * 250_000,
}


@pytest.mark.parametrize("name", MEGABYTE)
def test_a_line_of_a_megabyte_is_left_out_of_train(name: str, write: Write, tmp_path: Path) -> None:
    sides = [data.decode().split("\n") for data in numbered()]
    for lines in sides:
        lines[40] = f"{lines[40]} {MEGABYTE[name]}"
    main(command(tmp_path / "corpus", write(*("\n".join(lines).encode() for lines in sides))))
    assert check_aligned(tmp_path / "corpus") == COUNT - 1


def test_a_line_of_a_megabyte_stays_in_a_test_set_that_is_given(write: Write, tmp_path: Path) -> None:
    files = write(*numbered())
    held = [tmp_path / "held.en", tmp_path / "held.fr"]
    for path, text in zip(held, ("777 apart ", "777 autre "), strict=True):
        path.write_text(text + "longue " * 142_000 + "\n")
    given = [str(path) for path in held]
    taken = command(tmp_path / "corpus", files, "--valid", *given, "--test", *given)
    del taken[taken.index("--valid-size") : taken.index("--vocab-size")]
    main(taken)
    assert check_aligned(tmp_path / "corpus") == COUNT + 2


@pytest.mark.e2e
def test_fairseq_reads_the_same_lines(write: Write, tmp_path: Path) -> None:
    from fairseq.data import Dictionary, data_utils

    main(command(tmp_path / "corpus", write(*numbered(" ".join(ALL.values()))), "--vocab-size", "150"))
    assert check_aligned(tmp_path / "corpus") == COUNT
    for language in ("en", "fr"):
        dictionary = Dictionary.load(str(tmp_path / f"corpus/data-bin/dict.{language}.txt"))
        for split in ("train", "valid", "test"):
            prefix = str(tmp_path / f"corpus/data-bin/{split}.en-fr.{language}")
            data = data_utils.load_indexed_dataset(prefix, dictionary)
            spm = lines_of(tmp_path / f"corpus/spm/{split}.{language}")
            assert [dictionary.string(row) for row in data] == [
                " ".join(token if token in dictionary.indices else dictionary.unk_word for token in line.split())
                for line in spm
            ]
            assert dictionary.pad() not in {int(token) for row in data for token in row}
