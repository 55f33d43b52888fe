"""How far a decomposition is from the truth: errors of maps, light and camera, face by face.

What is compared, and on which scale
------------------------------------

All errors are taken inside the mask, and each face counts alike: a column's RMSE is the root of the
mean over faces of each face's mean squared error.

An image fixes diffuse shading times albedo, not the two apart. It does fix the specular shading,
which is added to it without passing through the skin. So:

- ``diffuse``: the true map is brought to mean 1 in the mask, and the found one by the closed-form
  factor s = <found, true> / <found, found> of each face. An error of 0.1 is a tenth of the mean.
- ``specular``: both maps are divided by the mean of the face's *true* diffuse shading, the unit that
  ``diffuse`` has; the found one gets no factor of its own, as nothing about it is free.
- ``albedo``: linear sRGB under unit diffuse and no specular shading, after white balance, by the light
  and camera that were found (or are true); divided by 0.3425, so that a perfect white is 1. No factor
  of its own: its level is what the brightness of the skin means.
- ``melanin``, ``haemoglobin``: as they are, on [-1, 1].
- ``reconstruction``: linear sRGB as it is, against the photo.

``diffuse_plain`` and ``specular_plain`` are in the renderer's units, with no factor at all, so that
errors of the overall brightness count in full; ``albedo_scaled`` has the closed-form factor of each
face, so that only its pattern and its hue count.

The paper (table 1) compares on 25 multispectral faces and gives no scales; its figures belong beside
these for orientation only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.colour import WHITE_ROW_SUMS, XYZ_TO_SRGB, observer
from ..physics.illuminant import Illuminant

__all__ = [
    "COLUMNS",
    "OTHER_COLUMNS",
    "RANKED",
    "SKIN_TONES",
    "Errors",
    "albedo",
    "angle",
    "best_scale",
    "colour_temperature",
    "individual_typology_angle",
    "lab",
    "light_colour",
    "masked_mean",
    "mean_square",
    "measure",
    "rank_correlation",
    "rank_within",
    "similarity",
    "similarity_map",
    "skin_tones",
]

COLUMNS = ("diffuse", "specular", "albedo", "melanin", "haemoglobin", "reconstruction")
"""The columns of the paper's table 1."""

OTHER_COLUMNS = ("diffuse_plain", "specular_plain", "albedo_scaled")

RANKED = ("diffuse", "specular", "melanin", "haemoglobin")
"""Maps whose order is compared."""

WHITE = float(WHITE_ROW_SUMS[1])
"""Linear sRGB of a perfect white under unit diffuse shading."""

WINDOW_RADIUS, WINDOW_SIGMA = 5, 1.5
"""Gaussian window of SSIM, as published (Wang et al. 2004)."""

LEAST_RANGE = 0.05
"""A map that hardly varies is not stretched to the range of one that does."""

SKIN_TONES = (
    ("very light", 55.0),
    ("light", 41.0),
    ("intermediate", 28.0),
    ("tan", 10.0),
    ("brown", -30.0),
    ("dark", -math.inf),
)
"""Groups by individual typology angle in degrees, and what it lies above (Chardon et al. 1991; Del
Bino and Bernerd 2013)."""

# Inside a mask -------------------------------------------------------------------------------


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each image over channels and pixels of its mask: (B,) of (B, C, H, W).

    Zero where the mask is empty.
    """
    total = (values * mask).sum((1, 2, 3))
    return total / (values.shape[1] * mask.sum((1, 2, 3))).clamp(min=1.0)


def mean_square(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of each image inside its mask: (B,)."""
    return masked_mean((found - true).square(), mask)


