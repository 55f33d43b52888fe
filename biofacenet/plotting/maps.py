"""Maps in their colours."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.colour import WHITE_ROW_SUMS, XYZ_TO_SRGB, linear_to_srgb
from ..physics.skin import SKINS, SkinName, blood_fraction, melanosome_fraction
from .encoding import display

__all__ = [
    "MAP_NAMES",
    "OUTSIDE",
    "PANEL_TITLES",
    "PIGMENT_TICKS",
    "albedo_image",
    "brightest",
    "colour_scale",
    "greyed",
    "in_colours",
    "map_image",
    "pigment_colours",
    "plane_of",
    "scale_of_skin",
    "ticks",
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

OUTSIDE = 240
"""Grey of what is no skin: neither the white of no pigment nor the black of no light."""

FAINTLY = (185, 241)
"""Greys of black and white, where the photo shows faintly instead."""

ROBUST = (0.02, 0.98)
"""Quantiles of the skin's pixels at which colours end."""

NARROWEST = {"melanin": 0.12, "haemoglobin": 0.12, "diffuse": 0.05, "specular": 0.05}
"""Range of map values that colours span at least, so that even skin does not show its noise."""

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


def scale_of_skin(name: str, values: np.ndarray) -> ScalarMappable:
    """Colours and range of a map of one face, so that its own differences show: from the 2nd to the
    98th percentile of the skin.

    Args:
        name: of the map.
        values: of it, where skin is.
    """
    low, high = np.quantile(values, ROBUST).tolist() if values.size else (-1.0, 1.0)
    least, most = (-1.0, 1.0) if name in PIGMENT_LAB else (0.0, np.inf)
    short = max(0.0, NARROWEST[name] - (high - low)) / 2.0
    low, high = low - short, high + short
    # Moved into the range of the map, and not cut off at its end.
    move = max(0.0, least - low) - max(0.0, high - most)
    colours = pigment_colours(name) if name in PIGMENT_LAB else colormaps["gray"]
    return ScalarMappable(Normalize(low + move, high + move), colours)


def greyed(picture: np.ndarray, inside: np.ndarray, photo: np.ndarray | None = None) -> np.ndarray:
    """An 8-bit picture (H, W, 3) with all that is not inside (H, W) in light grey.

    Where the photo is given, also 8-bit, it shows faintly there, so that a face can be recognised.
    """
    if photo is None:
        return np.where(inside[..., None], picture, np.uint8(OUTSIDE))
    low, high = FAINTLY
    faint = low + (high - low) / 255.0 * photo.mean(axis=2, keepdims=True)
    return np.where(inside[..., None], picture, faint.round().astype(np.uint8))


def ticks(
    name: str, low: float, high: float, *, skin: SkinName = "published"
) -> tuple[list[float], list[str]]:
    """Places between two values of a map, and the round numbers that stand there.

    Of a pigment the numbers are percent of melanosomes or blood.
    """
    if name not in PIGMENT_TICKS:
        places = _round_numbers(low, high)
        return places, [f"{place:g}" for place in places]
    fraction, _ = PIGMENT_TICKS[name]
    values = torch.linspace(low, high, 2001, dtype=torch.float64)
    percents = 100.0 * _at(fraction, values, skin)
    least, most = float(percents[0]), float(percents[-1])
    even = _round_numbers(least, most)
    # The axis is a cube: below the first of even steps there is room for more.
    wanted = [x for x in _decades(least, most) if not even or x < 0.8 * even[0]] + even
    if least < 0.005 and 0.0 not in wanted:
        wanted = [0.0, *wanted]
    places = [float(np.interp(one, percents, values.numpy())) for one in wanted]
    kept: list[int] = []
    for i, place in enumerate(places):
        if not kept or place - places[kept[-1]] > 0.1 * (high - low):
            kept.append(i)
    return [places[i] for i in kept], [f"{wanted[i]:g}" for i in kept]


def _at(fraction: Callable[..., Tensor], values: Tensor, skin: SkinName) -> np.ndarray:
    return fraction(values, SKINS[skin]).numpy()


def _round_numbers(low: float, high: float) -> list[float]:
    steps = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3).tick_values(low, high)
    slack = 1e-6 * (high - low)
    return [round(float(x), 9) for x in steps if low - slack <= x <= high + slack]


def _decades(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 and so on within a range."""
    numbers = [digit * 10.0**power for power in range(-2, 2) for digit in (1, 2, 5)]
    return [round(x, 9) for x in numbers if low <= x <= high]


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
