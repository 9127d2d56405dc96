"""Hostile text into sequence-level distillation, whose input is a corpus folder, a stranger's too."""

import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from nmt_plugin.beam_search import Hypothesis
from nmt_plugin.corpora import databin
from nmt_plugin.corpora.__main__ import main
from nmt_plugin.corpora.corpus import Corpus, read_corpus
from nmt_plugin.corpora.distilled import write_distilled
from nmt_plugin.corpora.progress import Progress
from nmt_plugin.sequence_kd import TRANSLATION, _format, _parse, _references, choose_targets
from nmt_plugin.shards import kept_shards
from shared.errors import UserError
from shared.files import sha256
from tests.hostile.hostile_text import ALL, ENDS, INVISIBLE, lines_of, without_fairseq
from tests.hostile.properties import PROPERTY

COUNT = 60


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Built from text in which every character of `ALL` stands once on a line or more."""
    monkeypatch.setattr(databin, "preprocess", without_fairseq)
    odd = [*ALL.values()]
    for language, word in (("en", "the word"), ("fr", "le mot")):
        text = "".join(f"{word} {n}{odd[n % len(odd)]}{n} end\n" for n in range(COUNT))
        (tmp_path / f"text.{language}").write_bytes(text.encode())
    files = [str(tmp_path / "text.en"), str(tmp_path / "text.fr")]
    sizes = ["--valid-size", "5", "--test-size", "5", "--block", "2", "--vocab-size", "120", "--max-ratio", "99"]
    main(
        [
            "text",
            "--source-lang",
            "en",
            "--target-lang",
            "fr",
            "--train",
            *files,
            "--output",
            str(tmp_path / "corpus"),
            *sizes,
        ]
    )
    return read_corpus(tmp_path / "corpus")


def changed(corpus: Corpus, name: str, content: bytes) -> Corpus:
    """A file of the corpus replaced, and the card made to agree."""
    (corpus.folder / name).write_bytes(content)
    card = json.loads((corpus.folder / "card.json").read_text())
    card["files"][name] = sha256(corpus.folder / name)
    (corpus.folder / "card.json").write_text(json.dumps(card))
    return read_corpus(corpus.folder)


def test_translations_stay_with_their_sources(corpus: Corpus, tmp_path: Path) -> None:
    references = _references(corpus)
    model = sentencepiece.SentencePieceProcessor(model_file=str(corpus.sentencepiece_model))
    found = {n: Hypothesis(n, line, -1.0, ended=n % 3 > 0) for n, line in enumerate(references) if n % 4}
    targets, kinds = choose_targets(found, references)
    assert targets == references
    assert kinds.count(TRANSLATION) == sum(n % 4 > 0 and n % 3 > 0 for n in range(len(references)))
    write_distilled(tmp_path / "distilled", corpus, targets, Progress(2))
    sources, translations = (lines_of(tmp_path / f"distilled/raw/train.{language}") for language in ("en", "fr"))
    assert len(sources) == len(translations) == corpus.sizes["train"]
    assert translations == [model.decode_pieces(line.split()) for line in references]
    assert [line.split()[2] for line in sources] == [line.split()[2] for line in translations]


@pytest.mark.parametrize("side", ["en", "fr"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_carriage_return_in_pieces_is_refused_by_its_line(
    side: str, split: str, corpus: Corpus, tmp_path: Path
) -> None:
    """fairseq would make two sentences of it, and from there on translations of other sentences."""
    name = f"spm/{split}.{side}"
    lines = (corpus.folder / name).read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b" ", b"\r", 1)
    corpus = changed(corpus, name, b"\n".join(lines))
    targets = _references(corpus)
    assert len(targets) == corpus.sizes["train"]
    with pytest.raises(UserError, match=rf"spm/{split}\.{side}, line 3: holds a carriage return"):
        write_distilled(tmp_path / "distilled", corpus, targets, Progress(2))


@pytest.mark.parametrize("name", ENDS | INVISIBLE)
def test_references_are_the_lines_of_the_file(name: str, corpus: Corpus) -> None:
    expected = [f"\u2581a {ALL[name]} b{n}" for n in range(corpus.sizes["train"])]
    corpus = changed(corpus, "spm/train.fr", "".join(f"{line}\n" for line in expected).encode())
    assert _references(corpus) == expected


@pytest.mark.parametrize(
    ("damage", "said"), [(b"\0", "holds a NUL"), (b"\xff", "not UTF-8"), (b"\xc0\xaf", "not UTF-8")]
)
def test_damaged_references_are_refused_by_their_line(damage: bytes, said: str, corpus: Corpus) -> None:
    corpus = changed(corpus, "spm/train.fr", b"a\nb" + damage + b"\n")
    with pytest.raises(UserError, match=rf"spm/train\.fr, line 2: {said}"):
        _references(corpus)


def test_too_few_translations_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"translations for the \d+ training pairs"):
        write_distilled(tmp_path / "distilled", corpus, _references(corpus)[1:], Progress(2))


# Pieces are what fairseq's dictionary has: anything without white space.
PIECES = st.lists(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: len(t.split()) == 1 and t == t.strip()),
    max_size=6,
).map(" ".join)


@PROPERTY
@given(st.lists(st.tuples(PIECES, st.floats(allow_nan=False), st.booleans()), max_size=6))
def test_hypotheses_survive_their_shard(tmp_path: Path, rows: list[tuple[str, float, bool]]) -> None:
    hypotheses = [Hypothesis(n, *row) for n, row in enumerate(rows)]
    settings: dict[str, Any] = {"beam": 1}
    with kept_shards(tmp_path / "shards", settings, 1, fresh=True) as shards:
        shards.write(0, [_format(hypothesis) for hypothesis in hypotheses])
        assert [_parse(line) for line in shards.read(0)] == hypotheses
