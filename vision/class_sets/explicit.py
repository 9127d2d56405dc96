"""S1 and S2 that are named, in the data set's settings or in a YAML file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from shared.diffusion import ClassSets, explicit_sets
from shared.errors import UserError
from vision.class_sets.references import ClassNames


class NamedSets(Protocol):
    """S1 and S2 of one target, by any reference to a class; `s2` None: every class that is neither target nor in S1."""

    @property
    def s1(self) -> Sequence[str]: ...
    @property
    def s2(self) -> Sequence[str] | None: ...


def named_sets(
    names: ClassNames, sets: Mapping[str, NamedSets], targets: Sequence[int] | None, where: str
) -> Iterator[ClassSets]:
    """S1 and S2 as `where` (for messages) names them: of `targets`, or of all its targets for None.

    Raises UserError for a target that it does not have, an unknown class, and sets that overlap or hold the target.
    """
    labels = [f"{names.label(index)} (index {index})" for index in range(len(names.names))]  # two may share a name

    def labels_of(references: Sequence[str]) -> list[str]:
        return [labels[names.resolve(reference)] for reference in references]

    try:
        known = dict(zip(names.resolve_all(sets, "it"), sets.values(), strict=True))
        if unset := [names.label(target) for target in targets or () if target not in known]:
            raise UserError(f"no S1 and S2 for {unset}; it knows {', '.join(sets)}")
        for target in known if targets is None else targets:
            s1, s2 = known[target].s1, known[target].s2
            yield explicit_sets(labels[target], labels_of(s1), None if s2 is None else labels_of(s2), labels)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
