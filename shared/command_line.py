"""What Hydra's command line offers and this project's commands do not."""

from collections.abc import Sequence

from shared.errors import UserError

_RERUN = "--experimental-rerun"


def refuse_pickled_job(words: Sequence[str]) -> None:
    """Raise UserError where the command line names a pickled job, of which Hydra would run whatever it holds."""
    for name in (word.partition("=")[0] for word in words):
        if len(name) > 2 and _RERUN.startswith(name):  # argparse takes every beginning of it
            raise UserError(f"{_RERUN} reads a pickle, which may run code; write the settings as KEY=VALUE")
