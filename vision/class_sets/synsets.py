"""The ImageNet-1K classes in WordNet's noun hierarchy, as scripts/wordnet_sets.py wrote it to imagenet.yaml."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

TABLE = Path(__file__).parent / "imagenet.yaml"


@dataclass(frozen=True)
class Synset:
    """A noun of WordNet 3.0: `n` and its offset, the wnids of its direct hypernyms, and its words (synonyms)."""

    wnid: str
    parents: tuple[str, ...]
    words: tuple[str, ...]


@cache
def imagenet_classes() -> dict[str, Synset]:
    """The 1,000 classes by wnid, in ImageNet's index order."""
    return _read()["classes"]


@cache
def ancestors(wnid: str) -> frozenset[str]:
    """The wnids of everything that this synset is a kind of, itself left out; several paths may lead there."""
    parents = _read()["all"][wnid].parents
    return frozenset(parents).union(*map(ancestors, parents))


@cache
def breadth(wnid: str) -> int:
    """The number of ImageNet-1K classes that are of this kind."""
    return sum(wnid in ancestors(one) for one in imagenet_classes())


@cache
def _read() -> dict[str, dict[str, Synset]]:
    """`classes`, and `all`: the classes and their ancestors, of which only the first word is kept."""
    raw = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    parts = {part: {synset.wnid: synset for synset in map(_synset, raw[part].splitlines())} for part in raw}
    return {"classes": parts["classes"], "all": parts["classes"] | parts["ancestors"]}


def _synset(line: str) -> Synset:
    wnid, parents, words = line.split(" ", maxsplit=2)
    return Synset(wnid, () if parents == "-" else tuple(parents.split(",")), tuple(words.split(", ")))
