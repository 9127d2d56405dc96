"""One clear line where fairseq's translation task is given a data folder that is not one, or that lacks a split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq import utils
from fairseq.tasks.translation import TranslationTask

from shared.errors import UserError, exit_on_user_error


def check_data_folder(data: str, languages: Sequence[str | None] = ()) -> None:
    """Raise UserError unless every folder of `data` (colon-separated, as fairseq takes them) exists and the first has
    fairseq's dictionaries, those of `languages` too (None: one that fairseq infers).
    """
    folders = [Path(folder) for folder in utils.split_paths(data)]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: not a data folder; build one with python -m nmt_plugin.corpora")
    if not any(folders[0].glob("dict.*.txt")):
        raise UserError(f"{folders[0]}: holds no dict.*.txt, so it is no fairseq data-bin; name CORPUS/data-bin")
    for name in (f"dict.{language}.txt" for language in languages if language is not None):
        if not (folders[0] / name).is_file():
            there = ", ".join(sorted(path.name for path in folders[0].glob("dict.*.txt")))
            raise UserError(f"{folders[0]}: holds no {name}, but {there}; name its languages (-s, -t)")


def split_names(data: str) -> list[str]:
    """Names of the splits that fairseq-preprocess has binarized in the folders of `data`, e.g. test, train, valid."""
    folders = map(Path, utils.split_paths(data))
    return sorted({path.name.partition(".")[0] for folder in folders for path in folder.glob("*.*-*.*.idx")})


def check_before_translation() -> None:
    """Let `translation` tasks check their data folder first, and end in one line where a split is not in it.

    fairseq sets up the task before it builds any criterion, so nothing of a plugin is asked earlier; without this, a
    mistyped folder, language or split ends in fairseq's traceback.
    """
    set_up, load = TranslationTask.setup_task.__func__, TranslationTask.load_dataset

    def setup_task(cls: type, cfg: Any, **kwargs: Any) -> Any:
        with exit_on_user_error():
            check_data_folder(cfg.data, (cfg.source_lang, cfg.target_lang))
        return set_up(cls, cfg, **kwargs)

    def load_dataset(self: Any, split: str, *arguments: Any, **others: Any) -> Any:
        with exit_on_user_error():
            try:
                return load(self, split, *arguments, **others)
            except FileNotFoundError as error:
                if not str(error).startswith("Dataset not found"):
                    raise
                data, pair = self.cfg.data, f"{self.cfg.source_lang}-{self.cfg.target_lang}"
                there = ", ".join(split_names(data)) or "none"
                raise UserError(f"{data}: holds no split {split} of {pair}; its splits are: {there}") from None

    TranslationTask.setup_task = classmethod(setup_task)
    TranslationTask.load_dataset = load_dataset
