"""What every hostile file must come to: one clear line, nothing run, nothing left, within bounds of memory and time."""

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import UserError, exit_on_user_error

MEMORY = 400  # MiB that a test may add to the largest resident set so far
SECONDS = 10.0  # of CPU


@pytest.fixture
def bounded() -> Iterator[None]:
    """Fails a test that takes more than `MEMORY` or `SECONDS`."""
    before, started = _peak(), time.process_time()
    yield
    took, added = time.process_time() - started, _peak() - before
    assert took < SECONDS, f"took {took:.1f} s of CPU"
    assert added < MEMORY, f"took {added:.0f} MiB"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """The file that malicious content would make."""
    return tmp_path / "canary"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], canary: Path) -> Callable[..., str]:
    """`refused(function, argument, ...)`: the one line with which a command ends in it, with status 2, as it must."""

    def call(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught, exit_on_user_error():
            function(*arguments, **named)
        lines = capsys.readouterr().err.splitlines()
        assert caught.value.code == 2
        assert not canary.exists(), "it ran"
        (line,) = [line for line in lines if line.startswith("error: ")]
        assert lines[-1] == line
        assert len(line) < 1000
        assert "Traceback" not in "".join(lines)
        return line.removeprefix("error: ")

    return call


@pytest.fixture
def raised() -> Callable[..., str]:
    """`raised(function, argument, ...)`: the text of its UserError."""

    def call(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
        with pytest.raises(UserError) as caught:
            function(*arguments, **named)
        return str(caught.value)

    return call


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
