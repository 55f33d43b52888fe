"""Light, camera, white balance and colour folded into a few weights for each image.

Everything after the skin table is linear: white balance divides by the light's colour, T and the
matrix to sRGB are 3 x 3. So one (3, K) matrix and one highlight colour for each image are all that a
pixel needs to know of them:

    W[b] = M diag(1/L) S diag(e) Z^T     (3, K)      M: raw to linear sRGB, L: light colour,
    k[b] = M 1                           (3,)        S: camera, e: light, Z: bands from components
"""

from __future__ import annotations

import torch
from torch import Tensor

from .physics import camera as camera_model
from .physics import colour
from .physics import illuminant as light
from .physics.illuminant import Illuminant
from .physics.tables import Tables

__all__ = ["fold"]


def fold(
    illuminant: Tensor | Illuminant,
    camera: Tensor,
    tables: Tables,
    mixing: Tensor,
    to_srgb: Tensor,
) -> tuple[Tensor, Tensor]:
    """Weights and highlight colour of each image, differentiable in light and camera.

    Args:
        illuminant: (B, 33) spectra, or an `Illuminant`.
        camera: (B, 2), coordinates b.
        tables: in the dtype and on the device of the others.
        mixing: (K, 33), of `SeparableSkin`.
        to_srgb: (3, 3), XYZ to linear sRGB.

    Returns:
        Weights (B, 3, K) and highlight colour (B, 3).
    """
    if isinstance(illuminant, Illuminant):
        e = light.spectrum(illuminant, tables.fixed_illuminants, tables.daylights)
    else:
        e = illuminant
    s = camera_model.spectral_sensitivity(camera, tables.camera_mean, tables.camera_components)
    seen = s * e.unsqueeze(1)
    light_colour = seen.sum(dim=2)
    matrix = to_srgb @ colour.read_raw_to_xyz(tables.raw_to_xyz, camera)
    balanced = matrix / light_colour.unsqueeze(1)
    return torch.bmm(balanced, seen @ mixing.T), matrix.sum(dim=2)
