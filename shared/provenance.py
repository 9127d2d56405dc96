"""Where a result comes from: command, commit, versions, time and memory of the run that made it."""

import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from shared.errors import UserError

_REPORTED_PACKAGES = (
    *("lskd", "torch", "torchvision", "numpy", "fairseq-fixed", "fairseq", "sacrebleu", "sentencepiece"),
    *("lightning", "timm", "hydra-core", "safetensors"),
)


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from. `wall_seconds` is the run's own time, `peak_memory_bytes` its largest resident set."""

    command: list[str]
    git_commit: str | None
    versions: dict[str, str]
    device: str
    finished: str
    wall_seconds: float
    peak_memory_bytes: int
    deterministic: bool | None = None  # whether torch kept to algorithms that give the same bits again


# The command of the job that runs now, where this process was started for jobs in general, by joblib or Slurm.
_job: list[str] = []


def set_job(command: Sequence[str]) -> None:
    """Say which command would do what this process is about to do: that of one point of a sweep."""
    _job[:] = command


class RunClock:
    """Made when a run starts; gives its Provenance when it ends."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        """Raises UserError for a command line that is not UTF-8: no record could hold it."""
        self._started = time.monotonic()
        # orig_argv keeps `-m package.module`; the interpreter's folder says nothing to another machine.
        typed = _job or [Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]]
        self._command = list(typed if command is None else command)
        if odd := next((word for word in self._command if _is_no_text(word)), None):
            raise UserError(f"the command line holds {odd!a}, which is not UTF-8; rename the file or folder")

    def provenance(self, device: str, *, extra_seconds: float = 0.0) -> Provenance:
        """`extra_seconds` adds time spent in an earlier process of the same run (training, before evaluation)."""
        return Provenance(
            command=self._command,
            git_commit=git_commit(),
            versions=package_versions(),
            device=device,
            finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            wall_seconds=round(time.monotonic() - self._started + extra_seconds, 3),
            peak_memory_bytes=peak_memory_bytes(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
        )


def _is_no_text(word: str) -> bool:
    """Python makes halves of surrogate pairs of bytes that are not UTF-8."""
    return any("\ud800" <= letter <= "\udfff" for letter in word)


def package_versions(names: Iterable[str] = _REPORTED_PACKAGES) -> dict[str, str]:
    """Installed version of each package that a result depends on, and of Python."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_commit() -> str | None:
    """This checkout's commit, with `-dirty` where tracked files differ; None outside a checkout or without git.

    An installed copy that lies inside some other project's checkout is not described by that project's commit.
    """
    root = Path(__file__).resolve().parent.parent
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root:
        return None
    return _git(root, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return run.stdout.strip() or None


def peak_memory_bytes() -> int:
    """Largest resident set of this process or of one of its finished children, in bytes."""
    kibibytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kibibytes * 1024
