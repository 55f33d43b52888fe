"""The light on a face, read from its photo and the normals of its surface."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from ..physics.lighting import sh_quadratic_form
from ..system.device import plain_defaults

__all__ = [
    "fit_lighting",
    "sh_basis",
]

ROUNDS = 8
"""Of reweighting."""

TUKEY = 3.0
"""Robust standard deviations at which a pixel has no say: highlights, brows, shadows, stubble."""

SMOOTHNESS = (0.0, 1e-4, 3e-3)
"""Squared coefficients of order 0, 1 and 2, against the mean squared error of a pixel of a face of
mean 1: half a sphere of normals hardly tells the second order from the first."""

DIRECTIONS = 200
"""Normals toward the viewer under which no light may be negative."""


def sh_basis(normals: np.ndarray) -> np.ndarray:
    """Shading under each of the nine coefficients alone: (N, 3) unit normals to (N, 9).

    The same convention as `biofacenet.physics.lighting.sh_shading`, before it clamps.
    """
    forms = sh_quadratic_form(torch.eye(9, dtype=torch.float64)).numpy()
    homogeneous = np.concatenate((normals, np.ones_like(normals[:, :1])), axis=1)
    return np.einsum("ni,kij,nj->nk", homogeneous, forms, homogeneous)


@plain_defaults()
def fit_lighting(
    image: Tensor,  # [3, H, W], linear sRGB
    normals: Tensor,  # [3, H, W], unit length in the mask; x right, y up, z to the viewer
    mask: Tensor,  # [1, H, W], nonzero where skin is
) -> Tensor:
    """Second-order spherical harmonic lighting of each colour channel: (3, 9), float32.

    Robust least squares of the image against the shading of the normals, as if all skin had one
    albedo, with no negative shading for any normal that the viewer can see. A dark skin in bright
    light looks like a bright one in dim light, and a red one like a red light: the coefficients are
    scaled so that each channel's shading has mean 1 over the mask.

    Raises:
        ValueError: the mask has fewer than 16 pixels, or they are black.
    """
    inside = mask[0] > 0
    if int(inside.sum()) < 16:
        raise ValueError(f"a mask of {int(inside.sum())} pixels; expected at least 16")
    values = image[:, inside].double().numpy()
    means = values.mean(axis=1)
    if means.min() <= 0.0:
        raise ValueError("a black face")
    values = values / means[:, None]
    basis = sh_basis(normals[:, inside].double().numpy().T)
    weights = np.ones(len(basis))
    grey = values.mean(axis=0)
    for _ in range(ROUNDS):
        error = grey - basis @ _least_squares(basis, grey, weights)
        spread = 1.4826 * float(np.median(np.abs(error - np.median(error)))) + 1e-4
        weights = np.clip(1.0 - np.square(error / (TUKEY * spread)), 0.0, None) ** 2
    lighting = np.stack([_least_squares(basis, channel, weights) for channel in values])
    shading = np.clip(basis @ lighting.T, 0.0, None).mean(axis=0)
    return torch.from_numpy(lighting / np.clip(shading, 1e-6, None)[:, None]).float()


@cache
def _visible() -> np.ndarray:
    """The basis at evenly spread normals toward the viewer."""
    z = (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    turn = np.arange(DIRECTIONS) * math.pi * (3.0 - math.sqrt(5.0))
    across = np.sqrt(1.0 - z**2)
    return sh_basis(np.stack((across * np.cos(turn), across * np.sin(turn), z), axis=1))


def _least_squares(basis: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of least weighted squares with no negative shading: (9,).

    Source of the reduction to non-negative least squares: Lawson and Hanson, Solving Least Squares
    Problems, 1974, chapter 23.
    """
    share = weights / weights.sum()
    smooth = np.repeat(SMOOTHNESS, (1, 3, 5)) + 1e-9
    normal = (basis * share[:, None]).T @ basis + np.diag(smooth)
    right = basis.T @ (share * values)
    free = np.linalg.solve(normal, right)
    limits = _visible()
    if (limits @ free).min() >= 0.0:
        return free
    # With normal = U^T U the error is |U (x - free)|^2: the least distance y = U (x - free) with
    # limits U^-1 y >= -limits free.
    upper = np.linalg.cholesky(normal).T
    turned = np.linalg.solve(upper.T, limits.T)  # (limits U^-1)^T
    stacked = np.vstack((turned, -(limits @ free)[None]))
    target = np.zeros(len(stacked))
    target[-1] = 1.0
    multipliers, _ = nnls(stacked, target)
    rest = stacked @ multipliers - target
    return free + np.linalg.solve(upper, -rest[:-1] / rest[-1])
