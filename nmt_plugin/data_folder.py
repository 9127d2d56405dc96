"""One clear line where fairseq's translation task is given a data folder that is not one."""

from pathlib import Path
from typing import Any

from fairseq import utils
from fairseq.tasks.translation import TranslationTask

from shared.errors import UserError, exit_on_user_error


def check_data_folder(data: str) -> None:
    """Raise UserError unless every folder of `data` (colon-separated, as fairseq takes them) exists and the first has
    fairseq's dictionaries.
    """
    folders = [Path(folder) for folder in utils.split_paths(data)]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: not a data folder; build one with python -m nmt_plugin.corpora")
    if not any(folders[0].glob("dict.*.txt")):
        raise UserError(f"{folders[0]}: holds no dict.*.txt, so it is no fairseq data-bin; name CORPUS/data-bin")


def check_before_translation() -> None:
    """Let `translation` tasks check their data folder first.

    fairseq sets up the task before it builds any criterion, so nothing of a plugin is asked earlier; without this, a
    mistyped folder ends in fairseq's traceback.
    """
    set_up = TranslationTask.setup_task.__func__

    def setup_task(cls: type, cfg: Any, **kwargs: Any) -> Any:
        with exit_on_user_error():
            check_data_folder(cfg.data)
        return set_up(cls, cfg, **kwargs)

    TranslationTask.setup_task = classmethod(setup_task)
