"""The jobs of a sweep (`-m`): one that is refused costs none of the others, whatever process each of them runs in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from shared.errors import UserError


class Refused:
    """What a job returns that ended in a UserError: exceptions make Hydra's launchers give up, each in its own way.

    `Refused.lines` has one line per such job in the process that started the sweep. It need not be the one that ran the
    job: an object that comes back from there is made anew.
    """

    lines: ClassVar[list[str]] = []

    def __init__(self, line: str) -> None:
        self.line = line
        self.lines.append(line)

    def __reduce__(self) -> tuple[type[Refused], tuple[str]]:
        return Refused, (self.line,)


def is_sweep() -> bool:
    """Whether Hydra runs this job as one of a sweep."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def words_of_job(config: DictConfig) -> list[str]:
    """The `KEY=VALUE` of this job alone, of whose resolved settings it takes what other keys were to fill in."""
    words = []
    for word in HydraConfig.get().overrides.task:
        key = word.partition("=")[0]
        value = OmegaConf.select(config, key.lstrip("+")) if "$" in word else None
        words.append(word if not isinstance(value, str) else f"{key}={value}")
    return words


def check_processes(devices: int) -> None:
    """Raise UserError for a job of more processes than one that is not Lightning's to start.

    Lightning starts them with this process's command line, which in a worker of joblib or submitit is the worker's own.
    Slurm itself starts all the processes of a job.
    """
    launcher = HydraConfig.get().launcher._target_.rpartition(".")[2]
    if devices > 1 and is_sweep() and launcher in ("JoblibLauncher", "LocalLauncher"):
        raise UserError(f"devices={devices} needs a sweep without hydra/launcher, whose jobs run one after another")


def given_overrides(command_line: Sequence[str]) -> list[Override]:
    """The `KEY=VALUE` of a command line, without its flags. Raises Hydra's OverrideParseException."""
    words = [word for word in command_line if "=" in word and not word.startswith("-")]
    return OverridesParser.create().parse_overrides(words)


def refused(error: UserError, command_line: Sequence[str]) -> Refused:
    """For the job that runs now, of the sweep that was started by these words."""
    point = _point(command_line)
    return Refused(f"{point}: {error}" if point else str(error))


def _point(command_line: Sequence[str]) -> str:
    """The values here of all that is swept, e.g. `temperature=3`."""
    swept = [word.get_key_element() for word in given_overrides(command_line) if word.is_sweep_override()]
    return " ".join(word for word in HydraConfig.get().overrides.task if word.partition("=")[0] in swept)
