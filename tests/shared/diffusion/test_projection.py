"""Oracle: QR and SVD in numpy, up to the sign of each axis."""

import numpy as np
import pytest
import torch

from shared.diffusion import PenultimateProjection, project_three_classes


def three_classes(dim: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(dim)
    weight = torch.randn(3, dim, generator=generator)
    features = torch.randn(90, dim, generator=generator) + 4 * weight.repeat_interleave(30, dim=0)
    return features, weight, torch.randn(3, generator=generator)


def in_numpy(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> np.ndarray:
    x, w = features.double().numpy(), weight.double().numpy().T
    if bias is not None:
        x = np.hstack([x, np.ones((len(x), 1))])
        w = np.vstack([w, bias.double().numpy()])
    basis, _ = np.linalg.qr(w)
    coordinates = x @ basis
    coordinates -= coordinates.mean(axis=0)
    _, _, axes = np.linalg.svd(coordinates, full_matrices=False)
    return coordinates @ axes[:2].T


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("dim", [3, 16, 512])
def test_equals_numpy_qr_and_svd(dim: int, with_bias: bool) -> None:
    features, weight, bias = three_classes(dim)
    ours = project_three_classes(features, weight, bias if with_bias else None).numpy()
    theirs = in_numpy(features, weight, bias if with_bias else None)
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-8)


def test_distances_inside_the_plane_are_kept() -> None:
    """Points in the span of two orthonormal weight rows keep their distances; the third row adds nothing."""
    weight = torch.eye(3, 8)
    features = torch.zeros(20, 8)
    features[:, :2] = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    points = project_three_classes(features, weight)
    torch.testing.assert_close(torch.pdist(points), torch.pdist(features.double()))


def test_first_axis_has_the_larger_spread() -> None:
    spread = project_three_classes(*three_classes()).var(dim=0)
    assert spread[0] > spread[1]


def test_fitted_axes_are_reused_for_other_points() -> None:
    features, weight, bias = three_classes()
    projection = PenultimateProjection(weight, bias).fit(features)
    torch.testing.assert_close(projection.transform(features[:7]), projection.transform(features)[:7])


def test_a_point_on_its_own_lands_where_it_did_among_others_whatever_its_sign() -> None:
    """Signs are fixed by the fit, so two fits on the same points agree exactly."""
    features, weight, _ = three_classes()
    again = PenultimateProjection(weight).fit(features.flip(0)).transform(features)
    torch.testing.assert_close(again, project_three_classes(features, weight))


def test_misuse_is_refused() -> None:
    features, weight, bias = three_classes()
    with pytest.raises(ValueError, match="three classes"):
        PenultimateProjection(weight[:2])
    with pytest.raises(ValueError, match="three classes"):
        PenultimateProjection(weight, bias[:2])
    with pytest.raises(ValueError, match="at least 3 points"):
        PenultimateProjection(weight).fit(features[:2])
    with pytest.raises(ValueError, match="diverged"):
        PenultimateProjection(weight).fit(torch.full((9, 16), float("nan")))
    with pytest.raises(RuntimeError, match="fit the projection"):
        PenultimateProjection(weight).transform(features)
