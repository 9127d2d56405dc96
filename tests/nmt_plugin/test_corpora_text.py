"""Any parallel files: what is wrong with them, what is left out of them, and the command."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

from nmt_plugin.corpora.__main__ import main
from nmt_plugin.corpora.lines import read_lines
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.parallel import read_pairs
from nmt_plugin.corpora.splits import count_overlap, divide_given, split_by_step
from shared.errors import UserError

Write = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("train", "en text", "fr text")` gives the two files' names."""

    def write_files(name: str, source: str | bytes, target: str | bytes) -> list[str]:
        paths = [tmp_path / f"{name}.en", tmp_path / f"{name}.fr"]
        for path, text in zip(paths, (source, target), strict=True):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [str(path) for path in paths]

    return write_files


def numbered(count: int, start: int = 0) -> tuple[str, str]:
    numbers = range(start, start + count)
    english = "".join(f"This is sentence {number} of the text.\n" for number in numbers)
    return english, "".join(f"Voici la phrase {number} du texte.\n" for number in numbers)


def command(output: Path, *more: object) -> list[str]:
    languages = ("--source-lang", "en", "--target-lang", "fr")
    return ["text", *languages, "--output", str(output), "--vocab-size", "60", *map(str, more)]


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


# Files


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\n\n", ["a", ""]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"a\rb\nc\r\n", ["a\rb", "c\r"]),  # only a line feed ends a line
        ("a\u2028b\x85c\x0bd\n".encode(), ["a\u2028b\x85c\x0bd"]),
        (gzip.compress(b"a\nb\n", mtime=0), ["a", "b"]),
    ],
)
def test_lines(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    (tmp_path / "text").write_bytes(data)
    assert read_lines(tmp_path / "text") == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\nb\n\xff\xfe\n", r"text, line 3: not UTF-8; convert"),
        ("schön\n".encode("latin-1"), r"text, line 1: not UTF-8"),
        (b"a\nb \0\n", r"text, line 2: holds a NUL"),
        ("a\nb\n".encode("utf-16-le"), r"text, line 1: holds a NUL.*UTF-16"),
        (gzip.compress(b"a" * 1000, mtime=0)[:-9], r"not a whole gzip file"),
    ],
)
def test_damaged_text_is_refused_with_its_line(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "text").write_bytes(data)
    with pytest.raises(UserError, match=said):
        read_lines(tmp_path / "text")


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("a\nb\nc\n", "x\ny\n", "x.en has 3 lines and .*x.fr 2: line 3 of .*x.en has no partner in .*x.fr$"),
        ("a\n", "x\ny\nz\n", "x.en has 1 lines and .*x.fr 3: line 2 of .*x.fr has no partner in .*x.en$"),
        ("", "x", "x.en has 0 lines and .*x.fr 1: line 1 of .*x.fr"),
    ],
)
def test_files_of_different_lengths(write: Write, source: str, target: str, said: str) -> None:
    paths = write("x", source, target)
    with pytest.raises(UserError, match=said):
        read_pairs([(Path(paths[0]), Path(paths[1]))], 20)


def test_pairs_are_normalized_and_blocked(write: Write) -> None:
    """Inside a line, white space of any kind is one blank; joiners, which some scripts need, stay."""
    paths = write("x", "a\rb\t\u00a0c \r\n soft\u00adhyphen\n\u0645\u06cc\u200c\u062e\u0648\n", "1\n2\n3\n")
    file = (Path(paths[0]), Path(paths[1]))
    assert read_pairs([file, file], 2) == [
        Pair("0:0", "a b c", "1"),
        Pair("0:0", "softhyphen", "2"),
        Pair("0:1", "\u0645\u06cc\u200c\u062e\u0648", "3"),
        Pair("1:0", "a b c", "1"),
        Pair("1:0", "softhyphen", "2"),
        Pair("1:1", "\u0645\u06cc\u200c\u062e\u0648", "3"),
    ]


# Splits


def test_given_splits_lose_no_test_sentence() -> None:
    def pairs(*texts: str) -> list[Pair]:
        return [Pair("", *text.split("/")) for text in texts]

    given = {
        "train": pairs("a/1", "A/one", "b/2", "B/2", "c/x", "d/4", "e/Y", "f/6"),
        "valid": pairs("z/X", "z/X"),
        "test": pairs("a/9", "q/y"),
    }
    splits, dropped = divide_given(given)
    assert splits == {**given, "train": pairs("b/2", "d/4", "f/6")}
    assert dropped == {"in train, but source or target also in valid or test": 4, "duplicate within train": 1}
    assert count_overlap(splits) == {"valid": 0, "test": 0}
    kept, dropped = divide_given(given, keep_leaks=True)
    assert kept["train"] == pairs("a/1", "A/one", "b/2", "c/x", "d/4", "e/Y", "f/6")
    assert dropped == {"duplicate within train": 1}
    assert count_overlap(kept) == {"valid": 2, "test": 2}
    with pytest.raises(UserError, match="no pair is left for train"):
        divide_given({**given, "train": pairs("a/1")})


def test_every_nth_pair() -> None:
    pairs = [Pair("", str(number), "") for number in range(1, 8)]
    splits = split_by_step(pairs, 3)
    assert [pair.source for pair in splits["valid"]] == ["3", "6"]
    assert [pair.source for pair in splits["train"]] == ["1", "2", "4", "5", "7"]


# The command


