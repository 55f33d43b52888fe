"""Colour of the skin itself, by its pigments: CIELAB, melanin and erythema index."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...decomposition import Decomposition
from ...physics.colour import cielab
from ...physics.illuminant import daylight
from ...physics.names import DAYLIGHTS, SkinName
from ...physics.skin import SKINS, reflectance_table
from ...physics.spectra import WAVELENGTHS
from ...system.lasting import kept

__all__ = ["QUANTITIES", "colour_numbers", "erythema_of_rgb", "ita", "skin_colours"]

QUANTITIES = ("lab_l", "lab_a", "lab_b", "melanin_index", "erythema_index")
"""Order of what `skin_colours` gives."""

RED, GREEN = 655.0, 568.0
"""Wavelengths in nm of the indices, as their instruments have them (Takiwaki et al. 1994)."""

DARKEST = 1e-3
"""Least linear light that a logarithm is taken of."""


@kept
def _table(skin: SkinName) -> Tensor:
    """The quantities for each entry of the skin table: (1, 5, 256, 256), row haemoglobin, column melanin."""
    reflectances = reflectance_table(SKINS[skin])  # [256, 256, 33], float64
    daylight_65 = daylight(torch.tensor([DAYLIGHTS["D65"]], dtype=torch.float64))[0]
    lab = cielab(reflectances, daylight_65)
    red, green = (_at(reflectances, wavelength).log10() for wavelength in (RED, GREEN))
    found = torch.cat((lab, torch.stack((-100.0 * red, 100.0 * (red - green)), dim=-1)), dim=-1)
    return found.permute(2, 0, 1)[None].float().contiguous()


def _at(reflectances: Tensor, wavelength: float) -> Tensor:
    """Reflectance between bands, in a straight line."""
    bands = np.array(WAVELENGTHS, dtype=float)
    upper = int(np.searchsorted(bands, wavelength))
    share = (wavelength - bands[upper - 1]) / (bands[upper] - bands[upper - 1])
    return torch.lerp(reflectances[..., upper - 1], reflectances[..., upper], share)


def skin_colours(melanin: Tensor, haemoglobin: Tensor, skin: SkinName) -> Tensor:
    """What skin of these pigments looks like, by itself: `QUANTITIES` of each pixel.

    CIELAB is that of the model's reflectance under D65, to the 1931 2-degree observer; the melanin index
    is 100 log10(1 / R655), the erythema index 100 log10(R655 / R568).

    Args:
        melanin: (N,), map values.
        haemoglobin: (N,), likewise.
        skin: which constants the maps are of.

    Returns:
        (5, N), float32; between entries of the skin table in straight lines.
    """
    place = torch.stack((melanin, haemoglobin), dim=-1).float()[None, None]
    found = F.grid_sample(
        _table(skin), place, mode="bilinear", padding_mode="border", align_corners=True
    )
    return found[0, :, 0]


def ita(lightness: float, b: float) -> float:
    """Individual typology angle in degrees, 180 / pi arctan((L* - 50) / b*) (Chardon et al. 1991)."""
    return math.degrees(math.atan2(lightness - 50.0, b))


def erythema_of_rgb(image: Tensor) -> Tensor:
    """100 log10(R / G) of linear sRGB (3, N): (N,) (Diffey et al. 1984, with a camera's channels)."""
    logs = image[:2].clamp(min=DARKEST).log10()
    return 100.0 * (logs[0] - logs[1])


def colour_numbers(found: Decomposition, image: Tensor, inside: Tensor) -> Mapping[str, float]:
    """The columns of colour of a region.

    Args:
        found: maps of one image.
        image: (1, 3, H, W), linear sRGB.
        inside: (H, W), bool, not empty.
    """
    values = skin_colours(found.melanin[0, 0][inside], found.haemoglobin[0, 0][inside], found.skin)
    numbers = values.numpy()
    medians = dict(zip(QUANTITIES, np.median(numbers, axis=1).tolist(), strict=True))
    low, high = np.quantile(numbers[QUANTITIES.index("lab_a")], (0.25, 0.75)).tolist()
    return {
        **medians,
        "ita_degrees": ita(medians["lab_l"], medians["lab_b"]),
        "redness_spread": high - low,
        "erythema_index_rgb": float(np.median(erythema_of_rgb(image[0][:, inside]).numpy())),
    }
