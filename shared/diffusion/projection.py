"""Penultimate projection of three classes (Mueller et al. 2019; Chandrasegaran et al. 2022, Algorithm 1)."""

import torch
from torch import Tensor


class PenultimateProjection:
    """Features on the plane that best shows three classes: QR of their output weights, then PCA to two dimensions.

    Where a bias is given, a constant 1 is appended to the features and the bias to the weights, so that the subspace is
    the one in which the three logits live. PCA is fitted once (the authors: on the train points and their centroids)
    and reused, so that train and validation points share their axes.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """`weight`: [3, d] rows of the output layer for the three classes; `bias`: [3], its values for them."""
        if weight.ndim != 2 or weight.shape[0] != 3 or (bias is not None and bias.shape != (3,)):
            raise ValueError("want weight [3, d] and bias [3]: the output-layer rows of the three classes")
        self._with_bias = bias is not None
        rows = weight if bias is None else torch.cat([weight, bias.unsqueeze(1)], dim=1)
        self._basis = torch.linalg.qr(rows.detach().double().T).Q  # [d (+ 1), 3], orthonormal columns
        self._mean: Tensor | None = None
        self._axes: Tensor | None = None

    def fit(self, features: Tensor) -> "PenultimateProjection":
        """Fit the PCA on `features` [n, d], n >= 3. Axis signs are fixed: the largest loading is positive.

        Raises ValueError for fewer points, or features that are not finite.
        """
        coordinates = self._on_basis(features)
        if not bool(coordinates.isfinite().all()):
            raise ValueError("a feature is NaN or infinite: the model has diverged")
        if len(coordinates) < 3:
            raise ValueError(f"PCA needs at least 3 points, got {len(coordinates)}")
        self._mean = coordinates.mean(dim=0)
        axes = torch.linalg.svd(coordinates - self._mean, full_matrices=False).Vh[:2]
        largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
        self._axes = axes * largest.sign()
        return self

    def transform(self, features: Tensor) -> Tensor:
        """`features` [n, d] to points [n, 2], float64, on the fitted axes."""
        if self._mean is None or self._axes is None:
            raise RuntimeError("fit the projection before transforming")
        return (self._on_basis(features) - self._mean) @ self._axes.T

    def _on_basis(self, features: Tensor) -> Tensor:
        features = features.detach().double()
        if self._with_bias:
            features = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
        return features @ self._basis


def project_three_classes(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Project `features` [n, d] of three classes to [n, 2], float64; PCA fitted on the same features (Algorithm 1).

    `weight` [3, d] and `bias` [3] are the output layer's rows for the three classes.
    """
    return PenultimateProjection(weight, bias).fit(features).transform(features)
