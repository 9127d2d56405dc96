"""One readable name for each of ImageNet-1K's classes, whose folders are called by their wnids."""

from collections import Counter
from functools import cache

from vision.class_sets.synsets import imagenet_classes


@cache
def imagenet_names() -> dict[str, str]:
    """wnid -> the first of WordNet's words, in ImageNet's index order.

    Three first words belong to two classes each, which then end in their wnid: crane n02012849 (the bird), crane
    n03126707 (the machine), two kinds of maillot, and Cardigan the dog and cardigan the garment.
    """
    first = {wnid: synset.words[0] for wnid, synset in imagenet_classes().items()}
    times = Counter(name.casefold() for name in first.values())
    return {wnid: name if times[name.casefold()] == 1 else f"{name} {wnid}" for wnid, name in first.items()}


def readable(classes: list[str]) -> list[str]:
    """The names of these classes, in their order, where all of them are ImageNet-1K's wnids; else as they are."""
    names = imagenet_names()
    return [names[wnid] for wnid in classes] if set(classes) <= names.keys() else classes
