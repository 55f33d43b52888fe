"""The public renderer: maps, light and camera to a linear sRGB image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .. import kernels
from ..physics.given import Camera, Light, as_tensors, check_seen
from ..physics.skin import Skin, SkinName, skin_name
from ..physics.tables import Tables
from . import operator, reference
from .folding import FoldTables, fold
from .separable import SeparableSkin, factor

__all__ = [
    "Renderer",
    "render",
]

BAND_CHOICES = (16, 32, 33)


class Prepared(NamedTuple):
    """What rendering needs, on one device and in one precision."""

    tables: Tables
    skin: SeparableSkin
    folding: FoldTables


class Renderer(nn.Module):
    """The biophysical renderer as a module that holds its tables.

    Args:
        skin: constants of the skin model, ``published`` (the default), ``measured`` or others.
        tables: use these tables instead, for example `Tables.from_mat`.
        bands: bands that a fused backend reduces the spectra to: 33 is all of them, 32 as exact as
            float32, 16 finer than 8-bit images. The reference always integrates all 33.
        backend: ``auto``, ``reference``, ``cpp``, ``triton`` or ``cuda``. ``auto`` takes the fastest
            that runs, or what the environment variable BIOFACENET_BACKEND names.

    The tables are kept in float64 and converted to the maps' dtype, once for each dtype. Half-precision
    maps are rendered in float32 by fused backends: a sum over bands needs more digits than 16 bits have.

    Example:
        >>> renderer = Renderer()
        >>> maps = torch.zeros(1, 1, 64, 64)
        >>> image = renderer(maps, maps, maps + 2, maps, Illuminant.standard("D65"), torch.zeros(1, 2))
        >>> image.shape
        torch.Size([1, 3, 64, 64])
    """

    def __init__(
        self,
        skin: Skin | None = None,
        *,
        tables: Tables | None = None,
        bands: int = 32,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if bands not in BAND_CHOICES:
            raise ValueError(f"bands must be one of {BAND_CHOICES}, got {bands}")
        if skin is not None and tables is not None:
            raise ValueError("give a skin or tables, not both")
        self.bands = bands
        self.backend = kernels.select(backend)
        tables = tables or Tables.computed(skin)
        separable = factor(tables.skin, bands)
        self._source = Prepared(tables, separable, FoldTables(tables, separable.mixing))
        self._converted: dict[tuple[torch.device, torch.dtype], Prepared] = {}
        # Most use is in float32 on the CPU; done now, so that torch.compile finds constants.
        self.prepared(torch.device("cpu"), torch.float32)

    def prepared(self, device: torch.device, dtype: torch.dtype) -> Prepared:
        """The tables on a device and in a dtype, converted once."""
        key = (device, dtype)
        if key not in self._converted:
            tables, skin, folding = self._source
            self._converted[key] = Prepared(
                tables.to(device, dtype), skin.to(device, dtype), folding.to(device, dtype)
            )
        return self._converted[key]

    @property
    def table_error(self) -> float:
        """Largest difference of the skin table as fused backends read it from the one given."""
        return self._source.skin.error

    def forward(
        self,
        melanin: Tensor,  # [B, 1, H, W]
        haemoglobin: Tensor,  # [B, 1, H, W]
        diffuse: Tensor,  # [B, 1, H, W]
        specular: Tensor,  # [B, 1, H, W]
        illuminant: Light,  # [B, 33]
        camera: Camera,  # [B, 2] or [B, 3, 33]
    ) -> Tensor:
        """Linear sRGB (B, 3, H, W); see `biofacenet.render`."""
        half = melanin.dtype in (torch.float16, torch.bfloat16)
        number = torch.float32 if half else melanin.dtype
        illuminant, camera = as_tensors(illuminant, camera, like=melanin, dtype=number)
        reference.check_inputs(melanin, haemoglobin, diffuse, specular, illuminant, camera)
        backend = kernels.choose(self.backend, melanin.device.type, self._source.skin.components)
        if backend == "reference":
            tables = self.prepared(melanin.device, melanin.dtype).tables
            return reference.render(
                melanin, haemoglobin, diffuse, specular, illuminant, camera, tables=tables
            )
        dtype = melanin.dtype
        maps = (melanin, haemoglobin, diffuse, specular)
        if half and backend not in kernels.HALF:
            maps = (melanin.float(), haemoglobin.float(), diffuse.float(), specular.float())
        tables, skin, folding = self.prepared(melanin.device, number)
        check_seen(illuminant, camera, tables)
        with torch.autocast(melanin.device.type, enabled=False):
            weights, highlight = fold(illuminant, camera, folding, backend=backend)
            image = operator.render(*maps, weights, highlight, skin.epidermis, skin.dermis, backend)
        return image.to(dtype)

    def trace(
        self,
        melanin: Tensor,
        haemoglobin: Tensor,
        diffuse: Tensor,
        specular: Tensor,
        illuminant: Light,
        camera: Camera,
    ) -> reference.Trace:
        """Every intermediate quantity, by the reference; see `biofacenet.reference.Trace`."""
        tables = self.prepared(melanin.device, melanin.dtype).tables
        return reference.trace(
            melanin, haemoglobin, diffuse, specular, illuminant, camera, tables=tables
        )


_defaults: dict[tuple[int, str, str], Renderer] = {}


@kernels.constant_for_compile  # type: ignore[untyped-decorator]
def _make_default(bands: int, backend: str, skin: str) -> bool:
    """Make the renderer of a skin, once; torch.compile runs this while tracing."""
    if (bands, backend, skin) not in _defaults:
        _defaults[bands, backend, skin] = Renderer(skin_name(skin), bands=bands, backend=backend)
    return True


def render(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    illuminant: Light,
    camera: Camera,
    *,
    bands: int = 32,
    backend: str = "auto",
    skin: SkinName = "published",
) -> Tensor:
    """Image of the maps under a light and through a camera.

    Args:
        melanin: (B, 1, H, W), in [-1, 1], position on the melanin axis of the skin table.
        haemoglobin: (B, 1, H, W), in [-1, 1], position on the haemoglobin axis.
        diffuse: (B, 1, H, W), > 0, geometry factor of the body reflection.
        specular: (B, 1, H, W), > 0, geometry factor of the surface reflection.
        illuminant: (B, 33) spectra, an `Illuminant` (weights, cct), a `Spectrum`, or what is like one,
            such as a ``SpectralDistribution`` of colour-science.
        camera: (B, 2), camera coordinates b in [-3, 3]; (B, 3, 33), sensitivity curves of R, G and B,
            each of unit sum; or a `CameraCurves`. Light and camera may be of any float dtype.
        bands: 16, 32 or 33, bands a fused backend reduces the spectra to; the reference uses all 33.
        backend: ``auto``, ``reference``, ``cpp``, ``triton``, ``cuda`` or a name that was registered.
        skin: which constants of the skin model the maps are of: ``published``, those of the paper's
            authors, or ``measured``, tuned on measured spectra. `Renderer` takes any others.

    Returns:
        Linear sRGB, (B, 3, H, W), >= 0, differentiable in every tensor argument.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together, the skin is unknown, or a channel of
            the camera sees no light (noticed on the CPU; on a GPU, the image is NaN).
        BackendUnavailableError: the named backend cannot run here.

    Source: BioFaceNet, section 3.
    """
    _make_default(bands, backend, skin)
    renderer = _defaults[bands, backend, skin]
    return renderer(melanin, haemoglobin, diffuse, specular, illuminant, camera)