@pytest.mark.usefixtures("without_fairseq")
def test_given_splits(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = numbered(50)
    leak = ("This is sentence 100 of the text.\nCopy\n\nalone\n", "Autre chose.\nCopy\n\n \n")
    files = [*write("a", source, target), *write("b", *leak)]
    test = write("test", numbered(4, 100)[0] + "\n", numbered(4, 100)[1] + "\n")
    valid = write("valid", *numbered(3, 200))
    arguments = command(tmp_path / "c", "--train", *files, "--valid", *valid, "--test", *test, "--licence", "CC0")
    main(arguments)
    said = capsys.readouterr().out
    assert "train 54, valid 3, test 5" in said
    assert "1 empty of test" in said
    card = json.loads((tmp_path / "c/card.json").read_text("utf-8"))
    assert card["counts"] == {"lines": {"train": 54, "valid": 3, "test": 5}, "fit": 51}
    assert card["dropped"] == {
        "unfit": {"identical": 1, "empty": 2},
        "empty": {"valid": 0, "test": 1},
        "split": {"in train, but source or target also in valid or test": 1},
    }
    assert card["license"] == "CC0"
    assert {name: part["pairs"] for name, part in card["splits"].items()} == {"train": 50, "valid": 3, "test": 4}
    assert [one["file"] for one in card["inputs"]["train"]] == ["a.en", "a.fr", "b.en", "b.fr"]
    assert lines(tmp_path / "c/raw/test.fr") == numbered(4, 100)[1].splitlines()
    assert not any(str(tmp_path) in line for line in lines(tmp_path / "c/card.json"))
    assert card["request"]["block"] == 20  # as in the cards of before --block was for splits that are taken
    main(arguments)
    assert "is already built" in capsys.readouterr().out
    Path(files[0]).write_text(source.replace("sentence 7", "phrase 7"))
    assert "train_sha256" in fails(capsys, arguments)


@pytest.mark.usefixtures("without_fairseq")
def test_leaks_kept_on_request(write: Write, tmp_path: Path) -> None:
    train, held = write("a", *numbered(50)), write("held", *numbered(2, 10))
    more = ("--train", *train, "--valid", *held, "--test", *held, "--keep-leaks")
    main(command(tmp_path / "c", *more))
    card = json.loads((tmp_path / "c/card.json").read_text("utf-8"))
    assert card["splits"]["train"]["pairs"] == 50
    assert card["sentences_in_train_too"] == {"valid": 2, "test": 2}


@pytest.mark.usefixtures("without_fairseq")
def test_valid_and_test_taken_from_train_by_blocks(write: Write, tmp_path: Path) -> None:
    train = write("a", *(gzip.compress(text.encode()) for text in numbered(200)))
    sizes = ("--valid-size", 10, "--test-size", 20, "--block", 10)
    for name, seed in (("c", 1), ("same", 1), ("other", 2)):
        main(command(tmp_path / name, "--train", *train, *sizes, "--seed", seed))
    raw = {name: lines(tmp_path / f"c/raw/{name}.en") for name in ("train", "valid", "test")}
    assert {name: len(part) for name, part in raw.items()} == {"train": 170, "valid": 10, "test": 20}
    assert sorted(line for part in raw.values() for line in part) == sorted(numbered(200)[0].splitlines())
    numbers = [int(line.split()[3]) for line in raw["valid"]]
    assert numbers == list(range(numbers[0], numbers[0] + 10))  # neighbours stay together
    assert lines(tmp_path / "same/raw/test.en") == raw["test"]
    assert lines(tmp_path / "other/raw/test.en") != raw["test"]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (("--max-words", 6), "0 of train fit; left out: 50 too long"),
        (("--max-characters", 20), "0 of train fit; left out: 50 too long"),
        (("--max-ratio", 1.001), "0 of train fit; left out: 50 length ratio"),
    ],
)
def test_limits_reach_the_cleaning(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: tuple[str, float], said: str
) -> None:
    train, held = write("a", *numbered(50)), write("held", *numbered(2, 100))
    with pytest.raises(SystemExit):
        main(command(tmp_path / "c", "--train", *train, "--valid", *held, "--test", *held, *limit))
    assert said in capsys.readouterr().out


def test_mistakes(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, held = write("a", *numbered(30)), write("held", *numbered(2, 100))
    output = tmp_path / "c"
    given = ("--train", *train, "--valid", *held, "--test", *held)
    assert "--valid and --test belong together" in fails(capsys, command(output, "--train", *train, "--valid", *held))
    assert "--train has 3 files; give pairs" in fails(capsys, command(output, "--train", *train, train[0]))
    assert "no such file" in fails(capsys, command(output, "--train", train[0], "none.fr"))
    assert "--test and --test-size are both given" in fails(capsys, command(output, *given, "--test-size", 5))
    assert "--block is for splits that are taken" in fails(capsys, command(output, *given, "--block", 20))
    leaks = fails(capsys, command(output, "--train", *train, "--keep-leaks"))
    assert "--keep-leaks is for a given --valid and --test" in leaks
    assert "both en" in fails(capsys, [*command(output, *given), "--target-lang", "en"])
    assert "letters, digits" in fails(capsys, [*command(output, *given), "--target-lang", "pt-br"])
    assert not output.exists()
    short = write("short", *numbered(30)[:1], "one\n")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(command(output, "--train", *short, "--valid", *held, "--test", *held))
    assert "line 2 of" in capsys.readouterr().err
    assert not list(tmp_path.glob("c*"))


@pytest.mark.usefixtures("without_fairseq")
def test_pieces_are_learned_from_the_training_text_alone(write: Write, tmp_path: Path) -> None:
    train, valid = write("a", *numbered(50)), write("valid", *numbered(3, 200))
    test = write("test", "This is the \u03a9 text.\n", "Voici le texte \u03a9.\n")
    main(command(tmp_path / "c", "--train", *train, "--valid", *valid, "--test", *test))
    model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "c/spm/sentencepiece.model"))
    assert model.piece_to_id("\u03a9") == model.unk_id()
