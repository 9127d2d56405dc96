"""A corpus with the same sources and other training targets: the teacher's translations (Kim and Rush 2016).

Valid, test, SentencePiece models and dictionaries stay those of the corpus it comes from, so that a student of either
can be taught by the same teacher and scored against the same references.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sentencepiece

from nmt_plugin.corpora import databin
from nmt_plugin.corpora.build import tokens, versions, write_lines
from nmt_plugin.corpora.card import NAME, read_card
from nmt_plugin.corpora.corpus import Corpus
from nmt_plugin.corpora.progress import Progress
from shared.errors import UserError
from shared.files import sha256

STEPS = 2  # of `write_distilled`, for the caller's Progress


def write_distilled(
    folder: Path, corpus: Corpus, targets: Sequence[str], progress: Progress, *, workers: int = 2
) -> dict[str, Any]:
    """Fill `folder` with `corpus`, its training targets replaced by `targets`; returns the facts for the card.

    `targets` are lines of pieces joined by blanks, one for each training pair in order. The caller gives the folder
    (`folder.whole_folder`) and writes the card (`card.write_card`). UserError where the number of lines is another, or
    a file of `corpus` has changed since it was built.
    """
    if len(targets) != corpus.sizes["train"]:
        raise UserError(
            f"{len(targets):,} translations for the {corpus.sizes['train']:,} training pairs of {corpus.folder}; "
            "translate the whole training split"
        )
    card = read_card(corpus.folder)
    with progress.step("text and pieces") as note:
        _write_texts(folder, corpus, targets, card["files"])
        note.text = f"{len(targets):,} targets replaced, {tokens(targets):,} tokens"
    with progress.step("fairseq-preprocess") as note:
        languages = (corpus.source_language, corpus.target_language)
        dictionaries = {language: corpus.dictionary(language) for language in languages}
        databin.preprocess(folder / "spm", folder / "data-bin", *languages, workers=workers, dictionaries=dictionaries)
        note.text = "with the dictionaries as they were"
    inherited = ("source_language", "target_language", "license", "dictionary_entries", "source_entries")
    return {
        **{name: card[name] for name in inherited if name in card},
        "distilled_from": {"corpus": corpus.name, "card_sha256": sha256(corpus.folder / NAME)},
        "splits": card["splits"] | {"train": card["splits"]["train"] | {"target_tokens": tokens(targets)}},
        "versions": versions(),
    }


def _write_texts(folder: Path, corpus: Corpus, targets: Sequence[str], digests: Mapping[str, str]) -> None:
    """raw/ and spm/ of `corpus`, checked against the digests of its card, but for the training targets."""
    replaced = f"train.{corpus.target_language}"
    for name, digest in digests.items():
        if name.startswith(("raw/", "spm/")) and Path(name).name != replaced:
            _copy(corpus.folder / name, folder / name, digest)
    model = sentencepiece.SentencePieceProcessor(model_file=str(corpus.sentencepiece_model))
    write_lines(folder / "raw" / replaced, [model.decode_pieces(line.split()) for line in targets])
    write_lines(folder / "spm" / replaced, targets)


def _copy(path: Path, to: Path, digest: str) -> None:
    if not path.is_file() or sha256(path) != digest:
        raise UserError(f"{path} is missing or changed since the corpus was built; build it again with --fresh")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