def best_scale(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """The factor of each image that brings one map closest to another: (B, 1, 1, 1).

    s = <found, true> / <found, found> over the mask; 1 where nothing was found.
    """
    within = (1, 2, 3)
    product = (found * true * mask).sum(within, keepdim=True)
    square = (found.square() * mask).sum(within, keepdim=True)
    return torch.where(square > 0.0, product / square.clamp(min=1e-12), torch.ones_like(square))


def similarity(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean structural similarity (SSIM) of each image inside its mask: (B,), 1 for equal ones."""
    return masked_mean(similarity_map(found, true, mask), mask)


def similarity_map(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Structural similarity (SSIM) around each pixel: (B, C, H, W), zero outside the mask.

    Gaussian windows of 11 x 11 pixels (sigma 1.5) with the published constants (0.01 and 0.03), where
    the weights of pixels outside the mask are 0 and the others of the window sum to 1. The dynamic range
    is that of the true map in the mask, at least 0.05.

    Source: Wang, Bovik, Sheikh and Simoncelli, Image quality assessment: from error visibility to
    structural similarity, IEEE Transactions on Image Processing 2004.
    """
    inside = mask > 0
    highest = true.masked_fill(~inside, -math.inf).amax((1, 2, 3), keepdim=True)
    lowest = true.masked_fill(~inside, math.inf).amin((1, 2, 3), keepdim=True)
    span = (highest - lowest).clamp(min=LEAST_RANGE)
    c1, c2 = (0.01 * span).square(), (0.03 * span).square()
    weight = inside.to(true)
    share = _blurred(weight).clamp(min=1e-6)

    def local(values: Tensor) -> Tensor:
        return _blurred(values * weight) / share

    x, y = local(found), local(true)
    xx, yy = local(found.square()) - x.square(), local(true.square()) - y.square()
    xy = local(found * true) - x * y
    likeness = (2 * x * y + c1) * (2 * xy + c2)
    likeness = likeness / ((x.square() + y.square() + c1) * (xx + yy + c2))
    return likeness.masked_fill(~inside, 0.0)


def _blurred(values: Tensor) -> Tensor:
    """Filtered by the window, zero beyond the border: (B, C, H, W)."""
    place = torch.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1).to(values)
    line = torch.exp(-0.5 * (place / WINDOW_SIGMA).square())
    line = (line / line.sum()).reshape(1, 1, -1, 1)
    planes = values.flatten(0, 1).unsqueeze(1)
    planes = F.conv2d(planes, line, padding=(WINDOW_RADIUS, 0))
    planes = F.conv2d(planes, line.mT, padding=(0, WINDOW_RADIUS))
    return planes.reshape(values.shape)


# Order ---------------------------------------------------------------------------------------


def rank_correlation(found: Tensor, true: Tensor) -> float:
    """Spearman's coefficient of two lists of numbers, equal ones sharing their mean rank.

    0 where what was found is constant, as it orders nothing; NaN where the truth is constant.
    """
    ranks = [rankdata(values.detach().double().cpu().numpy()) for values in (found, true)]
    a, b = (one - one.mean() if len(one) else one for one in ranks)
    if len(b) < 2 or not b.any():
        return math.nan
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())) if a.any() else 0.0


def rank_within(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Spearman's coefficient of the pixels of each face: (B,) of maps (B, 1, H, W)."""
    inside = mask > 0
    each = [rank_correlation(f[m], t[m]) for f, t, m in zip(found, true, inside, strict=True)]
    return torch.tensor(each, dtype=torch.float64)


# Light ---------------------------------------------------------------------------------------


def light_colour(spectra: Tensor) -> Tensor:
    """Linear sRGB (unscaled, may be negative) of light as the standard observer sees it: (B, 3)."""
    xyz = spectra.double() @ observer().to(spectra.device).T
    return xyz @ XYZ_TO_SRGB.to(spectra.device).T


def angle(one: Tensor, other: Tensor) -> Tensor:
    """Angle between colours (B, 3), in degrees: (B,). The usual error of colour constancy."""
    # By the arc tangent: the arc cosine loses small angles.
    across = torch.linalg.cross(one.double(), other.double()).norm(dim=1)
    along = (one.double() * other.double()).sum(dim=1)
    return torch.rad2deg(torch.atan2(across, along))


def colour_temperature(spectra: Tensor) -> Tensor:
    """Correlated colour temperature of lights (B, 33), in kelvin: (B,).

    McCamy's cubic, within a few kelvin between 2856 and 6500 K and within 1 % up to 10,000 K.

    Source: McCamy, Correlated color temperature as an explicit function of chromaticity coordinates,
    Color Research and Application 1992.
    """
    xyz = spectra.double() @ observer().to(spectra.device).T
    x, y, _ = (xyz / xyz.sum(dim=1, keepdim=True)).unbind(dim=1)
    n = (x - 0.3320) / (0.1858 - y)
    kelvin: Tensor = 437.0 * n**3 + 3601.0 * n**2 + 6861.0 * n + 5517.0
    return kelvin


# Skin tone -----------------------------------------------------------------------------------


def lab(linear: Tensor) -> Tensor:
    """CIELAB (B, 3) of linear sRGB colours (B, 3) whose white is 1, under D65."""
    to_xyz = torch.linalg.inv(XYZ_TO_SRGB).to(linear.device)
    relative = (linear.double() @ to_xyz.T) / to_xyz.sum(dim=1)
    low = relative / (3.0 * (6.0 / 29.0) ** 2) + 4.0 / 29.0
    f = torch.where(relative > (6.0 / 29.0) ** 3, relative.clamp(min=1e-12) ** (1.0 / 3.0), low)
    x, y, z = f.unbind(dim=1)
    return torch.stack((116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)), dim=1)


def individual_typology_angle(colours: Tensor) -> Tensor:
    """ITA = atan2(L - 50, b) of CIELAB colours (B, 3), in degrees: (B,). Light skin has a large one."""
    return torch.rad2deg(torch.atan2(colours[:, 0] - 50.0, colours[:, 2]))


def albedo(found: Decomposition) -> Tensor:
    """Linear sRGB of the bare skin beside a white of 1, as its light and camera have it: (B, 3, H, W)."""
    one = torch.ones_like(found.melanin)
    return replace(found, diffuse=one, specular=0.0 * one).render() / WHITE


