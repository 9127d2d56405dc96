"""Plain text: what a sentence looks like in every corpus of the project."""

import re
import unicodedata

# Python's \s holds the no-break and typographic spaces too. U+2581 is how SentencePiece writes a blank: it would come
# back from the pieces as one.
_SPACES = re.compile(r"[\s\u2581]+")
_LONG = 4096  # characters; NFC takes the square of the marks that one letter carries
JOINERS = "\u200c\u200d"  # zero-width; letters of Persian or Hindi change their form by them


def normalize(text: str, keep: str = "") -> str:
    """NFC, every run of white space as one blank, no invisible characters (soft hyphen, zero-width, controls).

    Typographic characters stay as they are: the text is also the reference that BLEU is computed against. Invisible
    characters in `keep` stay too.
    """
    blanks = _SPACES.sub(" ", text)
    visible = "".join(c for c in blanks if c in keep or unicodedata.category(c) not in ("Cc", "Cf"))
    return _SPACES.sub(" ", _composed(visible)).strip()


def _composed(text: str) -> str:
    """NFC, of long text word by word; of a word beyond every language's, a part at a time."""
    if len(text) <= _LONG:
        return unicodedata.normalize("NFC", text)
    words = ([word[at : at + _LONG] for at in range(0, len(word), _LONG)] for word in text.split(" "))
    return " ".join("".join(unicodedata.normalize("NFC", part) for part in parts) for parts in words)


def fold(text: str) -> str:
    """The form in which two sentences count as the same: without case, runs of white space as one blank."""
    return " ".join(text.casefold().split())
