"""Systematic diffusion: centroids and clusters of classes, the index eta and its null, S1 and S2, the projection."""

from shared.diffusion.centroids import CentroidAccumulator
from shared.diffusion.class_sets import ClassSets, explicit_sets, nearest_centroid_sets
from shared.diffusion.clusters import Clusters, PredictionAccumulator
from shared.diffusion.distances import centroid_distances, mean_pairwise_distance, on_one_scale
from shared.diffusion.index import NORMALIZATIONS, diffusion_index, diffusion_indices
from shared.diffusion.null import nulls_of
from shared.diffusion.projection import PenultimateProjection, project_three_classes

__all__ = [
    "NORMALIZATIONS",
    "CentroidAccumulator",
    "ClassSets",
    "Clusters",
    "PenultimateProjection",
    "PredictionAccumulator",
    "centroid_distances",
    "diffusion_index",
    "diffusion_indices",
    "explicit_sets",
    "mean_pairwise_distance",
    "nearest_centroid_sets",
    "nulls_of",
    "on_one_scale",
    "project_three_classes",
]
