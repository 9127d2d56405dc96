"""How tight the clusters are that features form by class, how far apart, and how steady the predictions in a class."""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.diffusion.centroids import CentroidAccumulator
from shared.diffusion.class_sets import ClassSets
from shared.diffusion.distances import PART, distances_between, mean_pairwise_distance
from shared.errors import UserError


class Clusters:
    """The clusters of n examples in C classes.

    `within` is the root of the mean over classes of the mean squared distance to the centroid, so that every class
    counts alike; `between` the mean distance of all pairs of centroids. Both are Euclidean, in the units of the
    features; the ratios below do not change where all features are scaled, moved or rotated. Classes without examples
    are left out.
    """

    def __init__(self, seen: CentroidAccumulator) -> None:
        """Of all that an accumulator with second moments has seen.

        Raises ValueError where a feature was NaN or infinite, and UserError where no ratio is defined: all centroids
        coincide (or one class alone has examples), or no feature lies off its centroid (one example of each class).
        """
        self.count = int(seen.counts.sum())
        self.centroids = seen.centroids  # [C, d], float64; NaN for a class without examples
        self.within = float(seen.within_class_variance.nanmean().sqrt())
        self.between = mean_pairwise_distance(self.centroids[self.centroids.isfinite().all(dim=1)])
        if not self.between > 0:
            raise UserError("all classes with examples have one centroid; clusters need two or more that differ")
        if not self.within > 0:
            raise UserError("no feature lies off its class's centroid; clusters need several examples of a class")

    @property
    def spread(self) -> float:
        """`within / between`: the smaller, the tighter (Mueller et al. 2019: label smoothing makes clusters tight)."""
        return self.within / self.between

    def similar(self, sets: Sequence[ClassSets]) -> float:
        """Mean over the targets of the mean distance to the classes of S1, over `between` (eta's `mean_pairwise`).

        Raises UserError, as the two below do, where a target or a class of the sets has no examples.
        """
        return self._mean_distance(sets, [one.s1 for one in sets]) / self.between

    def dissimilar(self, sets: Sequence[ClassSets]) -> float:
        """The same for the classes of S2."""
        return self._mean_distance(sets, [one.s2 for one in sets]) / self.between

    def separation(self, sets: Sequence[ClassSets]) -> float:
        """As `similar`, over `within`: how many spreads apart similar classes are."""
        return self._mean_distance(sets, [one.s1 for one in sets]) / self.within

    def _mean_distance(self, sets: Sequence[ClassSets], members: Sequence[Sequence[int]]) -> float:
        self._check_seen({one.target for one in sets}.union(*members))
        centred = self.centroids - self.centroids.nanmean(dim=0)
        means = []
        for start in range(0, len(sets), PART):
            targets = [one.target for one in sets[start : start + PART]]
            distances = distances_between(centred[targets], centred)
            means += [row[list(members[place])].mean() for place, row in enumerate(distances, start)]
        return float(torch.stack(means).mean())

    def _check_seen(self, classes: set[int]) -> None:
        unseen = (~self.centroids.isfinite().all(dim=1)).nonzero().flatten().tolist()
        if missing := sorted(classes.intersection(unseen)):
            raise UserError(f"classes {missing} have no examples, so they have no centroid; leave them out of the sets")


class PredictionAccumulator:
    """Sums of softmax probabilities (T = 1) by class, in float64; memory is num_classes x num_outputs."""

    def __init__(self, num_classes: int, num_outputs: int) -> None:
        self._probabilities = CentroidAccumulator(num_classes, num_outputs, second_moments=True)
        self._highest = 0.0

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add `logits` [n, num_outputs] (any floating dtype) of examples of classes `labels` [n] (int64).

        Raises ValueError as `CentroidAccumulator.update` does.
        """
        probabilities = logits.detach().double().softmax(dim=1)
        self._probabilities.update(probabilities, labels)
        self._highest += float(probabilities.amax(dim=1).sum())

    @property
    def count(self) -> int:
        """Examples seen."""
        return int(self._probabilities.counts.sum())

    @property
    def stability(self) -> float:
        """`1 - 1/K sum_c 1/n_c sum_i ||p_ci - mean_i p_ci||^2` (Shen et al. 2021, equation 2).

        p_ci is the vector of probabilities of the i-th of n_c examples of class c, by their labels, right or wrong;
        classes without examples are left out of the mean. 1: every example of a class gets the same prediction. Label
        smoothing raises it, which is how they measure the information it erases. Raises ValueError where a logit was
        NaN or infinite.
        """
        return 1.0 - float(self._probabilities.within_class_variance.nanmean())

    @property
    def confidence(self) -> float:
        """Mean probability of the most likely class, over all examples."""
        return self._highest / self.count
