"""One clear line and exit status 2 for a user's mistake, never a traceback; a disk without room counts as one."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of the disk, of the user's quota, of a limit on a file's size


class UserError(ValueError):
    """A mistake the user can mend: the message names the thing and says what would be right."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Turn a UserError, or a write for which there is no room, into `error: ...` on stderr and exit status 2."""
    try:
        yield
    except UserError as error:
        _exit(str(error))
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _exit(str(no_room(error.filename or "a file that was being written", error)))


def _exit(message: str) -> NoReturn:
    print(f"error: {one_line(message)}", file=sys.stderr, flush=True)
    raise SystemExit(2) from None


def one_line(text: str) -> str:
    """`text` with control characters and line ends, as names of files may hold them, written out as Python does."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: ascii(found[0])[1:-1], text)


def no_room(path: object, error: BaseException) -> UserError | None:
    """What to tell the user where `error`, or what it came of, is a disk without room for `path`; else None.

    torch hides the system's own words behind a RuntimeError.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return UserError(f"{path} cannot be written ({cause.strerror}); make room and start it again")
    return None


def lost_worker(error: BaseException) -> UserError | None:
    """What to tell the user where `error`, or what it came of, is torch's of a data loader's process that was killed;
    else None. torch raises it from a signal, wherever the program is, in the middle of writing a checkpoint too.
    """
    for cause in _causes(error):
        if str(cause).startswith("DataLoader worker"):
            reason = str(cause).partition("\n")[0].strip().rstrip(".")
            return UserError(
                f"{reason}: was there enough memory? start it again, with fewer workers if it happens again"
            )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of, latest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def check_alpha(alpha: float) -> float:
    """The label-smoothing weight, refused outside [0, 1)."""
    if not 0.0 <= alpha < 1.0:  # also refuses NaN
        raise UserError(f"alpha (label smoothing) is {alpha}; it must be in [0, 1), e.g. 0.1")
    return alpha


def check_temperature(temperature: float) -> float:
    """The distillation temperature, refused unless it is from 1e-9 to 1e9: beyond, T^2 or logits / T leave fp32."""
    if not 1e-9 <= temperature <= 1e9:
        raise UserError(f"temperature is {temperature}; it must be a finite number above 0, e.g. 1 or 3 (1e-9 to 1e9)")
    return temperature
