"""SIGTERM, as Slurm and others send it some seconds before SIGKILL, noted so that a training can end well."""

import signal
import threading

import torch

from shared.ranks import sum_over_ranks, world_size

STATUS = 128 + signal.SIGTERM  # 143, what a shell says of a process that SIGTERM has ended


class Sigterm:
    """Whether SIGTERM has come since `watch`; until then it ends the process as ever."""

    def __init__(self) -> None:
        self._has_come = False

    def watch(self) -> None:
        """Note it from now on; without effect in a thread that is not the main one, where Python allows no handlers."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, *_: object) -> None:
        self._has_come = True

    def has_come(self, device: torch.device) -> bool:
        """To any process of torch.distributed's default group: all have to ask, and all stop at the same update.

        `device` is one that the group's backend can sum on.
        """
        if world_size() == 1:
            return self._has_come
        return bool(sum_over_ranks(torch.tensor(float(self._has_come), device=device)) > 0)
