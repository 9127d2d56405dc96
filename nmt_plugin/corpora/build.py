"""The stages that every corpus shares: splits of text in, a folder with raw text, pieces, data-bin and card out."""

import contextlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece

from nmt_plugin.corpora import databin, pieces
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.progress import Progress

STEPS = 3  # of `write_corpus`, for the caller's Progress


@dataclass(frozen=True)
class Vocabulary:
    """The options of the SentencePiece models: one of `size` pieces for both languages ("joined"), or one for each."""

    size: int
    model_type: str
    seed: int
    dictionaries: str = "joined"

    @property
    def joined(self) -> bool:
        """Whether both languages share one model."""
        return self.dictionaries == "joined"


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

    raw/{split}.{language} is the text as it is (test.{target} the reference of BLEU), spm/ the models and the same
    text in pieces, data-bin/ what fairseq reads.
    """
    spm, joined = folder / "spm", vocabulary.joined
    texts = _texts(splits, languages)
    with progress.step("SentencePiece model") as note:
        processors = _train_models(spm, {language: texts[f"train.{language}"] for language in languages}, vocabulary)
        each = "" if joined else " in each language"
        lines = len(languages) * len(splits["train"])
        note.text = f"{vocabulary.size:,} {vocabulary.model_type} pieces{each} from {lines:,} lines"
    with progress.step("encode") as note:
        encoded = _write_texts(folder, texts, processors)
        note.text = f"{sum(map(tokens, encoded.values())):,} tokens"
    with progress.step("fairseq-preprocess") as note:
        databin.preprocess(spm, folder / "data-bin", *languages, workers=workers, joined=joined)
        entries = _entries(folder / "data-bin", languages, joined)
        note.text = f"{' and '.join(f'{count:,}' for count in reversed(entries.values()))} dictionary entries"
    return {
        "splits": {name: _facts(name, pairs, languages, encoded) for name, pairs in splits.items()},
        **entries,
        "versions": versions(),
    }


def tokens(lines: Sequence[str]) -> int:
    """How many tokens lines of pieces have, with one end of sentence a line, as fairseq counts them."""
    return sum(len(line.split()) + 1 for line in lines)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """One line each, whatever the platform; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def versions() -> dict[str, str]:
    """The installed versions of what makes a corpus (fairseq comes as `fairseq` or as `fairseq-fixed`)."""
    installed = {}
    for name in ("sentencepiece", "fairseq-fixed", "fairseq", "lxml"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def _texts(splits: Mapping[str, Sequence[Pair]], languages: tuple[str, str]) -> dict[str, list[str]]:
    """Lines by the name of their file, {split}.{language}."""
    return {
        f"{name}.{language}": [pair[1 + side] for pair in pairs]
        for name, pairs in splits.items()
        for side, language in enumerate(languages)
    }


def _write_texts(
    folder: Path, texts: Mapping[str, list[str]], processors: Mapping[str, sentencepiece.SentencePieceProcessor]
) -> dict[str, list[str]]:
    """Write `texts` as they are and in pieces; returns the lines of pieces, by the same names."""
    encoded = {
        name: [" ".join(line) for line in processors[name.partition(".")[2]].encode(lines, out_type=str)]
        for name, lines in texts.items()
    }
    for name in texts:
        write_lines(folder / "raw" / name, texts[name])
        write_lines(folder / "spm" / name, encoded[name])
    return encoded


def _train_models(
    folder: Path, texts: Mapping[str, Sequence[str]], vocabulary: Vocabulary
) -> dict[str, sentencepiece.SentencePieceProcessor]:
    """Train and write the model(s) over `texts` by language; returns the one of each language."""
    shares = [list(texts)] if vocabulary.joined else [[language] for language in texts]
    processors: dict[str, sentencepiece.SentencePieceProcessor] = {}
    for languages in shares:
        train = [line for language in languages for line in texts[language]]
        model = pieces.train_model(
            train,
            vocab_size=vocabulary.size,
            model_type=vocabulary.model_type,
            seed=vocabulary.seed,
            of="" if vocabulary.joined else f" of {languages[0]}",
        )
        name = pieces.JOINED if vocabulary.joined else pieces.own_model_name(languages[0])
        processors |= dict.fromkeys(languages, pieces.write_model(model, folder, name))
    return processors


def _entries(data_bin: Path, languages: tuple[str, str], joined: bool) -> dict[str, int]:
    """Sizes of fairseq's dictionaries, without its own symbols; the target's is the output layer's."""
    source, target = (
        len((data_bin / f"dict.{language}.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        for language in languages
    )
    return {"dictionary_entries": target} if joined else {"dictionary_entries": target, "source_entries": source}


def _facts(
    name: str, pairs: Sequence[Pair], languages: tuple[str, str], encoded: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Sizes of a split."""
    source, target = (tokens(encoded[f"{name}.{language}"]) for language in languages)
    pages = len({pair.page for pair in pairs})
    return {"pairs": len(pairs), "pages": pages, "source_tokens": source, "target_tokens": target}
