"""A session's maps and facts as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from torch import Tensor

from ..decomposition import Edit
from ..physics.illuminant import ILLUMINANT_NAMES
from ..plotting.encoding import display
from ..plotting.maps import PIGMENT_TICKS, albedo_image, map_image, pigment_colours
from .session import Session

__all__ = [
    "Tile",
    "change",
    "facts",
    "tiles",
]

TILE = 256
"""Longest side of a map on the page."""

# Maps ----------------------------------------------------------------------------------------

FRACTIONS = {
    "melanin": ("melanosomes", "of epidermis"),
    "haemoglobin": ("blood", "of dermis"),
}
"""What a pigment's map says in percent, and of what."""


@dataclass(frozen=True)
class Tile:
    """A map as the page shows it."""

    title: str
    unit: str
    picture: np.ndarray
    """8-bit (H, W, 3)."""
    value: str = ""
    """What is typical of the skin, in words."""
    colours: tuple[str, ...] = ()
    """Of its bar, from left to right, as CSS has them; none without a bar."""
    ticks: tuple[tuple[float, str], ...] = ()
    """Places along the bar, 0..1, and what stands there."""


def percent(fraction: float) -> str:
    """A fraction as a percentage of two digits that mean something."""
    return f"{100 * fraction:.{0 if fraction >= 0.1 else 1 if fraction >= 0.01 else 2}f} %"


def level(session: Session, name: str) -> str:
    """Melanosomes or blood of the face, median and 68 % interval, in words."""
    numbers = session.numbers
    return (numbers.melanosomes if name == "melanin" else numbers.blood).words


def change(session: Session, name: str, edit: Edit) -> str:
    """Melanosomes or blood of the face before and after an edit, in words."""
    place = ("melanin", "haemoglobin").index(name)
    one, other = (percent(session.percents(under)[place] / 100.0) for under in (Edit(), edit))
    return one if one == other else f"{one} → {other}"


def _pigment(session: Session, name: str) -> Tile:
    fraction, percents = PIGMENT_TICKS[name]
    what, of = FRACTIONS[name]
    values = torch.linspace(-1.0, 1.0, 2001, dtype=torch.float64)
    reached = fraction(values).numpy()
    places = [float(np.interp(one / 100, reached, np.linspace(0.0, 1.0, 2001))) for one in percents]
    return Tile(
        title=name.capitalize(),
        unit=f"{what}, % {of}",
        picture=map_image(session.found, name),
        value=f"{what} {level(session, name)}",
        colours=_css(pigment_colours(name)(np.linspace(0, 1, 9))),
        ticks=tuple((place, f"{one:g}") for place, one in zip(places, percents, strict=True)),
    )


def _css(colours: np.ndarray) -> tuple[str, ...]:
    return tuple("#" + bytes(round(255 * c) for c in one[:3]).hex() for one in colours)


def _shading(session: Session, name: str, unit: str) -> Tile:
    values: Tensor = getattr(session.found, name)
    most = max(float(values.quantile(0.995)), 1e-6)
    usual = float(values[session.counted > 0.5].median())
    factor = getattr(session.trust, f"face_{name}")
    return Tile(
        title=f"{name.capitalize()} shading",
        unit=unit,
        picture=map_image(session.found, name),
        value=f"{usual:.2g}, within a factor {np.exp(factor):.2g}",
        colours=("#000000", "#ffffff"),
        ticks=tuple((place, f"{place * most:.2g}") for place in (0.0, 0.5, 1.0)),
    )


def _deviation(session: Session, name: str) -> Tile:
    what, _ = FRACTIONS[name]
    widths = {"melanin": session.trust.melanosomes, "haemoglobin": session.trust.blood}
    rows, columns = session.trust.melanin.shape[2:]
    side = (rows, columns)
    width = widths[name](F.adaptive_avg_pool2d(getattr(session.found, name), side))
    skin = F.adaptive_avg_pool2d(session.mask, side) > 0.5
    inside = width[skin] if skin.any() else width.flatten()
    most = max(float(inside.quantile(0.99)), 1e-6)
    shades = (255 * (width[0, 0] / most).clamp(0, 1)).byte().numpy()
    coloured = (255 * colormaps["cividis"](shades)[..., :3]).round().astype(np.uint8)
    larger = cv2.resize(coloured, (TILE, TILE), interpolation=cv2.INTER_LINEAR)
    return Tile(
        title=f"{name.capitalize()} ±",
        unit=f"{what}, % points",
        picture=larger,
        value=f"± {100 * float(inside.median()):.2g} for a single pixel",
        colours=_css(colormaps["cividis"](np.linspace(0, 1, 9))),
        ticks=tuple((place, f"{100 * place * most:.2g}") for place in (0.0, 0.5, 1.0)),
    )


def tiles(session: Session) -> list[Tile]:
    """Everything that is known of a photo, as pictures with their units."""
    shown = display(session.reconstruction[0])
    edges, _ = cv2.findContours(
        session.mask[0, 0].byte().numpy(), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    shown = cv2.drawContours(shown.copy(), edges, -1, (120, 200, 255), 1)
    error = "" if session.rmse is None else f"error {session.rmse:.3f} in linear RGB"
    return [
        _pigment(session, "melanin"),
        _pigment(session, "haemoglobin"),
        _shading(session, "diffuse", "body reflection"),
        _shading(session, "specular", "surface reflection"),
        Tile("Albedo", "skin without shading", albedo_image(session.found)),
        Tile("Reconstruction", "skin outlined", shown, error),
        _deviation(session, "melanin"),
        _deviation(session, "haemoglobin"),
    ]


def facts(session: Session) -> list[tuple[str, str]]:
    """What is known of the face, the light and the camera, each with its 68 % interval, in words."""
    light, known = session.found.illuminant, session.known
    weights = zip(ILLUMINANT_NAMES, light.weights[0].tolist(), strict=True)
    largest = sorted(weights, key=lambda one: -one[1])[:3]
    mixture = ", ".join(f"{100 * share:.0f} % {name}" for name, share in largest if share >= 0.05)
    b1, b2 = session.found.camera[0].tolist()
    return [
        ("Melanosomes", f"{level(session, 'melanin')} of the epidermis (median of the skin)"),
        ("Blood", f"{level(session, 'haemoglobin')} of the dermis (median of the skin)"),
        ("Level", session.level or "relative: what white is, was not told"),
        ("Light", f"{mixture} ({known.light_words})"),
        ("Camera", f"b1 {b1:.2f}, b2 {b2:.2f} ({known.camera_words})"),
    ]
