"""Lights around a face, of the kinds that people are photographed in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...physics.lighting import directional_light
from .draws import Draws

__all__ = ["LIGHT_KINDS", "Lights", "Source", "draw_lights"]

LIGHT_KINDS = {
    "front": 0.36,
    "side": 0.15,
    "below": 0.05,
    "flash": 0.12,
    "overcast": 0.14,
    "sun": 0.08,
    "back": 0.1,
}
"""How often each is drawn."""


@dataclass(frozen=True)
class Source:
    """A distant light."""

    direction: Tensor
    """(3,), unit length, towards the light; x right, y up, z to the viewer."""
    strength: float
    """Irradiance on a surface that faces it."""
    size: float
    """How wide it is, as the roughness that it adds to highlights: 0.05 a flash, 0.4 a window near by."""


@dataclass(frozen=True)
class Lights:
    """Distant lights and an ambient one."""

    kind: str
    """One of `LIGHT_KINDS`."""
    sources: tuple[Source, ...]
    ambient: Tensor
    """(3, 9), spherical harmonics of what comes from all around, the same in each channel."""
    lighting: Tensor
    """(3, 9), of all together."""
    tint: Tensor
    """(3,), colour of what comes from the side of `tinted`, beside that of the light; 1 in most photos."""
    tinted: Tensor
    """(3,), the direction that the second colour comes from."""


def _towards(azimuth: float, elevation: float) -> Tensor:
    """Unit direction of angles in degrees; 0, 0 is that of the viewer."""
    across, up = np.radians([azimuth, elevation])
    return torch.tensor(
        [np.sin(across) * np.cos(up), np.sin(up), np.cos(across) * np.cos(up)],
        dtype=torch.float32,
    )


def _either_side(draws: Draws, low: float, high: float) -> float:
    return draws.uniform(low, high) * (1.0 if draws.chance(0.5) else -1.0)


def _sources(draws: Draws, kind: str) -> list[Source]:
    """The distant lights of a kind, the main one first."""

    def source(azimuth: float, elevation: float, strength: float, size: float) -> Source:
        return Source(_towards(azimuth, elevation), strength, size)

    if kind == "overcast":
        return [source(draws.gaussian(30.0), 60.0 + draws.gaussian(15.0), 0.25, 0.6)]
    if kind == "flash":
        return [source(draws.gaussian(6.0), draws.uniform(0.0, 12.0), 1.0, 0.05)]
    if kind == "sun":
        azimuth = _either_side(draws, 0.0, 80.0)
        return [source(azimuth, draws.uniform(30.0, 70.0), draws.uniform(0.8, 1.1), 0.04)]
    if kind == "side":
        azimuth = _either_side(draws, 50.0, 95.0)
        size = draws.uniform(0.1, 0.45)
        return [source(azimuth, draws.uniform(-5.0, 35.0), draws.uniform(0.7, 1.1), size)]
    if kind == "below":
        elevation = draws.uniform(-60.0, -20.0)
        return [source(draws.gaussian(25.0), elevation, draws.uniform(0.5, 1.0), 0.2)]
    if kind == "back":
        azimuth, size = _either_side(draws, 115.0, 165.0), draws.uniform(0.05, 0.3)
        back = source(azimuth, draws.uniform(10.0, 50.0), draws.uniform(0.8, 2.0), size)
        return [back, source(draws.gaussian(40.0), 15.0, draws.uniform(0.1, 0.4), 0.4)]
    lights = []
    for number in range(1 + int(draws.rng.integers(0, 3))):
        strength = draws.uniform(0.5, 1.0) if number == 0 else draws.uniform(0.05, 0.5)
        azimuth = draws.gaussian(38.0 if number == 0 else 70.0)
        lights.append(
            source(azimuth, 22.0 + draws.gaussian(18.0), strength, draws.uniform(0.1, 0.45))
        )
    return lights


AMBIENT = {
    "front": (0.25, 0.8),
    "side": (0.06, 0.35),
    "below": (0.1, 0.4),
    "flash": (0.03, 0.25),
    "overcast": (0.5, 0.7),
    "sun": (0.15, 0.4),
    "back": (0.25, 0.5),
}
"""Least and most irradiance from all around."""


def draw_lights(draws: Draws) -> Lights:
    """Draw what lights a face."""
    kind = str(draws.rng.choice(list(LIGHT_KINDS), p=list(LIGHT_KINDS.values())))
    ambient = torch.zeros(9)
    ambient[0] = draws.uniform(*AMBIENT[kind]) / 0.886227
    # The sky is brighter than the ground; a bright room has a bright side.
    ambient[1] = draws.uniform(0.15, 0.45) if kind == "overcast" else draws.uniform(0.0, 0.15)
    ambient[2], ambient[3] = draws.uniform(0.0, 0.12), draws.gaussian(0.05)
    sources = tuple(_sources(draws, kind))
    lighting = ambient
    for source in sources:
        lighting = lighting + source.strength * directional_light(source.direction)
    tint = torch.ones(3)
    if draws.chance(0.15):
        warmth = draws.gaussian(0.25)  # a lamp beside daylight, or a screen
        tint = torch.tensor([np.exp(warmth), np.exp(draws.gaussian(0.05)), np.exp(-warmth)]).float()
    tinted = _towards(_either_side(draws, 40.0, 120.0), draws.gaussian(25.0))
    return Lights(
        kind,
        sources,
        ambient.expand(3, 9).clone(),
        lighting.expand(3, 9).clone(),
        tint,
        tinted,
    )
