"""Maps in their colours."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.colour import WHITE_ROW_SUMS, XYZ_TO_SRGB, linear_to_srgb
from ..physics.skin import blood_fraction, melanosome_fraction
from .encoding import display

__all__ = [
    "MAP_NAMES",
    "PANEL_TITLES",
    "PIGMENT_TICKS",
    "albedo_image",
    "brightest",
    "colour_scale",
    "in_colours",
    "map_image",
    "pigment_colours",
    "plane_of",
]

MAP_NAMES = ("melanin", "haemoglobin", "diffuse", "specular")

# CIELAB stations from no pigment to all of it; lightness falls evenly along the way.
PIGMENT_LAB = {
    "melanin": ((97, 1, 5), (80, 9, 24), (60, 16, 35), (38, 17, 29), (14, 8, 10)),
    "haemoglobin": ((97, 2, 2), (80, 20, 11), (60, 42, 25), (38, 48, 28), (14, 30, 16)),
}

# Percentages that the colour bars name; the axis is a cube, so they do not stand evenly.
PIGMENT_TICKS = {
    "melanin": (melanosome_fraction, (0, 1, 5, 10, 20, 43)),
    "haemoglobin": (blood_fraction, (0, 0.1, 0.5, 1, 2, 4, 7)),
}

PANEL_TITLES = {
    "melanin": ("Melanin", "melanosomes, % of epidermis"),
    "haemoglobin": ("Haemoglobin", "blood, % of dermis"),
    "diffuse": ("Diffuse shading", "body reflection"),
    "specular": ("Specular shading", "surface reflection"),
}

# Maps ----------------------------------------------------------------------------------------


@cache
def pigment_colours(name: str) -> Colormap:
    """Of ``melanin`` or ``haemoglobin``: 256 colours at even steps of CIELAB lightness.

    So that equal steps look equal.
    """
    stations = np.array(PIGMENT_LAB[name], dtype=float)
    lightness = np.linspace(stations[0, 0], stations[-1, 0], 256)
    a, b = (np.interp(-lightness, -stations[:, 0], stations[:, i]) for i in (1, 2))
    f = (lightness + 16.0) / 116.0
    cubes = np.stack([f + a / 500.0, f, f - b / 200.0])
    relative = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29))
    white = torch.linalg.inv(XYZ_TO_SRGB).sum(dim=1, keepdim=True)
    linear = XYZ_TO_SRGB @ (white * torch.from_numpy(relative))
    return ListedColormap(linear_to_srgb(linear).T.numpy(), name=name)


def plane_of(decomposition: Decomposition, name: str) -> np.ndarray:
    """A map of the first image: (H, W)."""
    values: Tensor = getattr(decomposition, name)
    return values[0, 0].detach().float().cpu().numpy()


def brightest(values: np.ndarray) -> float:
    """All but the brightest 0.5 %, which would leave the rest in the dark."""
    return max(float(np.quantile(values, 0.995)), 1e-6) if values.size else 1.0


def colour_scale(name: str, values: np.ndarray) -> ScalarMappable:
    """Colours and range of a map: fixed for pigments, from 0 to the brightest for shadings."""
    if name in PIGMENT_LAB:
        return ScalarMappable(Normalize(-1.0, 1.0), pigment_colours(name))
    return ScalarMappable(Normalize(0.0, brightest(values)), colormaps["gray"])


def in_colours(values: np.ndarray, scale: ScalarMappable) -> np.ndarray:
    """Values (H, W) as an 8-bit picture (H, W, 3)."""
    return np.asarray(scale.to_rgba(values, bytes=True))[..., :3].copy()


def map_image(decomposition: Decomposition, name: str) -> np.ndarray:
    """A map of the first image in its colours: 8-bit (H, W, 3).

    Pigments run from white at -1 to dark brown or dark red at 1, shadings from black at 0 to white
    at their 99.5th percentile.

    Args:
        decomposition: a batch of one or more.
        name: ``melanin``, ``haemoglobin``, ``diffuse`` or ``specular``.
    """
    if name not in MAP_NAMES:
        raise ValueError(f"unknown map {name!r}: choose one of {', '.join(MAP_NAMES)}")
    values = plane_of(decomposition, name)
    return in_colours(values, colour_scale(name, values))


def albedo_image(decomposition: Decomposition) -> np.ndarray:
    """The first image's skin without shading or highlights, beside a white that is white.

    The renderer's scale puts a white of unit diffuse shading at 0.34; here it is at 1. 8-bit
    (H, W, 3).
    """
    albedo = decomposition[0].detach().to("cpu").trace().albedo[0]
    return display(albedo / float(WHITE_ROW_SUMS[1]))
