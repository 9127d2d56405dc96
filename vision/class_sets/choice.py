"""The ways to choose S1 and S2, by the name that the command line gives them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from shared.diffusion import ClassSets
from shared.errors import UserError
from vision.class_sets.explicit import NamedSets, named_sets
from vision.class_sets.families import family_sets
from vision.class_sets.published import TARGETS, published_sets
from vision.class_sets.references import ClassNames
from vision.class_sets.set_file import read_set_file
from vision.class_sets.wordnet import wordnet_sets

WAYS = ("explicit", "nearest", "wordnet", "families", *TARGETS)


def check_way(way: str) -> None:
    """Raise UserError unless `way` is one of `WAYS` or a YAML file that exists."""
    if way in WAYS:
        return
    if not _is_set_file(way):
        raise UserError(f"sets is {way!r}; choose one of {', '.join(WAYS)}, or a YAML file of sets, e.g. sets.yaml")
    if not Path(way).is_file():
        raise UserError(f"sets={way}: no such file")


def check_s1_size(way: str, size: int | None) -> None:
    """Raise UserError where a size of S1 is given to a way that names S1 itself."""
    if way != "nearest" and size is not None:
        raise UserError(f"s1_size= is for sets=nearest; this is sets={way}, so leave one out")


def class_sets(
    way: str,
    class_names: Sequence[str],
    targets: Sequence[str] | None = None,
    *,
    explicit: Mapping[str, NamedSets],
    nearest: Callable[[int], ClassSets],
) -> dict[int, ClassSets]:
    """S1 and S2 by target index, in the order of `targets`; for None of every target that the way knows.

    `way`: explicit (the given sets), nearest (what `nearest` gives for a target's index), wordnet, families,
    retrievers, snakes, or the path of a YAML file. Targets and sets name classes as `ClassNames.resolve` understands.
    Raises UserError for an unknown way, class or target, a target named twice, and sets that are empty or overlap.
    """
    check_way(way)
    names = ClassNames(class_names)
    wanted = None if targets is None else names.resolve_all(targets, "targets")
    return {sets.target: sets for sets in _chosen(way, names, wanted, explicit, nearest)}


def _chosen(
    way: str,
    names: ClassNames,
    targets: Sequence[int] | None,
    explicit: Mapping[str, NamedSets],
    nearest: Callable[[int], ClassSets],
) -> Iterator[ClassSets]:
    if way == "explicit":
        if not explicit:
            other = ", ".join(WAYS[1:])
            raise UserError(f"these data have no sets of their own (data.sets); choose sets={other}, or a YAML file")
        return named_sets(names, explicit, targets, "data.sets")
    if way == "nearest":
        return map(nearest, range(len(names.names)) if targets is None else targets)
    if way == "wordnet":
        return wordnet_sets(names, targets)
    if way == "families":
        return family_sets(names, targets)
    if way in TARGETS:
        return published_sets(way, names, targets)
    return named_sets(names, read_set_file(way), targets, way)


def _is_set_file(way: str) -> bool:
    return Path(way).suffix in (".yaml", ".yml")
