"""Target tokens as classes: those that are frequent enough for a centroid, and which of them look like words."""

import difflib
from collections.abc import Mapping

from fairseq.data import Dictionary
from torch import Tensor

from shared.errors import UserError

WORD_START = "\u2581"  # SentencePiece's mark of a space before the piece
_WORD_LETTERS = 4
_DEFAULT_TARGETS = 3


class TokenClasses:
    """The dictionary entries with at least `floor` occurrences in each measured split, in the dictionary's order.

    pad, unk, bos and eos are none. `entries` are their places in the dictionary, `names` the tokens; a class is known
    elsewhere by its place in these two.
    """

    def __init__(self, dictionary: Dictionary, counts: Mapping[str, Tensor], floor: int) -> None:
        """`counts` maps a split to the occurrences [V] of each entry. Raises UserError where fewer than 3 remain."""
        specials = {dictionary.pad(), dictionary.unk(), dictionary.bos(), dictionary.eos()}
        self._dictionary, self._counts, self.floor = dictionary, counts, floor
        self._ordinary = [entry for entry in range(len(dictionary)) if entry not in specials]
        fewest = [min(int(of[entry]) for of in counts.values()) for entry in self._ordinary]
        self.entries = [entry for entry, count in zip(self._ordinary, fewest, strict=True) if count >= floor]
        self.names = [dictionary[entry] for entry in self.entries]
        if len(self.entries) < 3:
            raise UserError(
                f"{len(self.entries)} tokens occur at least {floor} times in {' and in '.join(counts)}; eta needs a "
                "target, S1 and S2: lower --min-count, or measure more sentences"
            )

    def place(self, token: str) -> int:
        """Place of a token given by its text. Raises UserError for an unknown token, or one below the floor."""
        if token in self.names:
            return self.names.index(token)
        if token not in self._dictionary.indices:
            close = [WORD_START + token] if WORD_START + token in self.names else []
            close = close or difflib.get_close_matches(token, self.names, n=3)
            raise UserError(
                f"{token!r} is not in the target dictionary"
                + (f"; did you mean {' or '.join(close)}?" if close else "")
            )
        entry = self._dictionary.indices[token]
        found = ", ".join(f"{int(of[entry]):,} times in {split}" for split, of in self._counts.items())
        raise UserError(f"{token!r} occurs {found}; --min-count is {self.floor}, and specials are no classes")

    def frequent_words(self) -> list[str]:
        """The most frequent word-like pieces in the first split: the mark of a word's start, then 4 letters or more.

        Raises UserError where no class is one.
        """
        first = next(iter(self._counts.values()))
        wordlike = [
            (-int(first[entry]), entry, name)
            for entry, name in zip(self.entries, self.names, strict=True)
            if name.startswith(WORD_START) and len(name) > _WORD_LETTERS and name[1:].isalpha()
        ]
        if not wordlike:
            raise UserError("no frequent token looks like a word; name --targets yourself")
        return [name for *_, name in sorted(wordlike)[:_DEFAULT_TARGETS]]

    def __str__(self) -> str:
        """How many classes are left out, and how much of each split's text the others hold."""
        seen = sum(any(int(of[entry]) for of in self._counts.values()) for entry in self._ordinary)
        held = []
        for split, of in self._counts.items():
            held.append(f"{int(of[self.entries].sum()) / int(of[self._ordinary].sum()):.0%} of {split}'s tokens")
        return (
            f"{len(self.entries):,} tokens occur at least {self.floor} times in {' and in '.join(self._counts)}; the "
            f"other {seen - len(self.entries):,} are left out of everything ({', '.join(held)} kept)"
        )
