"""One SentencePiece model and dictionary for both languages or one for each; and a corpus with other targets."""

import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from nmt_plugin.corpora.__main__ import main
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.corpora.distilled import STEPS, write_distilled
from nmt_plugin.corpora.progress import Progress
from shared.errors import UserError
from shared.files import sha256

RUSSIAN = "Это предложение номер"


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def numbered(words: str, start: int, count: int) -> str:
    return "".join(f"{words} {number}.\n" for number in range(start, start + count))


def build(tmp_path: Path, name: str, *more: str) -> Path:
    """An English-Russian corpus of numbered sentences: 30 of train, 2 of valid, 3 of test."""
    files = []
    for split, start, count in (("train", 0, 30), ("valid", 100, 2), ("test", 200, 3)):
        files.append(f"--{split}")
        for language, words in (("en", "This is the sentence"), ("ru", RUSSIAN)):
            (tmp_path / f"{split}.{language}").write_text(numbered(words, start, count), encoding="utf-8")
            files.append(str(tmp_path / f"{split}.{language}"))
    languages = ("--source-lang", "en", "--target-lang", "ru")
    main(["text", *languages, *files, "--vocab-size", "40", "--output", str(tmp_path / name), *more])
    return tmp_path / name


def model_of(path: Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def test_separate_models_know_their_own_language(tmp_path: Path, without_fairseq: list[dict[str, Any]]) -> None:
    corpus = read_corpus(build(tmp_path, "separate", "--dictionaries", "separate"))
    spm = tmp_path / "separate" / "spm"
    assert corpus.sentencepiece_model == spm / "sentencepiece.ru.model"
    assert corpus.source_sentencepiece_model == spm / "sentencepiece.en.model"
    assert not (spm / "sentencepiece.model").exists()
    for language, other in (("en", "ru"), ("ru", "en")):
        model = model_of(spm / f"sentencepiece.{language}.model")
        assert model.get_piece_size() == 40
        raw = lines(tmp_path / "separate/raw" / f"test.{language}")
        assert [model.decode_pieces(line.split()) for line in lines(spm / f"test.{language}")] == raw
        foreign = lines(tmp_path / "separate/raw" / f"test.{other}")[0]
        assert model.unk_id() in model.encode(foreign)
    assert without_fairseq == [{"joined": False, "dictionaries": None}]
    card = json.loads((tmp_path / "separate/card.json").read_text("utf-8"))
    assert card["request"]["dictionaries"] == "separate"
    assert (card["source_entries"], card["dictionary_entries"]) == (2, 3)


def test_joined_is_the_default_and_older_cards_still_answer(
    tmp_path: Path, without_fairseq: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = read_corpus(build(tmp_path, "joined"))
    assert corpus.sentencepiece_model == corpus.source_sentencepiece_model
    assert corpus.sentencepiece_model == tmp_path / "joined/spm/sentencepiece.model"
    card = json.loads((tmp_path / "joined/card.json").read_text("utf-8"))
    assert "dictionaries" not in card["request"]
    assert "source_entries" not in card
    build(tmp_path, "joined", "--dictionaries", "joined")
    assert "is already built" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        build(tmp_path, "joined", "--dictionaries", "separate")
    assert "dictionaries None (asked: separate)" in capsys.readouterr().err
    assert without_fairseq == [{"joined": True, "dictionaries": None}]


@pytest.mark.parametrize("dictionaries", ["joined", "separate"])
def test_other_targets_and_nothing_else(
    tmp_path: Path, without_fairseq: list[dict[str, Any]], dictionaries: str
) -> None:
    corpus = read_corpus(build(tmp_path, "corpus", "--dictionaries", dictionaries))
    targets = lines(corpus.folder / "spm/train.ru")
    targets = [*targets[::-1][:-1], ""]  # an empty translation is a line too
    facts = write_distilled(tmp_path / "new", corpus, targets, Progress(STEPS))
    assert lines(tmp_path / "new/spm/train.ru") == targets
    assert lines(tmp_path / "new/raw/train.ru") == [*lines(corpus.folder / "raw/train.ru")[::-1][:-1], ""]
    for part in ("raw", "spm"):
        old = {path.name: sha256(path) for path in (corpus.folder / part).iterdir()}
        new = {path.name: sha256(path) for path in (tmp_path / "new" / part).iterdir()}
        assert old.keys() == new.keys()
        assert {name for name in old if old[name] != new[name]} == {"train.ru"}
    assert without_fairseq[1]["dictionaries"] == {
        language: corpus.folder / "data-bin" / f"dict.{language}.txt" for language in ("en", "ru")
    }
    card = json.loads((corpus.folder / "card.json").read_text("utf-8"))
    expected = sum(len(line.split()) + 1 for line in targets)
    assert facts["splits"] == {**card["splits"], "train": {**card["splits"]["train"], "target_tokens": expected}}
    assert facts["dictionary_entries"] == card["dictionary_entries"]
    assert facts["distilled_from"] == {"corpus": "corpus", "card_sha256": sha256(corpus.folder / "card.json")}


def test_targets_of_another_number_and_a_changed_corpus(tmp_path: Path, without_fairseq: list[dict[str, Any]]) -> None:
    corpus = read_corpus(build(tmp_path, "corpus"))
    with pytest.raises(UserError, match="29 translations for the 30 training pairs"):
        write_distilled(tmp_path / "new", corpus, ["a"] * 29, Progress(STEPS))
    (corpus.folder / "raw/test.ru").write_text("changed")
    with pytest.raises(UserError, match=r"raw/test.ru is missing or changed"):
        write_distilled(tmp_path / "new", corpus, ["a"] * 30, Progress(STEPS))


def test_pieces_that_cannot_be_made_name_the_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build(tmp_path, "corpus", "--dictionaries", "separate", "--vocab-size", "900")
    assert "cannot make 900 pieces of en: Vocabulary size" in capsys.readouterr().err
