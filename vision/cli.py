"""Hydra around a command: typed settings in, one clear line and exit status 2 for a user's mistake out."""

import dataclasses
import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from shared.command_line import refuse_pickled_job
from shared.errors import UserError, exit_on_user_error, lost_worker
from shared.locks import alone_in
from shared.provenance import set_job
from shared.results import FILE_NAME
from vision.help import help_text, options
from vision.sweep import Refused, check_processes, given_overrides, is_sweep, refused, words_of_job

CONF = Path(__file__).parent / "conf"
# What to write for a key that has no default.
EXAMPLES = {
    **dict.fromkeys(["checkpoint", "low", "high"], "DIR/last.safetensors"),
    "students": "[A/last.safetensors,B/last.safetensors]",
    "output": "runs/vision/mine",
}


# Keys that are for sweeps and no command's own: a point is only what other keys refer to, and keep is seen to here.
OF_SWEEPS = ("point", "keep")


class Settings(Protocol):
    """A dataclass of `vision.settings`."""

    threads: int | None

    def check(self) -> None:
        """Raise UserError for a mistake."""


S = TypeVar("S", bound=Settings)


def run(command: str, settings: type[S], task: Callable[[S], None]) -> None:
    """Compose `conf/<command>.yaml` with the command line (or each point of a `-m` sweep) and call `task` with it.

    Exit status 2 and one line on stderr for an unknown key, group option or value, and for a UserError from `task`; in
    a sweep one line for each job that raised one, after all the others have ended. With --help the text of it, and 0.
    """
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises what it would print, and exit 1, by itself
    command_line = sys.argv[1:]  # not what it is in the process that runs the job

    def job(config: DictConfig) -> Refused | None:
        with exit_on_user_error():
            try:
                _label_as_named(config)
                values = typed(config, settings)
                values.check()
                check_processes(getattr(values, "devices", 1))
                if _is_kept(config):
                    return None
                if is_sweep():
                    set_job(["python", "-m", f"vision.{command}", *words_of_job(config)])
                _set_threads(values.threads)
                with _alone(command, values):
                    task(values)
            except Exception as error:
                told = error if isinstance(error, UserError) else lost_worker(error)
                if told is None:
                    raise
                if is_sweep():
                    return refused(told, command_line)
                raise told from None
        return None

    try:
        with exit_on_user_error():
            _main(command, job, list(_keys(settings)))
    finally:
        for line in Refused.lines:
            print(f"error: {line}", file=sys.stderr, flush=True)
    if Refused.lines:
        raise SystemExit(2)


def _main(command: str, job: Callable[[DictConfig], Refused | None], keys: list[str]) -> None:
    """Raises UserError for what Hydra itself refuses, before any job."""
    words, composed = sys.argv[1:], False
    refuse_pickled_job(words)

    def begin(config: DictConfig) -> Refused | None:
        nonlocal composed
        composed = True
        return job(config)

    try:
        if {"-h", "--help"} & set(words):  # Hydra's own has every group of conf/, in lines of any length
            _show(help_text(CONF, command, keys, _not_swept(words)))
        else:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=command)(begin)()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:  # from composing only: tasks see dataclasses
        raise UserError(_one_line(error, keys)) from None
    except ValueError as error:
        if composed:
            raise
        raise UserError(f"a value of the settings is not what its tag says: {error}") from None
    except RuntimeError as error:
        if not str(error).startswith('Could not detect "srun"'):  # submitit's words
            raise
        raise UserError(
            "hydra/launcher=submitit_slurm: there is no srun here; start the sweep on the cluster"
        ) from None


def _not_swept(words: Sequence[str]) -> list[str]:
    """The overrides that are of every job, for defaults under them."""
    return [str(word.input_line) for word in given_overrides(words) if not word.is_sweep_override()]


def _show(text: str) -> None:
    """Print it, to a reader who need not want all of it, such as `head`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at exit


def typed(config: DictConfig, settings: type[S]) -> S:
    """The composed config as a `settings` object. Raises UserError for a missing, unknown or ill-typed value."""
    try:
        if missing := sorted(OmegaConf.missing_keys(config)):
            example = " ".join(f"{key}={EXAMPLES.get(key, '...')}" for key in missing)
            raise UserError(f"{', '.join(missing)} must be given, e.g. {example}; --help shows examples")
        OmegaConf.resolve(config)  # before numbers become floats: ${temperature} in a folder's name is 3, not 3.0
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key not in OF_SWEEPS])
        merged = OmegaConf.merge(OmegaConf.structured(settings), own)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        reason = str(error.msg if error.msg else error).splitlines()[0]
        if "is not a ListConfig" in reason:
            key = str(error.full_key)
            reason = f"want a list, in brackets: {key}={EXAMPLES.get(key, '[A,B]')}"
        raise UserError(f"{error.full_key}: {reason}" if error.full_key else reason) from None


def _label_as_named(config: DictConfig) -> None:
    """Tables would call the network of `model.name=NAME` alone by the label of the group's network."""
    given = {word.lstrip("+").partition("=")[0] for word in HydraConfig.get().overrides.task}
    if "model.name" in given and "model.label" not in given:
        config.model.label = config.model.name


def _is_kept(config: DictConfig) -> bool:
    """Whether the record that this job would write is there already, and is to stay. Raises UserError for no bool."""
    keep = config.get("keep", False)
    if not isinstance(keep, bool):
        raise UserError(f"keep is {keep!r}; choose true or false")
    record = Path(str(config.get("output"))) / FILE_NAME
    if keep and record.is_file():
        print(f"already there: {record}", flush=True)
    return keep and record.is_file()


def _alone(command: str, values: Settings) -> AbstractContextManager[None]:
    """Its output folder for this process alone. vision.train sees to that itself: it may run in several processes."""
    output = None if command == "train" else getattr(values, "output", None)
    return alone_in(None if output is None else Path(output))


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch  # takes a second, and --help or a misspelt key needs none of it

        torch.set_num_threads(threads)


def _keys(settings: type[Any], prefix: str = "") -> Iterator[str]:
    """Every key of a settings class, those of its groups as `recipe.epochs`."""
    for field in dataclasses.fields(settings):
        yield prefix + field.name
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            yield from _keys(field.type, f"{prefix}{field.name}.")


def _one_line(error: Exception, keys: list[str]) -> str:
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}; write KEY=VALUE, with quotes around special characters"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        names = options(error.options)
        return f"{group} has no option {option!r}" + (_meant(option, names) or f"; choose one of {', '.join(names)}")
    if match := re.match(r"Could not override '([^']+)'", text):
        key = match.group(1)
        if key in keys:
            return f"{key} takes its entries one by one, with a plus: +{key}.NAME=VALUE"
        return f"unknown key {key!r}" + (_meant(key, keys) or "; --help lists the keys")
    return " ".join(text.split("Config search path")[0].split())


def _meant(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
