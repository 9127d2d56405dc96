"""Parallel files: line n of the one is the translation of line n of the other."""

from collections.abc import Iterable
from pathlib import Path

from nmt_plugin.corpora.lines import check_partners, read_lines
from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.text import JOINERS, normalize


def read_pairs(files: Iterable[tuple[Path, Path]], block: int) -> list[Pair]:
    """All lines in order, normalized; `block` neighbouring lines of a file are a page, for `splits.split_by_page`.

    UserError where a file is missing or damaged, or the two are of different lengths.
    """
    pairs: list[Pair] = []
    for number, (source, target) in enumerate(files):
        sides = read_lines(source), read_lines(target)
        check_partners(*sides, str(source), str(target))
        pairs += [
            Pair(f"{number}:{line // block}", normalize(ours, keep=JOINERS), normalize(theirs, keep=JOINERS))
            for line, (ours, theirs) in enumerate(zip(*sides, strict=True))
        ]
    return pairs
