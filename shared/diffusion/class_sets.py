"""Which classes are semantically similar to a target (S1) and which are not (S2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.diffusion.distances import centroid_distances, mean_pairwise_distance
from shared.errors import UserError


@dataclass(frozen=True)
class ClassSets:
    """S1 and S2 of one target class, as class indices, and how they were chosen."""

    target: int
    s1: list[int]
    s2: list[int]
    chosen_by: str


def explicit_sets(target: str, s1: Sequence[str], s2: Sequence[str] | None, class_names: Sequence[str]) -> ClassSets:
    """S1 and S2 by class names (or indices written as text); `s2=None` takes every class that is neither target nor S1.

    Raises UserError for an unknown class, listing the valid ones, and for sets that overlap or hold the target.
    """
    target_index = class_index(target, class_names)
    similar = [class_index(name, class_names) for name in s1]
    if s2 is None:
        dissimilar = [k for k in range(len(class_names)) if k != target_index and k not in similar]
    else:
        dissimilar = [class_index(name, class_names) for name in s2]
    if shared := sorted(set(similar) & set(dissimilar)):
        raise UserError(f"S1 and S2 of {target} share {', '.join(class_names[k] for k in shared)}; they must not")
    for name, members in (("S1", similar), ("S2", dissimilar)):
        if not members:
            raise UserError(f"{name} of {target} is empty; name at least one class")
        if target_index in members:
            raise UserError(f"{name} of {target} holds {target} itself; remove it")
        if len(set(members)) != len(members):
            raise UserError(f"{name} of {target} names a class twice; remove one")
    return ClassSets(target_index, similar, dissimilar, chosen_by="explicit")


def nearest_centroid_sets(centroids: Tensor | Sequence[Tensor], target: int, size: int) -> ClassSets:
    """S1: the `size` classes whose centroids [C, d] lie nearest to the target's; S2: every other class with a centroid.

    Use a teacher's centroids, so that the sets do not depend on the students they judge. Teachers that are to be
    compared by these sets are all given, each with centroids of the same classes: the mean of their distances counts,
    each teacher's over its mean pairwise distance. Classes that are nearest by one of them are nearer to each other in
    that one than in its equals, by chance alone. Raises UserError where `size` leaves S1 or S2 empty, or the target has
    no examples.
    """
    models = [centroids] if isinstance(centroids, Tensor) else centroids
    if not all(bool(one[target].isfinite().all()) for one in models):
        raise UserError(f"the target class {target} has no examples, so it has no nearest classes")
    distances = torch.stack([_on_its_scale(one, target) for one in models]).mean(dim=0)
    order = [k for k in distances.argsort().tolist() if k != target and not distances[k].isnan()]
    if not 1 <= size < len(order):
        raise UserError(f"S1 of {size} nearest classes out of {len(order)} others; it must be 1 to {len(order) - 1}")
    return ClassSets(target, sorted(order[:size]), sorted(order[size:]), chosen_by="nearest centroids")


def _on_its_scale(centroids: Tensor, target: int) -> Tensor:
    seen = centroids[centroids.isfinite().all(dim=1)]
    return centroid_distances(centroids, target) / mean_pairwise_distance(seen)


def class_index(name: str, class_names: Sequence[str]) -> int:
    """Index of a class given by name, or by its index as text. Raises UserError that lists the valid names."""
    if (found := list(class_names).count(name)) == 1:
        return list(class_names).index(name)
    if found > 1:  # ImageNet has two of "crane" and of "maillot"
        same = [index for index, other in enumerate(class_names) if other == name]
        raise UserError(f"{found} classes are called {name!r}; name the one you mean by its index: {same}")
    if name.isdecimal() and len(name) < 10 and int(name) < len(class_names):
        return int(name)
    shown = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
    raise UserError(f"unknown class {name!r}; choose an index below {len(class_names)} or one of: {shown}")