def skin_tones(truth: Decomposition, mask: Tensor) -> Tensor:
    """Individual typology angle of each face, in degrees: (B,).

    Of the mean albedo in the mask under D65, seen by the mean camera, whatever light and camera the
    face was photographed by.
    """
    day = Illuminant.standard("D65", batch=len(truth))
    light = Illuminant(day.weights.to(truth.camera), day.cct.to(truth.camera))
    skin = albedo(replace(truth, illuminant=light, camera=torch.zeros_like(truth.camera)))
    mean = torch.stack([masked_mean(skin[:, c : c + 1], mask) for c in range(3)], dim=1)
    return individual_typology_angle(lab(mean))


# All of it -----------------------------------------------------------------------------------


@dataclass
class Errors:
    """What is wrong with the decompositions of some faces, each tensor (B,)."""

    square: dict[str, Tensor]
    """Mean squared error in the mask, for `COLUMNS` and `OTHER_COLUMNS`."""
    similarity: dict[str, Tensor]
    """SSIM in the mask, for `COLUMNS`, on the same scales."""
    within: dict[str, Tensor]
    """Rank correlation of the pixels of a face, for `RANKED`."""
    found_mean: dict[str, Tensor]
    """Mean over the mask of what was found, for `RANKED`, in plain units."""
    true_mean: dict[str, Tensor]
    """The same of the truth."""
    light_angle: Tensor
    """Between the colours of the lights, degrees."""
    light_kelvin: Tensor
    """Absolute error of the correlated colour temperature, K."""
    light_mired: Tensor
    """The same of its reciprocal, in 1e6 / K, which goes with what is seen."""
    camera_square: Tensor
    """Mean squared error of b."""
    curves: Tensor
    """Distance of the camera's curves from the true ones, relative to their norm."""
    tone: Tensor
    """Individual typology angle of the true skin, degrees."""

    @classmethod
    def join(cls, parts: list[Errors]) -> Errors:
        """Those of several batches as one."""
        joined: dict[str, Tensor | dict[str, Tensor]] = {}
        for name, first in vars(parts[0]).items():
            if isinstance(first, dict):
                joined[name] = {
                    key: torch.cat([getattr(part, name)[key] for part in parts]) for key in first
                }
            else:
                joined[name] = torch.cat([getattr(part, name) for part in parts])
        return cls(**joined)  # type: ignore[arg-type]


def measure(
    found: Decomposition,
    truth: Decomposition,
    image: Tensor,
    mask: Tensor,
    *,
    reconstruction: Tensor | None = None,
) -> Errors:
    """Errors of each face, on the scales that this module's docstring spells out.

    Args:
        found: what is judged.
        truth: what is true.
        image: (B, 3, H, W), the photos, linear sRGB.
        mask: (B, 1, H, W), 1 where to compare.
        reconstruction: what ``found`` renders to, when that is known already.

    Raises:
        ValueError: the maps are of different skins.
    """
    found.check_same_skin(truth)
    if reconstruction is None:
        reconstruction = found.render()
    compared = _compared(found, truth, mask) | {"reconstruction": (reconstruction, image)}
    lights = found.spectrum(), truth.spectrum()
    kelvin = [colour_temperature(light) for light in lights]
    curves = [one.spectral_sensitivity().flatten(1) for one in (found, truth)]
    return Errors(
        square={name: mean_square(*both, mask) for name, both in compared.items()},
        similarity={name: similarity(*compared[name], mask) for name in COLUMNS},
        within={
            name: rank_within(getattr(found, name), getattr(truth, name), mask) for name in RANKED
        },
        found_mean={name: masked_mean(getattr(found, name), mask) for name in RANKED},
        true_mean={name: masked_mean(getattr(truth, name), mask) for name in RANKED},
        light_angle=angle(*(light_colour(light) for light in lights)),
        light_kelvin=(kelvin[0] - kelvin[1]).abs(),
        light_mired=(1e6 / kelvin[0] - 1e6 / kelvin[1]).abs(),
        camera_square=(found.camera - truth.camera).square().mean(dim=1),
        curves=(curves[0] - curves[1]).norm(dim=1) / curves[1].norm(dim=1),
        tone=skin_tones(truth, mask),
    )


def _compared(
    found: Decomposition, truth: Decomposition, mask: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """What was found and what is true for each column but the reconstruction, on its scale."""
    unit = masked_mean(truth.diffuse, mask).clamp(min=1e-6).reshape(-1, 1, 1, 1)
    true_albedo, found_albedo = albedo(truth), albedo(found)
    true_diffuse = truth.diffuse / unit
    return {
        "diffuse": (
            found.diffuse * best_scale(found.diffuse, true_diffuse, mask),
            true_diffuse,
        ),
        "specular": (found.specular / unit, truth.specular / unit),
        "albedo": (found_albedo, true_albedo),
        "melanin": (found.melanin, truth.melanin),
        "haemoglobin": (found.haemoglobin, truth.haemoglobin),
        "diffuse_plain": (found.diffuse, truth.diffuse),
        "specular_plain": (found.specular, truth.specular),
        "albedo_scaled": (
            found_albedo * best_scale(found_albedo, true_albedo, mask),
            true_albedo,
        ),
    }
