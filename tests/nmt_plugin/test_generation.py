"""A finished translation is used again for the same request, and only for that."""

import itertools
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from nmt_plugin.corpora.corpus import Corpus
from nmt_plugin.scores import generation
from nmt_plugin.scores.generation import Search, translate
from shared.errors import UserError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "card.json").write_text("{}")
    (tmp_path / "model.pt").write_bytes(b"weights")
    return Corpus(tmp_path / "corpus", "en", "de", {"test": 2, "valid": 2}, {})


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Splits that fairseq-generate was asked for; it gives two sentences each time."""
    asked: list[str] = []

    def generate(checkpoint: Path, corpus: Corpus, subset: str, search: Search, folder: Path) -> None:
        asked.append(subset)
        folder.mkdir(parents=True, exist_ok=True)
        lines = f"D-1\t-0.1\tzwei {len(asked)}\nD-0\t-0.1\teins {len(asked)}\n"
        (folder / f"generate-{subset}.txt").write_text(lines)

    monkeypatch.setattr(generation, "_generate", generate)
    return asked


def test_the_same_request_is_translated_once(corpus: Corpus, runs: list[str], tmp_path: Path) -> None:
    model, out = tmp_path / "model.pt", tmp_path / "out"
    first = translate(model, corpus, "test", Search(), out)
    assert first == ["eins 1", "zwei 1"]
    assert translate(model, corpus, "test", Search(), out) == first
    moved = model.rename(tmp_path / "renamed.pt")  # the same bytes elsewhere are the same model
    assert translate(moved, corpus, "test", Search(), out) == first
    assert runs == ["test"]


@pytest.mark.parametrize("change", ["weights", "corpus", "search", "subset", "output", "request", "half written"])
def test_another_request_is_translated_anew(corpus: Corpus, runs: list[str], tmp_path: Path, change: str) -> None:
    model, out, search, subset = tmp_path / "model.pt", tmp_path / "out", Search(), "test"
    translate(model, corpus, subset, search, out)
    if change == "weights":
        model.write_bytes(b"others")
    elif change == "corpus":
        (corpus.folder / "card.json").write_text('{"built": "again"}')
    elif change == "search":
        search = Search(lenpen=0.6)
    elif change == "subset":
        subset = "valid"
    elif change == "output":
        (out / "generate-test.txt").write_text("D-0\t-0.1\tein\n")
    elif change == "request":
        (out / "generate-test.json").unlink()
    else:
        (out / "generate-test.json").write_text('{"checkpoint')
    assert translate(model, corpus, subset, search, out) == ["eins 2", "zwei 2"]
    assert len(runs) == 2


def test_an_output_of_another_size_is_refused_and_not_kept(corpus: Corpus, runs: list[str], tmp_path: Path) -> None:
    corpus.sizes["test"] = 3
    for _ in range(2):
        with pytest.raises(UserError, match="has 2 sentences, but the corpus has 3"):
            translate(tmp_path / "model.pt", corpus, "test", Search(), tmp_path / "out")
    assert len(runs) == 2


def test_the_search_that_is_recorded_is_the_one_that_is_made(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[list[str]] = []

    def run(words: list[str], **_: object) -> "CompletedProcess[str]":
        said.append(words)
        return CompletedProcess(words, 0)

    monkeypatch.setattr(generation.subprocess, "run", run)
    generation._generate(tmp_path / "model.pt", corpus, "valid", Search(7, 0.6, 33, 99), tmp_path / "out")
    flags = dict(itertools.pairwise(said[0]))
    names = ("gen-subset", "beam", "lenpen", "max-len-b", "max-tokens")
    assert [flags.get(f"--{name}") for name in names] == ["valid", "7", "0.6", "33", "99"]
