"""Plain text: what a sentence looks like in every corpus of the project."""

import re
import unicodedata

_SPACES = re.compile(r"\s+")  # Python's \s holds the no-break and typographic spaces too


JOINERS = "\u200c\u200d"  # zero-width; letters of Persian or Hindi change their form by them


def normalize(text: str, keep: str = "") -> str:
    """NFC, every run of white space as one blank, no invisible characters (soft hyphen, zero-width, controls).

    Typographic characters stay as they are: the text is also the reference that BLEU is computed against. Invisible
    characters in `keep` stay too.
    """
    blanks = _SPACES.sub(" ", text)
    visible = "".join(c for c in blanks if c in keep or unicodedata.category(c) not in ("Cc", "Cf"))
    return _SPACES.sub(" ", unicodedata.normalize("NFC", visible)).strip()


def fold(text: str) -> str:
    """The form in which two sentences count as the same: without case, runs of white space as one blank."""
    return " ".join(text.casefold().split())
