"""Which pairs are fit to learn a translation from, with a named reason for every one that is not."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from nmt_plugin.corpora.pairs import Pair

# A broken cross-reference of the help shows up as "[text/scalc/01/x.xhp#y not found]."
# No part of the pattern can match where another does: a line of "[#[#[#..." would take for ever.
_BROKEN_LINK = re.compile(r"\[[^\s\[#]+#[^\s\[]+ not found\]")
_WORDS = re.compile(r"[^\W\d_]+")
_ENGLISH = frozenset(
    {"the", "of", "and", "to", "is", "for", "with", "that", "this", "you", "are"}
    | {"by", "from", "or", "not", "can", "be", "which", "when", "your", "if", "as"}
)
# Unicode names of a script's letters start so.
_SCRIPTS = {"ru": "CYRILLIC", "de": "LATIN", "en": "LATIN"}


@dataclass(frozen=True)
class Rules:
    """Limits of a fit pair; `min_script` is the share of a side's letters that belong to its language's script."""

    max_words: int = 100
    max_characters: int = 1000
    max_ratio: float = 2.2
    min_script: float = 0.1


def clean(pairs: Iterable[Pair], source: str, target: str, rules: Rules) -> tuple[list[Pair], Counter[str]]:
    """The fit pairs in their order, and how many others had which reason. `source`, `target`: languages, as "en"."""
    kept: list[Pair] = []
    dropped: Counter[str] = Counter()
    for pair in pairs:
        reason = unfit(pair, source, target, rules)
        if reason is None:
            kept.append(pair)
        else:
            dropped[reason] += 1
    return kept, dropped


def unfit(pair: Pair, source: str, target: str, rules: Rules) -> str | None:
    """The first reason why a pair is unfit, or None."""
    sides = (pair.source, pair.target)
    lengths = sorted(len(side) for side in sides)
    if not all(sides):
        return "empty"
    if not all(any(character.isalpha() for character in side) for side in sides):
        return "no letters"
    if _skeleton(pair.source) == _skeleton(pair.target):
        return "identical"
    if any(_BROKEN_LINK.search(side) for side in sides):
        return "broken link"
    if lengths[1] > rules.max_characters or max(len(side.split()) for side in sides) > rules.max_words:
        return "too long"
    # Ten characters more on both sides: in a heading of one word a high ratio says nothing.
    if lengths[1] + 10 > rules.max_ratio * (lengths[0] + 10):
        return "length ratio"
    if target in _SCRIPTS.keys() - {"en"} and _looks_english(pair.target):
        return "untranslated"
    if any(
        _script_share(side, language) < rules.min_script for side, language in zip(sides, (source, target), strict=True)
    ):
        return "wrong script"
    return None


def _skeleton(text: str) -> str:
    """Letters and digits alone: a copy with other quotes or dots is still a copy."""
    return "".join(character for character in text.casefold() if character.isalnum())


def _looks_english(text: str) -> bool:
    """Three function words of English and a sixth of all words; a translated sentence quotes at most one or two.

    Not to be asked of languages that share those words: "is" and "of" are Dutch, "for" and "by" Norwegian.
    """
    words = _WORDS.findall(text.casefold())
    english = sum(word in _ENGLISH for word in words)
    return english >= 3 and english * 6 >= len(words)


def _script_share(text: str, language: str) -> float:
    """Share of the letters that are of the language's script; 1 for a language whose script is not listed."""
    script = _SCRIPTS.get(language)
    if script is None:
        return 1.0
    letters = [character for character in text if character.isalpha()]
    return sum(unicodedata.name(letter, "").startswith(script) for letter in letters) / max(len(letters), 1)
