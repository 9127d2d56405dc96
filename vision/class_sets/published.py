"""The classes that Chandrasegaran et al. (2022) publish: the targets of their two ImageNet eta tables, and figures."""

from collections.abc import Iterator, Sequence

from shared.diffusion import ClassSets
from shared.errors import UserError
from vision.class_sets.references import ClassNames

# In the order of the tables, by wnid.
TARGETS = {
    "retrievers": {
        "n02099849": "Chesapeake Bay retriever",
        "n02099429": "curly-coated retriever",
        "n02099267": "flat-coated retriever",
        "n02099601": "golden retriever",
        "n02099712": "Labrador retriever",
    },
    "snakes": {
        "n01728572": "thunder snake",
        "n01728920": "ringneck snake",
        "n01729322": "hognose snake",
        "n01737021": "water snake",
        "n01734418": "king snake",
    },
}
# The three classes of the projection figures: two similar ones and one that is not.
FIGURES = {
    "imagenet": ("standard poodle", "miniature poodle", "submarine"),
    "cub": ("Great Grey Shrike", "Loggerhead Shrike", "Black-footed Albatross"),
}


def published_sets(which: str, names: ClassNames, targets: Sequence[int] | None) -> Iterator[ClassSets]:
    """The targets of a published table ("retrievers" or "snakes"); S1: its other four, S2: the five of the other table.

    The tables name their targets alone. S1 of the retrievers is what WordNet gives (its `retriever` has these five);
    the snakes are five of the nine colubrid snakes. S2 is decided here: the only other classes that the tables name,
    few enough for the published ratio of the two etas, and the same for all five targets.
    Raises UserError where the data lack one of the ten classes, and for a target that is none of the five.
    """
    found = {name: [_present(wnid, label, names) for wnid, label in TARGETS[name].items()] for name in TARGETS}
    own, (others,) = found[which], [found[name] for name in TARGETS if name != which]
    if foreign := [names.label(target) for target in targets or () if target not in own]:
        raise UserError(f"sets={which} has no {', '.join(foreign)}; its targets are {', '.join(map(names.label, own))}")
    chosen_by = f"published targets: {which} (S1: the other four, S2: the five of the other table)"
    for target in own if targets is None else targets:
        yield ClassSets(target, [index for index in own if index != target], others, chosen_by)


def _present(wnid: str, label: str, names: ClassNames) -> int:
    try:
        return names.resolve(wnid)
    except UserError:
        raise UserError(f"the published sets need ImageNet's {label} ({wnid}), which these data do not have") from None
