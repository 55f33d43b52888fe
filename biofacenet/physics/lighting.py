"""Geometric shading: second-order spherical harmonic lighting of surface normals.

Source: Ramamoorthi and Hanrahan, An efficient representation for irradiance environment maps,
SIGGRAPH 2001, equation 12; used by the Neural Face Editing data (Shu et al., CVPR 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "directional_light",
    "fit_harmonics",
    "sh_quadratic_form",
    "sh_shading",
    "unit",
]

# Products of the cosine kernel and the normalisation of each harmonic.
C1, C2, C3, C4, C5 = 0.429043, 0.511664, 0.743125, 0.886227, 0.247708


def sh_quadratic_form(lighting: Tensor) -> Tensor:  # [..., 9]
    """Matrices K with shading = [n;1]^T K [n;1]: (..., 4, 4).

    Args:
        lighting: coefficients in the order 1, y, z, x, xy, yz, z^2, xz, x^2-y^2.
    """
    l0, l1, l2, l3, l4, l5, l6, l7, l8 = lighting.unbind(dim=-1)
    rows = (
        (C1 * l8, C1 * l4, C1 * l7, C2 * l3),
        (C1 * l4, -C1 * l8, C1 * l5, C2 * l1),
        (C1 * l7, C1 * l5, C3 * l6, C2 * l2),
        (C2 * l3, C2 * l1, C2 * l2, C4 * l0 - C5 * l6),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def sh_shading(
    normals: Tensor,  # [B, 3, H, W], unit length; x right, y up, z to the viewer
    lighting: Tensor,  # [B, 3, 9], one set per colour channel
) -> Tensor:
    """Shading of a whole batch: (B, 1, H, W), mean of the colour channels, clamped at 0."""
    # The form is linear in the lighting, so the mean over channels may be taken first.
    form = sh_quadratic_form(lighting.mean(dim=1))
    homogeneous = torch.cat((normals, torch.ones_like(normals[:, :1])), dim=1)
    applied = torch.einsum("bij,bjhw->bihw", form, homogeneous)
    return (homogeneous * applied).sum(dim=1, keepdim=True).clamp(min=0.0)


ROUNDS = 4
"""Of reweighting a fit."""

SMOOTH = (1e-6, *(1e-4,) * 3, *(3e-3,) * 5)
"""Squared coefficients against the mean squared error of a shading of mean 1: half a sphere of normals
hardly tells the second order from the first."""


def fit_harmonics(
    shading: Tensor,  # [B, 1, H, W], >= 0
    normals: Tensor,  # [B, 3, H, W], unit length where the weight is not 0
    weight: Tensor,  # [B, 1, H, W], >= 0
) -> Tensor:
    """The light that explains a shading: coefficients (B, 9), for all channels alike.

    Least squares, in which pixels that are far off, as in hollows and cast shadows, have little say.
    """
    x, y, z = normals.double().unbind(dim=1)
    one = torch.ones_like(x)
    basis = torch.stack(
        (
            *(C4 * one, 2.0 * C2 * y, 2.0 * C2 * z, 2.0 * C2 * x),
            *(2.0 * C1 * x * y, 2.0 * C1 * y * z, C3 * z * z - C5),
            *(2.0 * C1 * x * z, C1 * (x * x - y * y)),
        ),
        dim=1,
    ).flatten(2)  # [B, 9, N]
    share = weight.double().flatten(1)
    share = share / share.sum(dim=1, keepdim=True).clamp(min=1e-12)
    values = shading.double().flatten(1)
    mean = (share * values).sum(dim=1, keepdim=True).clamp(min=1e-9)
    values = values / mean
    smooth = torch.diag(basis.new_tensor(SMOOTH))
    say, light = share, basis.new_zeros(len(basis), 9)
    for _ in range(ROUNDS):
        weighted = basis * say[:, None]
        light = torch.linalg.solve(
            weighted @ basis.mT + smooth, (weighted @ values[..., None]).squeeze(-1)
        )
        error = values - (light[:, None] @ basis).squeeze(1)
        spread = (share * error.square()).sum(dim=1, keepdim=True).clamp(min=1e-6)
        say = share / (1.0 + error.square() / spread)
    return (light * mean).to(shading)


def directional_light(direction: Tensor) -> Tensor:  # [..., 3], unit length
    """Coefficients (..., 9) of a distant light of unit irradiance from a direction."""
    x, y, z = direction.unbind(dim=-1)
    return torch.stack(
        (
            torch.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3.0 * z**2 - 1.0),
            1.092548 * x * z,
            0.546274 * (x**2 - y**2),
        ),
        dim=-1,
    )


def unit(vectors: Tensor, dim: int = 0) -> Tensor:
    """Vectors at unit length; the zero vector stays what it is.

    Args:
        vectors: of any shape, with x, y and z along a dimension.
        dim: that dimension.
    """
    x, y, z = vectors.unbind(dim)  # planes, many times faster than a norm across them
    return vectors / (x * x + y * y + z * z).sqrt().clamp(min=1e-9).unsqueeze(dim)
