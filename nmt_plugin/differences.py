"""Settings that are not what was asked for, as a message names them."""

from collections.abc import Mapping
from typing import Any


def differences(asked: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What differs, as "seed 1 (asked: 2), beam None (asked: 5)"; None stands for what is absent. "" if all agree."""
    names = [name for name in {**asked, **found} if asked.get(name) != found.get(name)]
    return ", ".join(f"{name} {_short(found.get(name))} (asked: {_short(asked.get(name))})" for name in names)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12] + "..."
