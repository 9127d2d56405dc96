"""S1 by family: classes whose names end in the same word, e.g. CUB's `063.Ivory_Gull` and `064.Ring_billed_Gull`."""

import re
from collections.abc import Iterator, Sequence

from shared.diffusion import ClassSets
from shared.errors import UserError
from vision.class_sets.references import CUB_NUMBER, ClassNames

CHOSEN_BY = "family: the last word of the class names (S2: all other classes)"


def families(class_names: Sequence[str]) -> dict[str, list[int]]:
    """Indices of the classes of each family, the shared last word of their names, where it has at least 2 members."""
    members: dict[str, list[int]] = {}
    for index, name in enumerate(class_names):
        members.setdefault(re.split(r"[\s_]+", CUB_NUMBER.sub("", name))[-1], []).append(index)
    return {family: indices for family, indices in members.items() if len(indices) > 1}


def family_sets(names: ClassNames, targets: Sequence[int] | None) -> Iterator[ClassSets]:
    """S1: the rest of the target's family; S2: every class of another (the paper names CUB's three-class figure only).

    `targets` None: every class that has a family. Raises UserError for a target without one.
    """
    found = families(names.names)
    family_of = {index: family for family, indices in found.items() for index in indices}
    if not found:
        raise UserError("no two class names end in the same word, so sets=families finds no family; choose other sets")
    for target in sorted(family_of) if targets is None else targets:
        if target not in family_of:
            raise UserError(
                f"{names.label(target)} is the only class of its name's last word; these words have at least two: "
                + ", ".join(found)
            )
        family = found[family_of[target]]
        others = [index for index in range(len(names.names)) if index not in family]
        if not others:
            raise UserError(f"every class is a {family_of[target]}, so there is no S2; choose other sets")
        yield ClassSets(target, [index for index in family if index != target], others, CHOSEN_BY)
