"""Light, camera, white balance and colour folded into weights of the bands, in plain PyTorch.

Everything after the skin table is linear: white balance divides by the light's colour, T and the
matrix to sRGB are 3 x 3. So one (3, 33) matrix and one highlight colour for each image are all that a
pixel needs to know of them:

    W[b] = M diag(1/L) S diag(e)    (3, 33)     M: raw to linear sRGB, L = S e: light colour,
    k[b] = M 1                      (3,)        S: camera, e: light

Backends compute the same in the call that renders (csrc/fold.h).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..physics.camera import COORDINATE_RANGE, spectral_sensitivity
from ..physics.colour import XYZ_TO_SRGB, response
from ..physics.illuminant import Illuminant, spectrum
from ..physics.tables import Tables
from ..system.fake import beside

__all__ = ["fold"]


def fold(illuminant: Tensor | Illuminant, camera: Tensor, tables: Tables) -> tuple[Tensor, Tensor]:
    """Weights and highlight colour of each image, differentiable any number of times.

    Args:
        illuminant: (B or 1, 33) spectra, or an `Illuminant`.
        camera: (B or 1, 2), coordinates b, or (B or 1, 3, 33), curves of unit sum.
        tables: in the dtype and on the device of the others.

    Returns:
        Weights (B, 3, 33), by which reflectances are summed to linear sRGB, and highlight colour
        (B or 1, 3).
    """
    if isinstance(illuminant, Illuminant):
        illuminant = spectrum(illuminant, tables.fixed_illuminants, tables.daylights)
    if camera.ndim == 3:
        return response(illuminant, camera)
    sensitivity = spectral_sensitivity(camera, tables.camera_mean, tables.camera_components)
    seen = sensitivity * illuminant.unsqueeze(1)
    matrix = beside(XYZ_TO_SRGB, tables.raw_to_xyz) @ _read(tables.raw_to_xyz, camera)
    return matrix @ (seen / seen.sum(dim=2, keepdim=True)), matrix.sum(dim=2)


def _read(table: Tensor, camera: Tensor) -> Tensor:
    """T at camera coordinates (B, 2): (B, 3, 3).

    Bilinear, as `physics.colour.read_raw_to_xyz`, whose second derivatives PyTorch does not have.
    """
    half = COORDINATE_RANGE[1]
    rows, columns = table.shape[:2]
    found = []
    for axis, nodes in enumerate((rows, columns)):
        place = (camera[:, axis] + half) * ((nodes - 1) / (2.0 * half))
        place = place.clamp(0.0, nodes - 1.0)
        # NaN must reach the result as NaN, not the index.
        lower = place.detach().nan_to_num(0.0).floor().clamp(max=nodes - 2.0)
        found.append((lower.long(), (place - lower)[:, None, None]))
    (row, down), (column, across) = found
    upper = torch.lerp(table[row, column], table[row, column + 1], across)
    lower = torch.lerp(table[row + 1, column], table[row + 1, column + 1], across)
    return torch.lerp(upper, lower, down)
