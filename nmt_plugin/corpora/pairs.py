"""The unit that the stages hand on."""

from typing import NamedTuple


class Pair(NamedTuple):
    """A sentence (or heading, or paragraph), its translation, and the page both stand on."""

    page: str
    source: str
    target: str
