import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from shared.sigterm import Sigterm
from tests.two_ranks import run_two_ranks

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _handler_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_it_is_noted() -> None:
    sigterm = Sigterm()
    sigterm.watch()
    assert not sigterm.has_come(CPU)
    os.kill(os.getpid(), signal.SIGTERM)
    assert sigterm.has_come(CPU)


def test_another_thread_leaves_the_handler_as_it_is() -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=Sigterm().watch)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_comes_to_one_process_is_told_to_both(tmp_path: Path) -> None:
    run_two_ranks("tests.shared.sigterm_rank", tmp_path)
    assert [(tmp_path / f"told{rank}").read_text() for rank in range(2)] == ["False True"] * 2
