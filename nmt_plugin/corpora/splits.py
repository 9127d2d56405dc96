"""Train, valid and test.

Divided by page: no page and no sentence, source or target, is in two of them.

A split by sentence leaks, since neighbours on a page repeat each other's words. Pages go whole into a split, in the
order of a seeded hash. Still, paragraphs that many pages embed ("Choose Tools - Options...") and stock headings
("Example") stand on pages of several splits. Such a sentence stays in train alone; between valid and test it is in
neither. So valid and test hold just what was written for their own pages, and train loses nothing. (Keeping it in test
and dropping it from train would fill the test set with boilerplate; connected components of pages that share a sentence
would be one giant component.)

Where valid and test are given, they stay as they are, and train loses what stands in them.
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
    whole: dict[str, list[Pair]] = {name: [] for name in NAMES}
    for pair in pairs:
        whole[split_of[pair.page]].append(pair)
    seen_in = _splits_of_sentences(whole)
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


def split_by_step(pairs: list[Pair], step: int) -> dict[str, list[Pair]]:
    """Every `step`-th pair to valid, the others to train. UserError if there are fewer."""
    if len(pairs) < step:
        raise UserError(f"{len(pairs)} fit training pairs are too few: one in {step} is taken for validation")
    kept = [pair for number, pair in enumerate(pairs, 1) if number % step]
    return {"train": kept, "valid": pairs[step - 1 :: step]}


def divide_given(
    given: dict[str, list[Pair]], *, keep_leaks: bool = False
) -> tuple[dict[str, list[Pair]], Counter[str]]:
    """`given` with a train without its duplicates and without leaks, and how many pairs it lost by reason.

    A leak is a training pair whose source or target, compared without case, is a sentence of valid or test;
    `keep_leaks` leaves them in. UserError if a split is empty.
    """
    held = {} if keep_leaks else _splits_of_sentences({name: given[name] for name in ("valid", "test")})
    train: list[Pair] = []
    taken: set[tuple[str, str]] = set()
    dropped: Counter[str] = Counter()
    for pair in given["train"]:
        key = source, target = fold(pair.source), fold(pair.target)
        if ("source", source) in held or ("target", target) in held:
            dropped["in train, but source or target also in valid or test"] += 1
        elif key in taken:
            dropped["duplicate within train"] += 1
        else:
            taken.add(key)
            train.append(pair)
    splits = given | {"train": train}
    empty = [name for name, part in splits.items() if not part]
    if empty:
        raise UserError(f"no pair is left for {' and '.join(empty)}; what was left out stands above")
    return splits, dropped


def count_overlap(splits: dict[str, list[Pair]]) -> dict[str, int]:
    """How many pairs of valid and of test have a source or target that, compared without case, is in train too."""
    train = _splits_of_sentences({"train": splits["train"]})
    return {
        name: sum(("source", fold(pair.source)) in train or ("target", fold(pair.target)) in train for pair in part)
        for name, part in splits.items()
        if name != "train"
    }


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


def _splits_of_sentences(splits: dict[str, list[Pair]]) -> dict[tuple[str, str], set[str]]:
    """("source" or "target", folded sentence) -> the splits in which it stands."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, part in splits.items():
        for pair in part:
            found["source", fold(pair.source)].add(name)
            found["target", fold(pair.target)].add(name)
    return found
