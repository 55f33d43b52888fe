"""Clothes of a person with a head of a model: where they begin, their folds, seams and shadows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...physics.lighting import unit
from .draws import Draws
from .features import smoothstep
from .strands import long_noise
from .view import View

__all__ = ["Clothes", "draw_clothes"]

THROAT_WIDE = 0.46
"""Half the width of a neckline, in canonical units."""


@dataclass(frozen=True)
class Clothes:
    """As the samples of a picture show them."""

    cover: Tensor
    """(S, S), bool."""
    normal: Tensor
    """(3, S, S), unit, in camera coordinates."""
    shade: Tensor
    """(S, S), 0..1, share of the light that seams and the head's shadow leave."""


def draw_clothes(draws: Draws, view: View) -> Clothes:
    """Draw a shirt, a pullover or a blouse."""
    x, y = view.x - view.neck.middle, view.y
    fallen = draws.uniform(0.08, 0.3)  # of the shoulders
    slope = draws.uniform(-1.06, -0.96) - fallen * (x.abs() - 0.35).clamp(min=0.0)
    slope = slope - 0.2 * ((x.abs() - 0.6).clamp(min=0.0) / 0.6) ** 2
    line, band = _neckline(draws, x)
    surface = view.surface
    cover = (y < line) & (((y < slope) & ~surface.hit) | surface.neck)
    offset = draws.uniform(0.0, 40.0)
    # Folds run from the neck to the arms, and down the breast.
    away = (x.square() + (y + 0.9).square()).sqrt()
    turn = torch.atan2(x, -(y + 0.9))
    height = 0.06 * long_noise(2.2 * turn + offset, 1.8 * away)
    height = height + 0.02 * long_noise(6.0 * turn + offset, 4.0 * away)
    height = draws.uniform(0.4, 1.3) * height - 0.35 * x.square() + 0.25 * y
    step = float(view.x[0, 1] - view.x[0, 0])
    across, down = torch.zeros_like(x), torch.zeros_like(x)
    across[:, 1:-1] = (height[:, 2:] - height[:, :-2]) / (2.0 * step)
    down[1:-1] = (height[:-2] - height[2:]) / (2.0 * step)
    normal = unit(torch.stack((-across, -down + 0.35, torch.ones_like(x))))
    below = line - y
    shade = 1.0 - 0.5 * torch.exp(-((x / 0.6).square() + ((y + 1.15) / 0.25).square()))
    if band > 0.0:
        shade = shade * (1.0 - 0.4 * torch.exp(-((below - band) / 0.01).square()))
        ribs = 0.07 * torch.sin(170.0 * torch.atan2(x, -(y + 0.5))) * (below < band)
        shade = shade * (1.0 + ribs)
    shade = shade * (0.7 + 0.3 * smoothstep(0.0, 0.025, below))
    return Clothes(cover, normal, shade.clamp(0.05, 1.0))


def _neckline(draws: Draws, x: Tensor) -> tuple[Tensor, float]:
    """Height at which clothes begin, from x off the neck's middle, and the width of the band below it."""
    kind = draws.uniform(0.0, 1.0)
    top, band = -1.08 - draws.uniform(0.0, 0.1), draws.uniform(0.04, 0.09)
    across = (x / THROAT_WIDE).abs().clamp(max=1.0)
    if kind < 0.15:  # high around the neck
        return torch.full_like(x, draws.uniform(-1.04, -0.96)) - 0.05 * (1.0 - across.square()), 0.0
    if kind < 0.6:  # round
        return top - draws.uniform(0.06, 0.3) * (1.0 - across.square()), band
    depth = draws.uniform(0.2, 0.5)
    return top - depth * (1.0 - across), band if draws.chance(0.5) else 0.0
