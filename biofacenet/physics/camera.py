"""Camera: spectral sensitivities, also as two coordinates of a principal component space.

Source: BioFaceNet, section 3.3; Jiang, Liu, Gu and Suesstrunk, What is the space of spectral
sensitivity functions for digital color cameras?, WACV 2013 (28 measured cameras).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .names import COORDINATE_RANGE
from .spectra import BANDS, figures, unit_sum

__all__ = [
    "COORDINATE_RANGE",
    "mean_and_components",
    "principal_components",
    "spectral_sensitivity",
]


def mean_and_components() -> tuple[Tensor, Tensor]:
    """Mean sensitivity (3, 33) and scaled components (3, 33, 2), float64, from the figure file."""
    table = figures("camera_pca")
    mean = torch.stack([table[f"{channel}_mean"] for channel in "RGB"])
    components = torch.stack(
        [torch.stack([table[f"{channel}_pc{i}"] for i in (1, 2)], dim=-1) for channel in "RGB"]
    )
    return mean, components


def spectral_sensitivity(
    camera: Tensor,  # [B, 2] or [B, 3, 33]
    mean: Tensor,  # [3, 33]
    components: Tensor,  # [3, 33, 2]
) -> Tensor:
    """S(b) = max(0, mean + PC b): (B, 3, 33), rows R, G, B. Curves, which have no b, are themselves."""
    if camera.ndim == 3:
        return camera
    return torch.relu(mean + torch.einsum("clk,bk->bcl", components, camera))


def principal_components(curves: Tensor, count: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of measured camera sensitivities.

    Each curve is scaled to unit sum; R, G and B of a camera are stacked to one vector of 99 numbers;
    the components are scaled by the square root of their eigenvalue (sample covariance), so that
    coordinates are standard deviations.

    Args:
        curves: (cameras, 3, 33), non-negative.
        count: number of components kept.

    Returns:
        Mean (3, 33), scaled components (3, 33, count) and the share of the variance that each
        explains (count,). The sign of a component is arbitrary; here its entry of largest magnitude
        is positive, which gives the published signs for the published database.
    """
    if curves.ndim != 3 or curves.shape[1:] != (3, BANDS):
        raise ValueError(f"curves must have shape (cameras, 3, 33), got {tuple(curves.shape)}")
    stacked = unit_sum(curves.double()).reshape(len(curves), -1)
    mean = stacked.mean(dim=0)
    _, singular, directions = torch.linalg.svd(stacked - mean, full_matrices=False)
    variance = singular**2 / (len(curves) - 1)
    directions = directions[:count]
    peaks = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    scaled = directions * peaks.sign() * variance[:count, None].sqrt()
    components = scaled.T.reshape(3, BANDS, count)
    return mean.reshape(3, BANDS), components, variance[:count] / variance.sum()
