"""Train, valid and test, divided by page: no page and no sentence, source or target, is in two of them.

A split by sentence leaks, since neighbours on a page repeat each other's words. Pages go whole into a split, in the
order of a seeded hash. Still, paragraphs that many pages embed ("Choose Tools - Options...") and stock headings
("Example") stand on pages of several splits. Such a sentence stays in train alone; between valid and test it is in
neither. So valid and test hold just what was written for their own pages, and train loses nothing. (Keeping it in test
and dropping it from train would fill the test set with boilerplate; connected components of pages that share a sentence
would be one giant component.)
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable

from nmt_plugin.corpora.pairs import Pair
from nmt_plugin.corpora.text import fold
from shared.errors import UserError

NAMES = ("train", "valid", "test")


def split_by_page(pairs: list[Pair], *, valid: int, test: int, seed: int) -> tuple[dict[str, list[Pair]], Counter[str]]:
    """Split name -> pairs in page order, and how many pairs were left out by reason.

    `valid` and `test` are the sizes aimed at, in pairs; a split ends with the page that reaches its size. In valid and
    test a source stands once (with its first translation), in train every distinct pair stands once, compared without
    case. UserError if a split would stay empty.
    """
    split_of = _assign_pages(pairs, {"test": test, "valid": valid}, seed)
    seen_in = _splits_of_sentences(pairs, split_of)
    splits: dict[str, list[Pair]] = {name: [] for name in NAMES}
    taken: dict[str, set[tuple[str, ...]]] = {name: set() for name in NAMES}
    dropped: Counter[str] = Counter()
    for pair in pairs:
        name = split_of[pair.page]
        source, target = fold(pair.source), fold(pair.target)
        key = (source, target) if name == "train" else (source,)
        if name != "train" and len(seen_in["source", source] | seen_in["target", target]) > 1:
            dropped["in valid or test, but also on pages of another split"] += 1
        elif key in taken[name]:
            dropped["duplicate within its split"] += 1
        else:
            taken[name].add(key)
            splits[name].append(pair)
    empty = [name for name, part in splits.items() if not part]
    if empty:
        raise UserError(
            f"no pair is left for {' and '.join(empty)}: the text has too few pages with sentences of their own"
        )
    return splits, dropped


def count_distinct(pairs: Iterable[Pair]) -> int:
    """How many pairs differ, compared without case."""
    return len({(fold(pair.source), fold(pair.target)) for pair in pairs})


def _assign_pages(pairs: Iterable[Pair], sizes: dict[str, int], seed: int) -> dict[str, str]:
    """Page -> split. Fills the sizes in turn with pages in hash order, by sources that no other page has."""
    pages_of: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        pages_of[fold(pair.source)].add(pair.page)
    own = Counter(next(iter(pages)) for pages in pages_of.values() if len(pages) == 1)
    left = sorted(
        {page for pages in pages_of.values() for page in pages}, key=lambda page: _rank(page, seed), reverse=True
    )
    split_of: dict[str, str] = {}
    for name, size in sizes.items():
        filled = 0
        while filled < size and left:
            page = left.pop()
            split_of[page] = name
            filled += own[page]
    if not left:
        raise UserError(
            f"valid and test ({' and '.join(map(str, sizes.values()))} pairs) leave no page for train; ask for fewer"
        )
    return split_of | dict.fromkeys(left, "train")


def _rank(page: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\0{page}".encode()).hexdigest()


def _splits_of_sentences(pairs: Iterable[Pair], split_of: dict[str, str]) -> dict[tuple[str, str], set[str]]:
    """("source" or "target", folded sentence) -> the splits on whose pages it stands."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for pair in pairs:
        found["source", fold(pair.source)].add(split_of[pair.page])
        found["target", fold(pair.target)].add(split_of[pair.page])
    return found
