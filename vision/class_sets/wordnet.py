"""S1 and S2 of ImageNet classes from the WordNet hierarchy.

Chandrasegaran et al. (2022) choose both from "the ImageNet knowledge graph" (WordNet) and publish neither the rule nor
the sets. The rule here:

S1  the other classes of the data set below the target's nearest ancestor with at least `FEWEST` of them, the target
    included. Nearest is the ancestor with the fewest classes (a synset may have several parents; of equals the lower
    wnid). An ancestor of more than `BROADEST` of ImageNet's 1,000 classes makes nothing similar; then there is no S1.
S2  every class that shares no ancestor with the target below `LEVEL`: for an animal, what is no living thing.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from shared.diffusion import ClassSets
from shared.errors import UserError
from vision.class_sets.references import ClassNames
from vision.class_sets.synsets import ancestors, breadth

FEWEST = 3  # so that S1 is at least two: eta is their mean
BROADEST = 130  # as broad as "dog" (118) and "device" (130), not "carnivore" (158) or "mammal" (218)
LEVEL, LEVEL_NAME = "n00003553", "whole"  # the synset just above "living thing" and "artifact"
CHOSEN_BY = (
    f"WordNet (S1: nearest ancestor of {FEWEST} to {BROADEST} classes, S2: no common ancestor below {LEVEL_NAME!r})"
)


class Hierarchy:
    """The classes of one data set, ImageNet's or some of them, below their ancestors.

    Raises UserError where a class is no ImageNet class.
    """

    def __init__(self, names: ClassNames) -> None:
        try:
            self._wnids = [names.wnid(index) for index in range(len(names.names))]
        except UserError as error:
            raise UserError(f"sets=wordnet is for ImageNet's classes: {error}") from None

    def similar(self, target: int) -> list[int]:
        """S1, in rising order; empty where no ancestor of at most `BROADEST` classes has `FEWEST` of the data set."""
        above = self._above(target).items()
        fit = [(len(members), a) for a, members in above if len(members) >= FEWEST and breadth(a) <= BROADEST]
        return sorted(self._below[min(fit)[1]] - {target}) if fit else []

    def dissimilar(self, target: int) -> list[int]:
        """S2, in rising order."""
        near = {target}.union(*self._above(target).values())
        return [index for index in range(len(self._wnids)) if index not in near]

    def _above(self, target: int) -> dict[str, set[int]]:
        return {a: self._below[a] for a in ancestors(self._wnids[target]) if a in self._below}

    @cached_property
    def _below(self) -> dict[str, set[int]]:
        """Class indices below each ancestor, `LEVEL` and what is above it left out."""
        below: dict[str, set[int]] = {}
        for index, wnid in enumerate(self._wnids):
            for ancestor in ancestors(wnid) - ancestors(LEVEL) - {LEVEL}:
                below.setdefault(ancestor, set()).add(index)
        return below


def wordnet_sets(names: ClassNames, targets: Sequence[int] | None) -> Iterator[ClassSets]:
    """S1 and S2 of the targets; for None, of every class that has both.

    Raises UserError for a target without S1 or S2, and where no class has both.
    """
    hierarchy = Hierarchy(names)
    found = 0
    for target in range(len(names.names)) if targets is None else targets:
        s1, s2 = hierarchy.similar(target), hierarchy.dissimilar(target)
        if s1 and s2:
            found += 1
            yield ClassSets(target, s1, s2, CHOSEN_BY)
        elif targets is not None:
            lacking = "dissimilar" if s1 else "similar"
            raise UserError(
                f"WordNet has no class {lacking} to {names.label(target)} here; name its sets in a YAML file"
            )
    if not found:
        raise UserError("WordNet has similar and dissimilar classes to none of these; name sets in a YAML file")
