"""The stages that every corpus shares: splits of text in, a folder with raw text, pieces, data-bin and card out."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_plugin.corpora import databin, pieces
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.progress import Progress

STEPS = 3  # of `write_corpus`, for the caller's Progress


@dataclass(frozen=True)
class Vocabulary:
    """The options of the SentencePiece model."""

    size: int
    model_type: str
    seed: int


def write_corpus(
    folder: Path,
    splits: Mapping[str, Sequence[Pair]],
    languages: tuple[str, str],
    vocabulary: Vocabulary,
    *,
    workers: int,
    progress: Progress,
) -> dict[str, Any]:
    """Fill `folder` from the splits "train", "valid" and "test"; returns the facts for the card.

    raw/{split}.{language} is the text as it is (test.{target} the reference of BLEU), spm/ the model and the same text
    in pieces, data-bin/ what fairseq reads.
    """
    raw, spm = folder / "raw", folder / "spm"
    texts = {
        f"{name}.{language}": [pair[1 + side] for pair in pairs]
        for name, pairs in splits.items()
        for side, language in enumerate(languages)
    }
    with progress.step("SentencePiece model") as note:
        train = [line for language in languages for line in texts[f"train.{language}"]]
        model = pieces.train_model(
            train, vocab_size=vocabulary.size, model_type=vocabulary.model_type, seed=vocabulary.seed
        )
        processor = pieces.write_model(model, spm)
        note.text = f"{vocabulary.size:,} {vocabulary.model_type} pieces from {len(train):,} lines"
    with progress.step("encode") as note:
        encoded = {
            name: [" ".join(line) for line in processor.encode(lines, out_type=str)] for name, lines in texts.items()
        }
        for name in texts:
            _write_lines(raw / name, texts[name])
            _write_lines(spm / name, encoded[name])
        note.text = f"{sum(map(_tokens, encoded.values())):,} tokens"
    with progress.step("fairseq-preprocess") as note:
        databin.preprocess(spm, folder / "data-bin", *languages, workers=workers)
        entries = len((folder / "data-bin" / f"dict.{languages[0]}.txt").read_text(encoding="utf-8").splitlines())
        note.text = f"{entries:,} dictionary entries"
    return {
        "splits": {name: _facts(name, pairs, languages, encoded) for name, pairs in splits.items()},
        "dictionary_entries": entries,
        "versions": {name: importlib.metadata.version(name) for name in ("sentencepiece", "fairseq-fixed", "lxml")},
    }


def _facts(
    name: str, pairs: Sequence[Pair], languages: tuple[str, str], encoded: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Sizes of a split; tokens are pieces plus one end of sentence a line, as fairseq counts them."""
    source, target = (_tokens(encoded[f"{name}.{language}"]) for language in languages)
    pages = len({pair.page for pair in pairs})
    return {"pairs": len(pairs), "pages": pages, "source_tokens": source, "target_tokens": target}


def _tokens(lines: Sequence[str]) -> int:
    return sum(line.count(" ") + 2 for line in lines)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
