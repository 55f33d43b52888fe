"""Who a face is: skin, age, sex, hair, features and the shape of the head, as far as they show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...physics.names import SkinName
from .draws import Draws
from .features import EYE_X, EYE_Y, MOUTH_Y, Brows, Eyes, Mouth
from .heads.faces import ModelledHead, draw_modelled_head
from .heads.prepared import PreparedModel
from .shape import Bump, Head
from .tones import LIGHTNESS, draw_tone

__all__ = ["Identity", "draw_identity"]

HAIR_COLOURS = np.array(
    [
        [0.012, 0.009, 0.008],
        [0.03, 0.018, 0.012],
        [0.075, 0.036, 0.018],
        [0.16, 0.085, 0.04],
        [0.36, 0.24, 0.12],
        [0.2, 0.06, 0.02],
        [0.22, 0.215, 0.21],
    ]
)
"""Linear RGB: black, dark brown, brown, light brown, blond, red, grey."""


@dataclass(frozen=True)
class Identity:
    """Everything about a face that neither pose nor light changes."""

    skin: SkinName
    """Constants of the skin model that its maps are of."""
    melanin: float
    """Map value of most of its skin."""
    haemoglobin: float
    """Map value of most of its skin."""
    light: float
    """0 to 1, from dark to light skin, as the seed gave it: what depends on ancestry goes by it."""
    masculine: float
    """0 to 1."""
    child: bool
    age: float
    """0 for the young to 1 for the old."""
    mouth: Mouth
    eyes: Eyes
    brows: Brows
    hair_colour: np.ndarray
    """(3,), linear RGB."""
    head: Head | ModelledHead

    @property
    def modelled(self) -> bool:
        """Whether the head is one of a head model: all that is around it varies more."""
        return isinstance(self.head, ModelledHead)


def draw_identity(
    draws: Draws,
    skin: SkinName,
    melanin: float | None = None,
    heads: PreparedModel | None = None,
) -> Identity:
    """Draw a face, with the melanin given instead of the drawn one where there is one.

    Its head is parametric, or one of a head model.
    """
    tone = draw_tone(draws, skin, photographed=heads is not None)
    middle, width = LIGHTNESS[skin]
    light = 1.0 / (1.0 + math.exp(4.0 * (tone.melanin - middle) / width))
    masculine = draws.uniform(0.0, 1.0)
    child = draws.chance(0.08) and heads is None  # a model of grown-up heads
    age = 0.0 if child else draws.uniform(0.0, 1.0) ** 1.5
    mouth = Mouth.draw(draws)
    return Identity(
        skin=skin,
        melanin=tone.melanin if melanin is None else melanin,
        haemoglobin=tone.haemoglobin,
        light=light,
        masculine=masculine,
        child=child,
        age=age,
        mouth=mouth,
        eyes=Eyes.draw(draws),
        brows=Brows.draw(draws, masculine, modelled=heads is not None),
        hair_colour=_draw_hair_colour(draws, light, age)
        if heads is None
        else _draw_any_hair_colour(draws, light, age),
        head=_draw_head(draws, masculine, child, mouth)
        if heads is None
        else draw_modelled_head(draws, heads, masculine),
    )


def _draw_hair_colour(draws: Draws, light: float, age: float) -> np.ndarray:
    """Mostly black with dark skin; grey with age; now and then dyed."""
    turned_grey = draws.chance(0.85 * age**2)
    choice = int(draws.rng.integers(1, 6)) if draws.chance(light) else int(draws.rng.integers(0, 2))
    colour = HAIR_COLOURS[choice]
    if turned_grey:
        colour = colour + draws.uniform(0.4, 1.0) * (HAIR_COLOURS[6] - colour)
    dyed = draws.rng.uniform(0.01, 0.3, 3)
    if draws.chance(0.04):
        colour = 0.3 * colour + 0.7 * dyed
    return np.asarray(colour * draws.uniform(0.6, 1.3))


def _draw_any_hair_colour(draws: Draws, light: float, age: float) -> np.ndarray:
    """That of many people whatever their skin: dyed, bleached, or a wig; darker and brighter."""
    if draws.chance(0.35):
        light, age = 1.0, draws.uniform(0.0, 1.0)
    colour = _draw_hair_colour(draws, light, age)
    return np.asarray((colour * np.exp(draws.gaussian(0.35))).clip(0.004, 0.6))


def _draw_head(draws: Draws, masculine: float, child: bool, mouth: Mouth) -> Head:
    nose, brow, chin = (draws.uniform(0.8, 1.25) for _ in range(3))
    nose_wide = draws.uniform(0.85, 1.3)
    full = draws.uniform(0.7, 1.3)
    smile, y = mouth.smile, MOUTH_Y
    bumps = (
        Bump(0.27, 0.27, 0.2, 0.06, 0.05 * brow * (0.5 + masculine)),  # brow ridge
        Bump(EYE_X, 0.09, 0.17, 0.1, -0.12),  # eye socket
        Bump(EYE_X, EYE_Y, 0.085, 0.065, 0.075),  # eyeball
        Bump(0.0, 0.14, 0.055, 0.16, 0.06 * nose),  # root of the nose
        Bump(0.0, -0.1, 0.065 * nose_wide, 0.15, 0.15 * nose),  # bridge of the nose
        Bump(0.0, -0.27, 0.085 * nose_wide, 0.075, 0.2 * nose),  # tip of the nose
        Bump(0.115 * nose_wide, -0.31, 0.05, 0.05, 0.085),  # wing of the nose
        Bump(0.05 * nose_wide, -0.365, 0.03, 0.02, -0.05),  # nostril
        Bump(0.0, y + 0.04, 0.16, 0.045, 0.065 * full),  # upper lip
        Bump(0.0, y + 0.1, 0.025, 0.05, -0.014),  # philtrum
        Bump(0.0, y - 0.06, 0.13, 0.045, 0.07 * full),  # lower lip
        Bump(0.0, y, 0.5 * mouth.width, 0.016, -0.04),  # mouth
        Bump(0.0, y - 0.155, 0.14, 0.035, -0.045),  # fold below the lips
        Bump(0.0, y - 0.32, 0.14, 0.09, 0.09 * chin),  # chin
        Bump(0.42, -0.1 - 0.03 * smile, 0.16, 0.14, 0.05 + 0.04 * smile),  # cheek
        Bump(0.29, -0.46, 0.035, 0.11, -0.02 - 0.02 * smile),  # fold from nose to mouth
        Bump(0.3, y, 0.04, 0.05, -0.02 - 0.02 * smile),  # corner of the mouth
        Bump(0.66, 0.4, 0.12, 0.16, -0.03),  # temple
    )
    return Head(
        half_width=draws.uniform(0.69, 0.77),
        depth=draws.uniform(0.8, 0.9),
        jaw=draws.uniform(0.42, 0.56) + 0.12 * masculine - (0.05 if child else 0.0),
        bumps=bumps,
    )
