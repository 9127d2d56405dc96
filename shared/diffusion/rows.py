"""The diffusion indices of several targets as a record has them."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from shared.diffusion.class_sets import ClassSets
from shared.diffusion.index import diffusion_indices
from shared.diffusion.null import nulls_of
from shared.results import Eta


def eta_rows(
    split: str, low: Tensor, high: Tensor, sets: Sequence[ClassSets], class_names: Sequence[str], *, normalization: str
) -> Iterator[Eta]:
    """eta of every target on S1 and on S2, and of random sets beside them, from the centroids at T1 and T2 of a split.

    `low` [C, d] and `high` [C, d'] are those of the students distilled at T1 < T2. Raises UserError as
    `diffusion_indices` does.
    """
    pairs = [(one, name, members) for one in sets for name, members in (("S1", one.s1), ("S2", one.s2))]
    targets, members_of = [one.target for one, _, _ in pairs], [members for _, _, members in pairs]
    both = [[*one.s1, *one.s2] for one, _, _ in pairs]
    measured = diffusion_indices(low, high, targets, members_of, normalization=normalization, normalize_over=both)
    values = measured.tolist()
    nulls = nulls_of(low, high, targets, members_of, values, [name for _, name, _ in pairs])
    for (chosen, set_name, members), value, null in zip(pairs, values, nulls, strict=True):
        names, target = [class_names[k] for k in members], class_names[chosen.target]
        yield Eta(split, target, set_name, names, value, normalization, chosen.chosen_by, null)
