"""Colour: from camera raw values through XYZ to linear sRGB, and the sRGB transfer curve.

Source: BioFaceNet, section 3.4; CIE 1931 2-degree observer; IEC 61966-2-1 for sRGB.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .camera import COORDINATE_RANGE, spectral_sensitivity
from .spectra import figures

__all__ = [
    "XYZ_TO_SRGB",
    "linear_to_srgb",
    "luminance",
    "observer",
    "raw_to_xyz",
    "raw_to_xyz_table",
    "read_raw_to_xyz",
    "srgb_to_linear",
]

XYZ_TO_SRGB = torch.tensor(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]],
    dtype=torch.float64,
)
"""Acts on XYZ column vectors (IEC 61966-2-1)."""

WHITE_ROW_SUMS = torch.tensor([0.3253, 0.3425, 0.3723], dtype=torch.float64)
"""XYZ of a white-balanced white, proportional to the D65 white point.

Rows of unit sum, as the paper's text has it, would turn white into (1.20, 0.95, 0.91) sRGB.
"""

GRID_SIZE = 128
"""Nodes along each camera coordinate of the tabulated raw-to-XYZ matrix."""


def observer() -> Tensor:
    """CIE 1931 2-degree colour matching functions: (3, 33), rows x, y, z, float64."""
    table = figures("observer")
    return torch.stack([table[name] for name in "xyz"])


def raw_to_xyz(sensitivity: Tensor) -> Tensor:  # [..., 3, 33]
    """Least-squares matrix from white-balanced raw to XYZ: (..., 3, 3).

    T minimises ||T S - CMF^T||; its rows are then scaled to sum to `WHITE_ROW_SUMS`.
    """
    cmf = observer().to(sensitivity)
    gram = sensitivity @ sensitivity.mT
    matrix = torch.linalg.solve(gram, sensitivity @ cmf.mT).mT
    row_sums = WHITE_ROW_SUMS.to(sensitivity).unsqueeze(-1)
    return matrix / matrix.sum(dim=-1, keepdim=True) * row_sums


def raw_to_xyz_table(mean: Tensor, components: Tensor) -> Tensor:
    """T on a grid of camera coordinates: (128, 128, 3, 3), row b1, column b2.

    The 128 nodes of each axis run from -3 to 3, ends included.
    """
    nodes = torch.linspace(*COORDINATE_RANGE, GRID_SIZE, dtype=mean.dtype)
    coordinates = torch.cartesian_prod(nodes, nodes)
    matrices = raw_to_xyz(spectral_sensitivity(coordinates, mean, components))
    return matrices.reshape(GRID_SIZE, GRID_SIZE, 3, 3)


def read_raw_to_xyz(table: Tensor, camera: Tensor) -> Tensor:
    """Bilinear read of the tabulated T: (B, 3, 3) for camera coordinates (B, 2)."""
    if len(camera) == 0:
        return camera.new_zeros(0, 3, 3)
    # grid_sample's x is the column: b2 comes first.
    grid = (camera / COORDINATE_RANGE[1]).flip(-1).reshape(1, -1, 1, 2)
    wide = torch.promote_types(camera.dtype, torch.float32)  # as in skin.look_up
    image = table.to(wide).reshape(*table.shape[:2], 9).permute(2, 0, 1).unsqueeze(0)
    read = F.grid_sample(
        image, grid.to(wide), mode="bilinear", padding_mode="border", align_corners=True
    )
    return read.to(table.dtype).reshape(9, -1).T.reshape(-1, 3, 3)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """The sRGB transfer curve; values are clamped to 0..1 first. For display and file output."""
    linear = linear.clamp(0.0, 1.0)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """Inverse of `linear_to_srgb`, for values in 0..1."""
    curve = ((encoded.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, curve)


def luminance(linear: Tensor) -> Tensor:  # [B, 3, H, W]
    """Relative luminance Y of linear sRGB: (B, 1, H, W) (Rec. 709 weights)."""
    weights = torch.tensor([0.2126, 0.7152, 0.0722], dtype=linear.dtype, device=linear.device)
    return torch.einsum("c,bchw->bhw", weights, linear).unsqueeze(1)
