"""The public renderer: maps, light and camera to a linear sRGB image."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from . import reference
from .kernels import select
from .physics.illuminant import Illuminant
from .physics.skin import SkinParameters
from .physics.tables import Tables

__all__ = ["Renderer", "render"]

BAND_CHOICES = (16, 32, 33)


class Renderer(nn.Module):
    """The biophysical renderer as a module that holds its tables.

    Args:
        skin: constants of the skin model; the published ones by default.
        tables: use these tables instead, for example `Tables.from_mat`.
        bands: bands that a fused backend may reduce the spectra to, 16, 32 or 33; the reference
            backend always integrates all 33.
        backend: ``auto``, ``reference``, ``cpp``, ``triton`` or ``cuda``.

    The tables are kept in float64 and converted to the maps' dtype, once for each dtype.

    Example:
        >>> renderer = Renderer()
        >>> maps = torch.zeros(1, 1, 64, 64)
        >>> image = renderer(maps, maps, maps + 2, maps, Illuminant.standard("D65"), torch.zeros(1, 2))
        >>> image.shape
        torch.Size([1, 3, 64, 64])
    """

    def __init__(
        self,
        skin: SkinParameters | None = None,
        *,
        tables: Tables | None = None,
        bands: int = 32,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if bands not in BAND_CHOICES:
            raise ValueError(f"bands must be one of {BAND_CHOICES}, got {bands}")
        if skin is not None and tables is not None:
            raise ValueError("give skin parameters or tables, not both")
        self.bands = bands
        self.backend = backend
        self._render = select(backend)
        self._source = tables or Tables.computed(skin)
        self._converted: dict[tuple[torch.device, torch.dtype], Tables] = {}

    def tables(self, device: torch.device, dtype: torch.dtype) -> Tables:
        """The tables on a device and in a dtype, converted once."""
        key = (device, dtype)
        if key not in self._converted:
            self._converted[key] = self._source.to(device, dtype)
        return self._converted[key]

    def forward(
        self,
        melanin: Tensor,  # [B, 1, H, W]
        haemoglobin: Tensor,  # [B, 1, H, W]
        diffuse: Tensor,  # [B, 1, H, W]
        specular: Tensor,  # [B, 1, H, W]
        illuminant: Tensor | Illuminant,  # [B, 33]
        camera: Tensor,  # [B, 2]
    ) -> Tensor:
        """Linear sRGB (B, 3, H, W); see `biofacenet.render`."""
        tables = self.tables(melanin.device, melanin.dtype)
        return self._render(
            melanin, haemoglobin, diffuse, specular, illuminant, camera, tables=tables
        )

    def trace(
        self,
        melanin: Tensor,
        haemoglobin: Tensor,
        diffuse: Tensor,
        specular: Tensor,
        illuminant: Tensor | Illuminant,
        camera: Tensor,
    ) -> reference.Trace:
        """Every intermediate quantity, by the reference; see `biofacenet.reference.Trace`."""
        tables = self.tables(melanin.device, melanin.dtype)
        return reference.trace(
            melanin, haemoglobin, diffuse, specular, illuminant, camera, tables=tables
        )


@cache
def _default(bands: int, backend: str) -> Renderer:
    return Renderer(bands=bands, backend=backend)


def render(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    illuminant: Tensor | Illuminant,
    camera: Tensor,
    *,
    bands: int = 32,
    backend: str = "auto",
) -> Tensor:
    """Image of the maps under a light and through a camera, with the published tables.

    Args:
        melanin: (B, 1, H, W), in [-1, 1], position on the melanin axis of the skin table.
        haemoglobin: (B, 1, H, W), in [-1, 1], position on the haemoglobin axis.
        diffuse: (B, 1, H, W), > 0, geometry factor of the body reflection.
        specular: (B, 1, H, W), > 0, geometry factor of the surface reflection.
        illuminant: (B, 33) spectra of unit sum, or an `Illuminant` (weights, cct).
        camera: (B, 2), camera coordinates b in [-3, 3].
        bands: bands a fused backend may reduce the spectra to; the reference always uses 33.
        backend: ``auto``, ``reference``, ``cpp``, ``triton`` or ``cuda``.

    Returns:
        Linear sRGB, (B, 3, H, W), >= 0, differentiable in every tensor argument.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together.
        BackendUnavailableError: the named backend cannot run here.

    Source: BioFaceNet, section 3.
    """
    return _default(bands, backend)(melanin, haemoglobin, diffuse, specular, illuminant, camera)
