"""One clear line and exit status 2 for a user's mistake, never a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake the user can mend: the message names the thing and says what would be right."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turn a UserError inside the block into `error: ...` on stderr and exit status 2."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


def check_alpha(alpha: float) -> float:
    """The label-smoothing weight, refused outside [0, 1)."""
    if not 0.0 <= alpha < 1.0:  # also refuses NaN
        raise UserError(f"alpha (label smoothing) is {alpha}; it must be in [0, 1), e.g. 0.1")
    return alpha


def check_temperature(temperature: float) -> float:
    """The distillation temperature, refused unless finite and above 0."""
    if not 0.0 < temperature < float("inf"):
        raise UserError(f"temperature is {temperature}; it must be a finite number above 0, e.g. 1 or 3")
    return temperature
