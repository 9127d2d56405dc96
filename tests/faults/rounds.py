"""Rounds of kills: a command is started in a new folder, killed, and started again until it ends; then compared."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.inputs import Inputs
from tests.faults.kills import Moment, Watched, draw, watch
from tests.faults.subjects import Subject
from tests.faults.whole import partial_files


@dataclass
class Event:
    """One start of a command in a round, and how it ended: killed, or well, with what was then found."""

    subject: str
    number: int  # of the start, over all rounds
    killed: bool
    seconds: float
    moment: dict[str, Any] = field(default_factory=dict)
    partial: list[str] = field(default_factory=list)
    orphans: int = 0
    failure: str = ""  # the last words of a start that neither was killed nor ended well
    differing: list[str] | None = None  # of a start that ended well: what is not as undisturbed

    @property
    def good(self) -> bool:
        return not (self.partial or self.orphans or self.failure or self.differing)


class Killing:
    """Kills one subject at moments that depend on seed and number alone, so that an interrupted series goes on."""

    def __init__(self, subject: Subject, inputs: Inputs, folder: Path, seed: int) -> None:
        self._subject, self._inputs, self._folder, self._seed = subject, inputs, folder, seed
        shutil.rmtree(folder, ignore_errors=True)
        self.undisturbed = self._start("undisturbed", None)
        assert self.undisturbed.status == 0, self.undisturbed.said[-3000:]
        self._wanted = subject.outcome(folder / "undisturbed" / "out")
        assert self._wanted

    def events(self, kills: int, first: int = 0) -> Iterator[Event]:
        """So many kills, numbered with the other starts from `first`; the last round is let come to its end."""
        number, fresh = first, True
        while kills > 0 or not fresh:
            if fresh:
                shutil.rmtree(self._folder / "killed", ignore_errors=True)
            event = self._event(number, disturbed=kills > 0)
            yield event
            number, kills, fresh = number + 1, kills - event.killed, not event.killed

    def told_to_stop(self) -> tuple[Watched, Watched, list[str]]:
        """What SIGTERM in the middle of the command's work made of it, the next call, and what then differs."""
        folder = self._folder / "told"
        moment = Moment("final", self.undisturbed.finals // 2)
        told = self._start("told", moment, gently=True)
        return told, self._start("told", None), self.differing(folder / "out")

    def _event(self, number: int, disturbed: bool) -> Event:
        chance = random.Random(f"{self._seed} {self._subject.name} {number}")
        moment = draw(chance, self.undisturbed) if disturbed else None
        watched = self._start("killed", moment)
        event = Event(
            self._subject.name, number, watched.status is None, round(watched.seconds, 2),
            asdict(moment) if moment else {}, partial_files(self._folder / "killed"), watched.orphans,
        )  # fmt: skip
        if watched.status == 0:
            event.differing = self.differing(self._folder / "killed" / "out")
        elif watched.status is not None:
            event.failure = " | ".join(watched.said.strip().splitlines()[-3:])[-500:]
        return event

    def _start(self, name: str, moment: Moment | None, *, gently: bool = False) -> Watched:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        command = self._subject.command(self._inputs, folder / "out")
        return watch(command, folder, self._folder / f"{name}.log", moment, gently=gently)

    def differing(self, output: Path) -> list[str]:
        """What a finished command has left there that is not as the undisturbed one has left it."""
        found = self._subject.outcome(output)
        return sorted(key for key in found.keys() | self._wanted.keys() if found.get(key) != self._wanted.get(key))
