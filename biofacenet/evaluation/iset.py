"""Multispectral faces as test photos, with what the skin model makes of their spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition
from ..errors import DataError
from ..fitting.hyperspectral import invert
from ..photos.boxes import Box
from ..photos.faces import find_face
from ..photos.skin_pixels import face_region, skin_mask
from ..physics.colour import XYZ_TO_SRGB, linear_to_srgb, luminance, raw_to_xyz
from ..physics.illuminant import Illuminant, spectrum
from ..physics.names import SkinName
from ..physics.tables import Tables
from .iset_files import Scene, read_scene
from .sets import KnownFaces

__all__ = [
    "LEAST_DIFFUSE",
    "LEAST_SPECULAR",
    "iset_faces",
]

LEAST_SKIN = 0.02
"""Share of the square that must be skin."""

BRIGHT_SKIN = 0.5
"""Luminance that the brightest twentieth of the face is exposed to."""

LEAST_DIFFUSE, LEAST_SPECULAR = 1e-4, 1e-4

# Faces ---------------------------------------------------------------------------------------


def iset_faces(
    paths: Sequence[str | Path],
    *,
    size: int = 64,
    skin: SkinName = "published",
    tick: Callable[[int], object] = lambda _: None,
) -> KnownFaces:
    """Photos of multispectral faces under D65 by the mean camera, and what their spectra say of them.

    The face is found and framed as in photos (the central square, where none is found); spectra are
    averaged to the size asked for, and rendered as a camera would see them, without the skin model:
    only the truth comes from it. Faces are exposed alike: to a luminance of 0.5 at the 95th
    percentile of the skin. The mask is `skin_mask`.

    The truth is a pseudo truth: what this package's skin model makes of the measured spectra by
    `invert`. Shading and highlights are read where the model puts them.

    Args:
        paths: scenes, at least one.
        size: side of the images, a multiple of 16.
        skin: which constants of the skin model the truth is of.
        tick: told of how many scenes are done.

    Raises:
        DataError: a scene cannot be used.
    """
    parts = []
    for path in paths:
        parts.append(_one_face(read_scene(path), size, skin))
        tick(1)
    return KnownFaces(
        f"{len(parts)} multispectral faces of {size} x {size} pixels under D65, inverted by the skin model",
        torch.cat([part.image for part in parts]),
        torch.cat([part.mask for part in parts]),
        Decomposition.join([part.truth for part in parts]),
    )


def _one_face(scene: Scene, size: int, skin: SkinName) -> KnownFaces:
    whole = _photograph(scene, scene.coefficients)
    bright = float(np.quantile(whole.numpy(), 0.95))
    if bright <= 0.0:
        raise DataError(f"{scene.path}: no light in this scene; expected a face, copy it again")
    box = find_face(linear_to_srgb(whole / bright).float())
    region = None if box is None else face_region(size, size)
    square = _cut(scene.coefficients, box or Box.central(*whole.shape[1:]), size)
    image = _photograph(scene, square)[None].float()
    mask = skin_mask(image, region=region, skin=skin)
    if mask.mean() < LEAST_SKIN:
        raise DataError(f"{scene.path}: no skin found in this scene; expected a face")
    exposure = BRIGHT_SKIN / float(torch.quantile(luminance(image)[mask > 0], 0.95))
    found = invert(scene.reflectance(square), skin=Tables.computed(skin).skin)
    truth = Decomposition(
        melanin=found.melanin,
        haemoglobin=found.haemoglobin,
        diffuse=(exposure * found.diffuse).clamp(min=LEAST_DIFFUSE),
        specular=(exposure * found.specular).clamp(min=LEAST_SPECULAR),
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin=skin,
    )
    return KnownFaces(str(scene.path), (exposure * image).clamp(0.0, 1.0), mask, truth)


def _photograph(scene: Scene, coefficients: Tensor) -> Tensor:
    """Linear sRGB (3, H, W) of coefficients (K, H, W) under D65 by the mean camera, as rendered skin is."""
    tables = Tables.computed()
    light = _daylight(tables)
    weighted = tables.camera_mean * light
    # One row for each channel: sensitivity times light, balanced for white, then to sRGB.
    balanced = weighted / weighted.sum(dim=1, keepdim=True)
    to_rgb = XYZ_TO_SRGB @ raw_to_xyz(tables.camera_mean) @ balanced
    image = torch.einsum("ck,khw->chw", to_rgb @ scene.basis.T, coefficients)
    return torch.relu(image + (to_rgb @ scene.mean)[:, None, None])


def _daylight(tables: Tables) -> Tensor:
    standard = Illuminant.standard("D65")
    double = Illuminant(standard.weights.double(), standard.cct.double())
    return spectrum(double, tables.fixed_illuminants, tables.daylights)[0]


def _cut(coefficients: Tensor, box: Box, size: int) -> Tensor:
    """A square of coefficients, averaged to (K, size, size); beyond the border the nearest pixel."""
    height, width = coefficients.shape[1:]
    rows = torch.arange(box.top, box.top + box.size).clamp(0, height - 1)
    columns = torch.arange(box.left, box.left + box.size).clamp(0, width - 1)
    square = coefficients[:, rows][:, :, columns]
    return F.adaptive_avg_pool2d(square[None], size)[0]
