"""One process for each GPU, as fairseq-train launches them by itself: SIGTERM reaches them, and their status counts."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fairseq.distributed import utils
from torch.multiprocessing.spawn import ProcessExitedException

from shared.sigterm import STATUS


def watch_spawned() -> None:
    """Let the process that launches the others, and does nothing but wait for them, end as they do.

    By itself it dies of SIGTERM, upon which torch interrupts the others at once; and where one of them has said why and
    exited, with 143 or 2, it ends in a traceback and status 1.
    """
    call = utils.call_main

    def call_main(cfg: Any, main: Callable[..., Any], **others: Any) -> Any:
        training = cfg.distributed_training
        utils.infer_init_method(training)  # as fairseq does: it tells whether processes are to be launched
        if training.distributed_init_method is None or training.distributed_no_spawn:
            return call(cfg, main, **others)
        with _handing_on():
            try:
                return call(cfg, main, **others)
            except ProcessExitedException as error:
                status = STATUS if error.exit_code == -signal.SIGTERM else error.exit_code
                if status < 0:
                    raise
                raise SystemExit(status) from None

    utils.call_main = call_main


@contextmanager
def _handing_on() -> Iterator[None]:
    """SIGTERM goes on to the processes that this one has started; without effect in a thread but the main one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGTERM, _hand_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _hand_on(*_: object) -> None:
    for process in multiprocessing.active_children():
        process.terminate()
