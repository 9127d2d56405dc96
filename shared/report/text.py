"""How the report writes numbers, quantities and lists in English."""

from collections.abc import Sequence
from datetime import datetime

# Written as escapes: the letters look like Latin ones in an editor.
ALPHA, ETA, MINUS, TIMES = "\u03b1", "\u03b7", "\u2212", "\u00d7"
ARROW, PLUS_MINUS, NO_BREAK, SAME_OR_MORE = "\u2192", "\u00b1", "\u00a0", "\u2264"
CONFIDENCE = f"95{NO_BREAK}%{NO_BREAK}t"
SMOOTHED = f"{ALPHA}{NO_BREAK}>{NO_BREAK}0"


def number(value: float, digits: int) -> str:
    """`value` with a fixed number of decimals and a true minus sign; never a negative zero."""
    text = f"{value:.{digits}f}"
    if text.startswith("-"):
        text = text[1:] if float(text) == 0 else MINUS + text[1:]
    return text


def signed(value: float, digits: int) -> str:
    """`number` with an explicit plus sign for a positive value."""
    text = number(value, digits)
    return text if text.startswith(MINUS) or float(text) == 0 else "+" + text


def p_text(p: float | None) -> str:
    """A p value: `0.031`, `< 0.001`; a dash where there is none."""
    if p is None:
        return "\N{EN DASH}"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(quantity: int, noun: str) -> str:
    """`1 seed`, `2,004 sentences`."""
    return f"{quantity:,}{NO_BREAK}{noun}" + ("" if quantity == 1 else "s")


def listing(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else "".join(items)


def alpha_label(alpha: float | None) -> str:
    """The label smoothing of a teacher, as a column head."""
    return f"{ALPHA}{NO_BREAK}not recorded" if alpha is None else f"{ALPHA}{NO_BREAK}={NO_BREAK}{alpha:g}"


def temperature_label(temperature: float | None) -> str:
    """The temperature of a student, as a row head."""
    return "no temperature" if temperature is None else f"T{NO_BREAK}={NO_BREAK}{temperature:g}"


def capitalized(label: str) -> str:
    """The first letter as at the start of a sentence; names such as chrF keep theirs."""
    return label if any(letter.isupper() for letter in label.split(",")[0]) else label[:1].upper() + label[1:]


def moment(timestamp: str) -> str:
    """`1 March 2025, 10:00 UTC` from an ISO timestamp in UTC; anything else as it is."""
    try:
        when = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return timestamp
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """`48 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def memory(quantity: int) -> str:
    """Bytes as MiB below 1 GiB, else GiB."""
    return f"{quantity / 2**20:.0f} MiB" if quantity < 2**30 else f"{quantity / 2**30:.2f} GiB"


def plain(name: str) -> str:
    """A name as matplotlib shows it letter by letter, at most 30 of them: no mathematics, no label hidden by `_`."""
    escaped = (name if len(name) <= 30 else f"{name[:27]}...").replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped
