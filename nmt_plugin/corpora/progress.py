"""One line per step: what, how far, how long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Note:
    """What a step has to tell when it is done."""

    text = ""


class Progress:
    """Numbers the steps of a job and prints each as it starts and ends."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @contextmanager
    def step(self, name: str) -> Iterator[Note]:
        self._done += 1
        note, start = Note(), time.monotonic()
        print(f"[{self._done}/{self._steps}] {name} ...", end="", flush=True)
        try:
            yield note
        except BaseException:
            print(flush=True)  # the error's own line follows
            raise
        print(f" {note.text} ({time.monotonic() - start:.1f} s)", flush=True)
