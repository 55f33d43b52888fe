"""The renderer in plain torch, the paper literally: the reference for every faster backend.

Nothing is folded, factored or skipped; each intermediate exists and can be asked for by name. Any
floating dtype, any device, differentiable in all inputs.

Source: BioFaceNet, section 3; equations are numbered by their order in `_trace`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..physics import camera as camera_model
from ..physics import colour
from ..physics import illuminant as light
from ..physics import skin as skin_model
from ..physics.given import Camera, Light, as_tensors, check_seen
from ..physics.illuminant import Illuminant
from ..physics.skin import Skin
from ..physics.spectra import BANDS
from ..physics.tables import Tables
from ..system.brief import Brief
from ..system.fake import beside

__all__ = [
    "Trace",
    "check_inputs",
    "check_maps",
    "render",
    "trace",
]


@dataclass(repr=False)
class Trace(Brief):
    """Every quantity on the way from maps to colour, in order."""

    illuminant: Tensor
    """e, spectral power distribution of the light: (B, 33), unit sums."""
    spectral_sensitivity: Tensor
    """S, of the camera: (B, 3, 33), rows R, G, B."""
    light_colour: Tensor
    """L, raw colour of the light: (B, 3)."""
    reflectance: Tensor
    """R, spectral reflectance of the skin: (B, 33, H, W)."""
    raw_diffuse: Tensor
    """Body reflection as the camera sees it: (B, 3, H, W)."""
    raw_specular: Tensor
    """Surface reflection as the camera sees it: (B, 3, H, W), the colour of the light."""
    raw: Tensor
    """Their sum: (B, 3, H, W)."""
    white_balanced: Tensor
    """raw / L: (B, 3, H, W)."""
    raw_to_xyz: Tensor
    """T, of the camera: (B, 3, 3)."""
    xyz: Tensor
    """CIE XYZ: (B, 3, H, W)."""
    unclipped: Tensor
    """Linear sRGB before the ReLU: (B, 3, H, W)."""
    linear_srgb: Tensor
    """The image: (B, 3, H, W), >= 0."""
    albedo: Tensor
    """Linear sRGB under unit diffuse and no specular shading: (B, 3, H, W), >= 0."""


def _fit(
    maps: tuple[Tensor, Tensor, Tensor, Tensor], illuminant: Tensor | Illuminant, camera: Tensor
) -> bool:
    """Whether shapes, dtypes and devices are of the usual kind, looked at as quickly as can be."""
    melanin = maps[0]
    shape, dtype, device = melanin.shape, melanin.dtype, melanin.device
    if len(shape) != 4 or shape[1] != 1 or not dtype.is_floating_point or camera.ndim != 2:
        return False
    rows = camera.shape[0]
    if isinstance(illuminant, Illuminant):
        weights, cct = illuminant.weights, illuminant.cct
        lit = weights.shape == (rows, len(light.ILLUMINANT_NAMES)) and cct.shape == (rows,)
        others = (weights, cct, camera)
    else:
        lit = illuminant.shape == (rows, BANDS)
        others = (illuminant, camera)  # type: ignore[assignment]
    if not lit or (rows != 1 and rows != shape[0]) or camera.shape != (rows, 2):
        return False
    for tensor in maps[1:]:
        if tensor.shape != shape or tensor.dtype != dtype or tensor.device != device:
            return False
    return all(one.dtype.is_floating_point and one.device == device for one in others)


def check_maps(*maps: Tensor) -> None:
    """Raise ValueError with one clear line where a map is no tensor, or the first is not (B, 1, H, W)."""
    for name, tensor in zip(("melanin", "haemoglobin", "diffuse", "specular"), maps, strict=True):
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{name} must be a (B, 1, H, W) tensor, got {type(tensor).__name__}")
    shape = maps[0].shape
    if len(shape) != 4 or shape[1] != 1:
        raise ValueError(f"melanin must have shape (B, 1, H, W), got {tuple(shape)}")


def check_inputs(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    illuminant: Tensor | Illuminant,
    camera: Tensor,
) -> None:
    """Raise ValueError with one clear line where shapes, dtypes or devices do not fit together."""
    if _fit((melanin, haemoglobin, diffuse, specular), illuminant, camera):
        return
    check_maps(melanin, haemoglobin, diffuse, specular)
    if not melanin.dtype.is_floating_point:
        raise ValueError(f"melanin must be floating point, got {melanin.dtype}")
    if camera.ndim == 0:
        raise ValueError(f"camera must have shape (B, 2) or (B, 3, {BANDS}), got ()")
    if isinstance(illuminant, Tensor) and illuminant.ndim == 0:
        raise ValueError(f"illuminant must have shape (B, {BANDS}), got ()")
    curves = camera.ndim == 3
    if isinstance(illuminant, Illuminant):
        light_rows = max(illuminant.weights.shape[0], illuminant.cct.shape[0])
    else:
        light_rows = illuminant.shape[0]
    rows = {"melanin": melanin.shape[0], "illuminant": light_rows, "camera": camera.shape[0]}
    several = [(name, count) for name, count in rows.items() if count != 1]
    for name, count in several[1:]:
        if count != several[0][1]:
            raise ValueError(
                f"{name} must be of {several[0][1]} images like {several[0][0]}, or of 1 for all, "
                f"got {count}"
            )
    expected = {
        "haemoglobin": (haemoglobin, tuple(melanin.shape)),
        "diffuse": (diffuse, tuple(melanin.shape)),
        "specular": (specular, tuple(melanin.shape)),
        "camera": (camera, (camera.shape[0], 3, BANDS) if curves else (camera.shape[0], 2)),
    }
    if isinstance(illuminant, Illuminant):
        expected["illuminant.weights"] = (
            illuminant.weights,
            (light_rows, len(light.ILLUMINANT_NAMES)),
        )
        expected["illuminant.cct"] = (illuminant.cct, (light_rows,))
    else:
        expected["illuminant"] = (illuminant, (light_rows, BANDS))
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}")
        of_maps = name in ("haemoglobin", "diffuse", "specular")
        if tensor.dtype != melanin.dtype if of_maps else not tensor.is_floating_point():
            wanted = f"{melanin.dtype} like melanin" if of_maps else "floating point"
            raise ValueError(f"{name} must be {wanted}, got {tensor.dtype}")
        if tensor.device != melanin.device:
            raise ValueError(
                f"{name} must be on {melanin.device} like melanin, got {tensor.device}"
            )


def trace(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    illuminant: Light,
    camera: Camera,
    *,
    tables: Tables | None = None,
    skin: Skin | None = None,
) -> Trace:
    """Render and keep every intermediate.

    Args:
        melanin: (B, 1, H, W), in [-1, 1], clamped beyond.
        haemoglobin: (B, 1, H, W), in [-1, 1], clamped beyond.
        diffuse: (B, 1, H, W), > 0.
        specular: (B, 1, H, W), > 0.
        illuminant: (B, 33) spectra of unit sum, mixture weights and colour temperature, or a `Spectrum`.
        camera: (B, 2), coordinates b in [-3, 3]; (B, 3, 33), curves of unit sum; or a `CameraCurves`.
        tables: defaults to those of the skin, in the maps' dtype and on their device.
        skin: ``published`` (the default), ``measured`` or other constants, where no tables are given.

    Raises:
        ValueError: shapes, dtypes or devices do not fit together, tables and a skin are given, or a
            channel of the camera sees no light.
    """
    if tables is not None and skin is not None:
        raise ValueError("give a skin or tables, not both")
    check_maps(melanin, haemoglobin, diffuse, specular)
    illuminant, camera = as_tensors(illuminant, camera, like=melanin)
    check_inputs(melanin, haemoglobin, diffuse, specular, illuminant, camera)
    tables = (tables or Tables.computed(skin)).map(lambda table: beside(table, melanin))
    check_seen(illuminant, camera, tables)
    return _trace(melanin, haemoglobin, diffuse, specular, illuminant, camera, tables)


def _trace(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    illuminant: Tensor | Illuminant,
    camera: Tensor,
    tables: Tables,
) -> Trace:
    """The equations, of inputs that fit together."""
    if isinstance(illuminant, Illuminant):
        e = light.spectrum(illuminant, tables.fixed_illuminants, tables.daylights)
    else:
        e = illuminant
    s = camera_model.spectral_sensitivity(camera, tables.camera_mean, tables.camera_components)
    reflectance = skin_model.look_up(tables.skin, melanin, haemoglobin)

    # (1) light colour   L_c = sum_l S_c(l) e(l)
    light_colour = torch.einsum("bcl,bl->bc", s, e)
    per_channel = light_colour[:, :, None, None]
    # (2) body and surface reflection   raw_c = diffuse sum_l S_c e R + specular L_c
    skin_colour = torch.einsum("bcl,bl,blhw->bchw", s, e, reflectance)
    raw_diffuse = diffuse * skin_colour
    raw_specular = specular * per_channel
    raw = raw_diffuse + raw_specular
    # What is not finite in a map has no colour: infinity minus itself is NaN.
    for values in (melanin, haemoglobin, diffuse, specular):
        raw = raw + (values - values)
    # (3) white balance   raw_c / L_c
    white_balanced = raw / per_channel
    # (4) XYZ = T raw, (5) linear sRGB = max(0, M XYZ)
    matrix = colour.read_raw_to_xyz(tables.raw_to_xyz, camera)
    to_srgb = beside(colour.XYZ_TO_SRGB, melanin)
    xyz = torch.einsum("bij,bjhw->bihw", matrix, white_balanced)
    unclipped = torch.einsum("ij,bjhw->bihw", to_srgb, xyz)
    albedo = torch.einsum("ij,bjk,bkhw->bihw", to_srgb, matrix, skin_colour / per_channel)
    return Trace(
        illuminant=e,
        spectral_sensitivity=s,
        light_colour=light_colour,
        reflectance=reflectance,
        raw_diffuse=raw_diffuse,
        raw_specular=raw_specular,
        raw=raw,
        white_balanced=white_balanced,
        raw_to_xyz=matrix,
        xyz=xyz,
        unclipped=unclipped,
        linear_srgb=torch.relu(unclipped),
        albedo=torch.relu(albedo),
    )


def render(
    melanin: Tensor,
    haemoglobin: Tensor,
    diffuse: Tensor,
    specular: Tensor,
    illuminant: Light,
    camera: Camera,
    *,
    tables: Tables | None = None,
    skin: Skin | None = None,
) -> Tensor:
    """Linear sRGB image (B, 3, H, W) of the maps; arguments and errors as for `trace`."""
    return trace(
        melanin, haemoglobin, diffuse, specular, illuminant, camera, tables=tables, skin=skin
    ).linear_srgb
