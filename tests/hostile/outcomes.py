"""What came of a call that may refuse its file."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import UserError


def refusal(call: Callable[..., Any], *arguments: Any) -> str | None:
    """None where it returned; else the text of its UserError. Any other error is the test's."""
    try:
        call(*arguments)
    except UserError as error:
        return str(error)
    return None


def exit_status(call: Callable[..., Any], *arguments: Any) -> int | str | None:
    """0 where it returned, else the status with which it would end the process."""
    try:
        call(*arguments)
    except SystemExit as ended:
        return ended.code
    return 0


def error_line(capsys: pytest.CaptureFixture[str], call: Callable[..., Any], *arguments: Any) -> str:
    """The one line that it says before it ends with status 2."""
    assert exit_status(call, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said
