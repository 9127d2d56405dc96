"""kill -9 of a command at a moment drawn by chance, again and again, until it has ended in spite of it.

A moment is drawn over what the undisturbed command does in its folder: the n-th change that is seen there, the n-th
time that a temporary file is seen (half-written, most likely), or a share of the time that it takes, imports and all.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MARK = "LSKD_FAULTS"  # in the environment of all that a command starts: how its orphans are known for ours
_POLL_SECONDS = 0.001
_ORPHANS_HAVE = 30.0  # seconds to notice that they are (a study looks once a second, and then gives its jobs five)


@dataclass(frozen=True)
class Moment:
    """When to kill: at the n-th "change", "write" or "final" that is seen, or after so many seconds ("time")."""

    kind: str
    after: float


@dataclass(frozen=True)
class Watched:
    """What a command did: its exit status (None: it was killed), its last words, and what was seen of it."""

    status: int | None
    said: str
    seconds: float
    changes: int
    writes: int
    orphans: int = 0
    finals: int = (
        0  # of the changes, those of files under their final names: hardly more or fewer however often one looks
    )


def draw(chance: random.Random, undisturbed: Watched) -> Moment:
    """Half of the moments are within a write, where there are any; the others are changes and times."""
    kinds = ["write", "write", "change", "time"] if undisturbed.writes else ["change", "time"]
    kind = chance.choice(kinds)
    if kind == "time":
        return Moment(kind, chance.uniform(0.0, undisturbed.seconds))
    return Moment(kind, chance.randint(1, max(1, undisturbed.writes if kind == "write" else undisturbed.changes)))


def watch(
    command: list[str],
    folder: Path,
    log: Path,
    moment: Moment | None = None,
    *,
    gently: bool = False,
    timeout: float = 900,
) -> Watched:
    """Run the command, whose files are below `folder`, and kill its process group at the moment; or, `gently`, send the
    command SIGTERM and see what comes of it.

    Raises TimeoutError where it has not ended in time. What it says is added to `log`.
    """
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    environment = os.environ | {MARK: mark, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    seen, started, killed = _Seen(folder), time.monotonic(), False
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as file, _started(command, environment, file) as process:
        while process.poll() is None:
            seen.look()
            seconds = time.monotonic() - started
            if moment is not None and seen.reached(moment, seconds):
                moment, killed = None, not gently
                if gently:
                    process.send_signal(signal.SIGTERM)
                else:
                    os.killpg(process.pid, signal.SIGKILL)
            if seconds > timeout:
                raise TimeoutError(f"{' '.join(command)} has not ended in {timeout:.0f} s; see {log}")
            time.sleep(_POLL_SECONDS)
        status = process.wait()
    seconds = time.monotonic() - started
    orphans = len(_end_orphans(mark))
    said = log.read_bytes()[before:].decode("utf-8", errors="replace")
    return Watched(
        None if killed and status < 0 else status, said, seconds, seen.changes, seen.writes, orphans, seen.finals
    )


@contextmanager
def _started(command: list[str], environment: dict[str, str], log: object) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class _Seen:
    """Counts what changes below a folder from one look to the next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = dict(_files(folder))
        self.changes = self.writes = self.finals = 0

    def look(self) -> None:
        files = dict(_files(self._folder))
        new = {path for path, state in files.items() if self._files.get(path) != state}
        self.changes += len(new | (self._files.keys() - files.keys()))
        temporary = sum(is_temporary(Path(path)) for path in new)
        self.writes, self.finals = self.writes + temporary, self.finals + len(new) - temporary
        self._files = files

    def reached(self, moment: Moment, seconds: float) -> bool:
        seen = {"change": self.changes, "write": self.writes, "final": self.finals, "time": seconds}
        return seen[moment.kind] >= moment.after


def is_temporary(path: Path) -> bool:
    """Whether a file is, by its name or its folder's, not yet what it is to be."""
    return any(part.endswith((".part", ".tmp", ".shards")) for part in path.parts)


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """(path, what changes when it is written) of every file; one that goes while one looks is not there."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                found = entry.stat(follow_symlinks=False)
                yield entry.path, (found.st_ino, found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            continue


def _end_orphans(mark: str) -> list[int]:
    """Wait for what bears the mark to end by itself; the processes that did not, which are then killed."""
    deadline = time.monotonic() + _ORPHANS_HAVE
    while (left := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return left


def _marked(mark: str) -> list[int]:
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found
