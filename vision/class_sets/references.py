"""What a person may write for a class of a data set: its name, a WordNet id, or its index."""

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache

from shared.errors import UserError
from vision.class_sets.imagenet_names import imagenet_names
from vision.class_sets.synsets import imagenet_classes

SHOWN = 20  # names in a message
CUB_NUMBER = re.compile(r"^\d{3}\.")  # `064.Ring_billed_Gull`


class ClassNames:
    """The class names of a data set, by index, and what they may be called.

    Upper and lower case, underscores, hyphens and spaces do not matter, nor does CUB's number before a name. A class of
    ImageNet, named by its wnid or as `imagenet_names` has it, may be called by its wnid and any of WordNet's words.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._by_name: dict[str, list[int]] = {}
        self._by_synonym: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            _add(self._by_name, index, (name, CUB_NUMBER.sub("", name)))
            if wnid := _wnid(name):
                _add(self._by_synonym, index, (wnid, *imagenet_classes()[wnid].words))

    def resolve(self, reference: str) -> int:
        """Index of the class that `reference` means; a name goes before a synonym, and that before an index.

        Raises UserError for a name of several classes, listing them, and for an unknown one, with those like it.
        """
        if len(found := self._called(reference)) == 1:
            return found[0]
        if found:
            raise UserError(
                f"{len(found)} classes are called {reference!r}; name the one you mean by its index or full name: "
                + ", ".join(f"{index} ({self.label(index)})" for index in found)
            )
        if reference.isdecimal() and len(reference) < 10 and int(reference) < len(self.names):
            return int(reference)
        raise UserError(f"unknown class {reference!r}; {self._suggestion(reference)}")

    def resolve_all(self, references: Iterable[str], where: str) -> list[int]:
        """Indices in the order of the references. Raises UserError, naming `where`, where two mean one class."""
        seen: dict[int, str] = {}
        for reference in references:
            if (index := self.resolve(reference)) in seen:
                raise UserError(
                    f"{where} names a class twice: {seen[index]!r} and {reference!r} are both {self.label(index)}"
                )
            seen[index] = reference
        return list(seen)

    def label(self, index: int) -> str:
        """A class's name for messages, with the first of WordNet's words where the name is a wnid."""
        synset = imagenet_classes().get(name := self.names[index])
        return f"{name} {synset.words[0]}" if synset else name

    def wnid(self, index: int) -> str:
        """The ImageNet class that a class is, by its wnid or any of its words. Raises UserError for none or several."""
        if wnid := _wnid(name := self.names[index]):
            return wnid
        if len(found := _imagenet()._called(name)) != 1:  # `resolve` would take a digit's name for an index
            raise UserError(f"{name!r} is {'the name of several' if found else 'none'} of them; name classes by wnid")
        return list(imagenet_classes())[found[0]]

    def _called(self, reference: str) -> list[int]:
        """Indices of the classes of that very name, else of those that are called so."""
        exact = [index for index, name in enumerate(self.names) if name == reference]
        folded = _folded(reference)
        if found := exact or self._by_name.get(folded) or self._by_synonym.get(folded):
            return found
        synset = imagenet_classes().get(reference)  # a wnid, for classes that are named otherwise
        words = map(_folded, synset.words) if synset else ()
        return sorted({index for word in words for index in self._by_name.get(word, [])})

    def _suggestion(self, reference: str) -> str:
        known = self._by_synonym | self._by_name
        close = [] if reference.isdecimal() else difflib.get_close_matches(_folded(reference), known)
        if indices := list(dict.fromkeys(index for alias in close for index in known[alias])):
            return f"did you mean {' or '.join(f'{self.label(index)} (index {index})' for index in indices)}?"
        shown = ", ".join(map(self.label, range(min(SHOWN, len(self.names)))))
        return f"choose an index below {len(self.names)} or one of: {shown}{', ...' * (len(self.names) > SHOWN)}"


def resolve(reference: str, class_names: Sequence[str]) -> int:
    """Index of the class of a data set that `reference` means; see `ClassNames.resolve`."""
    return ClassNames(class_names).resolve(reference)


@cache
def _imagenet() -> ClassNames:
    return ClassNames(list(imagenet_names().values()))


def _wnid(name: str) -> str | None:
    return name if name in imagenet_classes() else _wnid_of_name().get(name)


@cache
def _wnid_of_name() -> dict[str, str]:
    return {name: wnid for wnid, name in imagenet_names().items()}


def _add(aliases: dict[str, list[int]], index: int, names: Iterable[str]) -> None:
    for alias in {_folded(name) for name in names}:
        aliases.setdefault(alias, []).append(index)


def _folded(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.casefold())).strip()
