"""Lines of a text file, and what can be wrong with them."""

import gzip
import zlib
from pathlib import Path

from shared.errors import UserError
from shared.unpacking import gunzip


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, plain or gzip (by its first bytes). UserError where it is missing or damaged."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gunzip(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is not a whole gzip file: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return decode(data, str(path))


def decode(data: bytes, name: str) -> list[str]:
    """Lines of UTF-8 text. Only a line feed ends a line: a carriage return or U+2028 may stand inside one.

    UserError with the line's number where the text is not UTF-8 or holds a NUL, as UTF-16 does; `name` is the file's.
    """
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{name}, line {line:,}: not UTF-8; convert the file (iconv -t UTF-8)") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UserError(f"{name}, line {line:,}: holds a NUL; convert the file if it is UTF-16 (iconv -t UTF-8)")
    return text.removesuffix("\n").split("\n") if text else []


def check_partners(source: list[str], target: list[str], source_name: str, target_name: str) -> None:
    """UserError where one side has lines more, with both numbers of lines and the first that has no partner."""
    if len(source) != len(target):
        longer, shorter = (source_name, target_name) if len(source) > len(target) else (target_name, source_name)
        raise UserError(
            f"{source_name} has {len(source):,} lines and {target_name} {len(target):,}: "
            f"line {min(len(source), len(target)) + 1:,} of {longer} has no partner in {shorter}"
        )
