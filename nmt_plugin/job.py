"""`python -m nmt_plugin.job`: one command as a Hydra job, so that Hydra's launchers can run a grid of commands.

conf/job.yaml says what it takes.
"""

import ctypes
import fcntl
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from shared.command_line import refuse_pickled_job
from shared.errors import UserError, exit_on_user_error

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run_job(command: str, done: Path, log: str | None = None, needs: Sequence[str] = ()) -> bool:
    """Run the command unless `done` is there; whether it ran. It is logged to `log`, or else beside `done`.

    Raises UserError for a command that cannot be read or found, where a file of `needs` is not there or another process
    is at it, and where the command fails or does not make `done`.
    """
    if done.exists():
        return False
    words = _words(command)
    if missing := [file for file in needs if not Path(file).exists()]:
        raise UserError(f"{missing[0]} is not there, which this needs; what makes it has failed or was not run")
    path = done.with_name(f"{done.name}.log") if log is None else Path(log)
    for folder in (path.parent, done.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        _lock(file, done)
        _call(words, file)
    if not done.exists():
        if done.suffix:
            raise UserError(f"{words[0]} ended well, but {done} is not there; see {path}")
        done.touch()
    return True


def _lock(log: BinaryIO, done: Path) -> None:
    """Raise UserError where another process has the log: the command too, which may outlive the job that started it.

    Not the folder: that is for the command to lock.
    """
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UserError(f"another process is making {done}; wait for it to end") from None


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"command {command!r} cannot be split into words ({error}); quote it as for a shell") from None
    if not words:
        raise UserError("command is empty; give one, e.g. command='fairseq-train ...'")
    return [sys.executable, *words[1:]] if words[0] == "python" else words


def _call(words: list[str], log: BinaryIO) -> None:
    """Raises UserError, with the last line of the log, unless the command ends with status 0."""
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}  # so that what it says comes in order, and at once
    before = log.tell()  # what an earlier try said is no reason of this one
    try:
        status = subprocess.call(
            words, stdout=log, stderr=subprocess.STDOUT, env=unbuffered, preexec_fn=_end_with_parent
        )
    except OSError as error:
        raise UserError(f"{words[0]}: {error.strerror}; is it installed?") from None
    if status:
        lines = Path(log.name).read_bytes()[before:].decode("utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing was printed")
        raise UserError(f"{Path(words[0]).name} ended with status {status} (see {log.name}): {last.strip()}")


def _end_with_parent() -> None:
    """A job that is killed must not leave its command behind, training in a folder that the next call goes on in."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Command line; see conf/job.yaml."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    with exit_on_user_error():
        refuse_pickled_job(sys.argv[1:])
        try:
            _main()
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(" ".join(str(error).split())) from None
        except RuntimeError as error:
            if not str(error).startswith('Could not detect "srun"'):  # submitit's words
                raise
            raise UserError(
                "hydra/launcher=submitit_slurm: there is no srun here; start the sweep on the cluster"
            ) from None


@hydra.main(version_base="1.3", config_path="conf", config_name="job")
def _main(config: DictConfig) -> None:
    if missing := sorted(OmegaConf.missing_keys(config)):
        raise UserError(f"{', '.join(missing)} must be given; conf/job.yaml shows an example")
    values: Any = OmegaConf.to_container(config, resolve=True)
    point = " ".join(f"{key}={value}" for key, value in values["point"].items())
    log = None if values["log"] is None else str(values["log"])
    try:
        ran = run_job(str(values["command"]), Path(str(values["done"])), log, list(map(str, values["needs"])))
    except UserError as error:  # each in its place: the launcher tells of the first one alone
        print(f"{point}: {error}", file=sys.stderr, flush=True)
        raise
    print(f"{point}: {'done' if ran else 'already there'}: {values['done']}", flush=True)


if __name__ == "__main__":
    main()
