"""Colours of things that may have any: walls, clothes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ...physics.colour import luminance
from .draws import Draws

__all__ = ["any_colour"]

BLACK, WHITE = 0.008, 0.9
"""Reflectance of the darkest and the brightest things."""


def any_colour(draws: Draws) -> Tensor:
    """Linear RGB of a reflectance from black to white, of any hue, and grey as often as not: (3,).

    Each ratio of brightness is as likely as any other; strong colours are rare, as they are about people.
    """
    level = math.exp(draws.uniform(math.log(BLACK), math.log(WHITE)))
    if draws.chance(0.15):
        level = draws.uniform(0.6, WHITE)
    strength = draws.uniform(0.0, 0.12) if draws.chance(0.5) else 1.1 * draws.uniform(0.0, 1.0) ** 3
    hue = draws.uniform(0.0, 2.0 * math.pi) + np.array([0.0, 2.0, 4.0]) * math.pi / 3.0
    colour = torch.from_numpy(np.exp(strength * np.cos(hue))).float()
    return (level * colour / luminance(colour.reshape(1, 3, 1, 1)).squeeze()).clamp(0.003, 0.95)
