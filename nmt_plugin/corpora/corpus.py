"""A corpus folder as `python -m nmt_plugin.corpora` built it, seen by those who use it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt_plugin.corpora import pieces
from nmt_plugin.corpora.card import NAME, read_card
from nmt_plugin.corpora.lines import read_lines
from shared.decoding import decode
from shared.errors import UserError
from shared.files import sha256


@dataclass(frozen=True)
class Corpus:
    """Where the parts of a corpus are. `sizes` are sentence pairs by split, `sha256` digests of the raw text."""

    folder: Path
    source_language: str
    target_language: str
    sizes: dict[str, int]
    sha256: dict[str, str]

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def data_bin(self) -> Path:
        return self.folder / "data-bin"

    @property
    def sentencepiece_model(self) -> Path:
        """The model of the target side, which turns a hypothesis into text."""
        return self._model(self.target_language)

    @property
    def source_sentencepiece_model(self) -> Path:
        """The model of the source side; the same file where the dictionaries are joined."""
        return self._model(self.source_language)

    def dictionary(self, language: str) -> Path:
        """fairseq's dictionary of a language."""
        return self.data_bin / f"dict.{language}.txt"

    def _model(self, language: str) -> Path:
        own = self.folder / "spm" / f"{pieces.own_model_name(language)}.model"
        return own if own.is_file() else self.folder / "spm" / f"{pieces.JOINED}.model"

    def raw_text(self, split: str, language: str) -> list[str]:
        """Lines of detokenized text. Only a line feed ends a line: other separators may stand inside one.

        Raises UserError where the file is missing, or is not the one that was built.
        """
        name = f"raw/{split}.{language}"
        path = self.folder / name
        if not path.is_file() or sha256(path) != self.sha256.get(name):
            raise UserError(f"{path} is missing or changed since the corpus was built; build it again with --fresh")
        return read_lines(path)


def read_corpus(folder: Path) -> Corpus:
    """Raises UserError where `folder` is not a whole corpus."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; build it with python -m nmt_plugin.corpora")
    card = read_card(folder)
    try:
        return Corpus(
            folder=folder,
            source_language=_language(card["source_language"]),
            target_language=_language(card["target_language"]),
            sizes=decode(dict[str, int], {name: counts["pairs"] for name, counts in card["splits"].items()}, "splits"),
            sha256={name: digest for name, digest in card["files"].items() if name.startswith("raw/")},
        )
    except (KeyError, TypeError, AttributeError, UserError):
        raise UserError(f"{folder / NAME} is not a corpus card; build the corpus again with --fresh") from None


def _language(name: Any) -> str:
    """It is part of files' names. Raises UserError for what cannot be."""
    if not isinstance(name, str) or Path(name).name != name or "\0" in name:
        raise UserError(f"{name!r} is no language")
    return name
