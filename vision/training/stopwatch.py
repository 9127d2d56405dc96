"""Time spent in parts of a step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Stopwatch:
    """Seconds between marks, on the device's own clock: on a GPU nothing waits until the seconds are asked for."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._spans: list[tuple[Any, Any]] = []

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @contextmanager
    def measured(self) -> Iterator[None]:
        """The time of this block counts."""
        start = self._mark()
        yield
        self._spans.append((start, self._mark()))

    def seconds(self) -> float:
        """Of all blocks since the last call; waits for the GPU."""
        if self._cuda and self._spans:
            torch.cuda.synchronize()
        spans, self._spans = self._spans, []
        return sum(a.elapsed_time(b) / 1000 if self._cuda else b - a for a, b in spans)
