"""Clothes of a person with a head of a model: where they begin, their layers, folds, seams and shadows."""

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

KINDS = {"round": 0.42, "pointed": 0.13, "high": 0.1, "collar": 0.2, "jacket": 0.15}
"""How often necks of clothes are round, pointed, high, a shirt's collar, or open below a jacket."""

LAPEL = 0.17
"""Width of a lapel, in canonical units."""


@dataclass(frozen=True)
class Clothes:
    """As the samples of a picture show them."""

    cover: Tensor
    """(S, S), bool."""
    outer: Tensor
    """(S, S), bool, those of a jacket, of another cloth than what is below it."""
    normal: Tensor
    """(3, S, S), unit, in camera coordinates."""
    shade: Tensor
    """(S, S), 0..1, share of the light that seams and the head's shadow leave."""


def draw_clothes(draws: Draws, view: View) -> Clothes:
    """Draw a shirt, a pullover, a blouse or a jacket."""
    x, y = view.x - view.neck.middle, view.y
    ax, surface = x.abs(), view.surface
    kind = str(draws.rng.choice(list(KINDS), p=list(KINDS.values())))
    line, band = _neckline(draws, kind, x)
    slope = _shoulders(draws, ax)
    line = line + (slope - line) * smoothstep(0.85, 1.25, ax / THROAT_WIDE)
    cover = (y < line) & (((y < slope) & ~surface.hit) | surface.neck)
    # No skin between neck and cloth, nor on the shoulders.
    beside = (y < slope + 0.12) | ((ax > 0.72) & (y < -0.9))
    cover = cover | (surface.neck & (ax > 1.25 * THROAT_WIDE) & beside)
    normal = _folds(draws, view, x)
    below = line - y
    shade = 1.0 - 0.5 * torch.exp(-((x / 0.6).square() + ((y + 1.15) / 0.25).square()))
    if band > 0.0:
        shade = shade * (1.0 - 0.3 * torch.exp(-((below - band) / 0.01).square()))
        ribs = 0.05 * torch.sin(170.0 * torch.atan2(x, -(y + 0.5))) * (below < band)
        shade = shade * (1.0 + ribs)
    outer = torch.zeros_like(cover)
    if kind == "collar":
        shade = shade * _collar(draws, x, y, line)
    elif kind == "jacket":
        outer, fold = _jacket(draws, ax, y)
        shade = shade * fold
    shade = shade * (0.6 + 0.4 * smoothstep(0.0, 0.03, below))
    return Clothes(cover, outer, normal, shade.clamp(0.05, 1.0))


def _shoulders(draws: Draws, ax: Tensor) -> Tensor:
    """Height of the shoulders beside the neck, which rise to it; the arms are beyond the picture: (S, S)."""
    fallen, top = draws.uniform(0.18, 0.5), draws.uniform(-1.25, -1.02)
    off = (ax - 0.45).clamp(min=-0.1)
    return top - fallen * off - 0.12 * off.square() + 0.07 * torch.exp(-off.clamp(min=0.0) / 0.1)


def _neckline(draws: Draws, kind: str, x: Tensor) -> tuple[Tensor, float]:
    """Height at which clothes begin, from x off the neck's middle, and the width of the band below it."""
    top, band = -1.14 - draws.uniform(0.0, 0.16), draws.uniform(0.04, 0.08)
    across = (x / THROAT_WIDE).abs().clamp(max=1.0)
    if kind == "high":  # around the neck
        return torch.full_like(x, draws.uniform(-1.04, -0.96)) - 0.08 * (1.0 - across.square()), 0.0
    if kind == "round":
        return top - draws.uniform(0.1, 0.3) * (1.0 - across.square()).sqrt(), band
    # Pointed with a tip that cloth can have.
    depth = draws.uniform(0.2, 0.45)
    pointed = 1.04 - (across.square() + 0.04**2).sqrt()
    return top - depth * pointed, band if kind == "pointed" and draws.chance(0.5) else 0.0


def _folds(draws: Draws, view: View, x: Tensor) -> Tensor:
    """Normals of cloth that hangs from the shoulders: (3, S, S)."""
    y, offset = view.y, draws.uniform(0.0, 40.0)
    side = 11.0 * (x < 0.0)
    down, aside = 0.75 * y + 0.65 * x.abs(), 0.75 * x.abs() - 0.65 * y
    blend = smoothstep(0.0, 0.25, x.abs())  # folds of both sides meet in the middle
    height = 0.05 * blend * long_noise(2.6 * aside + offset + side, 1.3 * down)
    height = height + 0.03 * long_noise(2.2 * x + offset, 2.4 * y)
    height = height + 0.012 * blend * long_noise(7.0 * aside + offset + side, 3.0 * down)
    height = draws.uniform(0.3, 1.2) * height - 0.35 * x.square() + 0.25 * y
    step = float(view.x[0, 1] - view.x[0, 0])
    across, along = torch.zeros_like(x), torch.zeros_like(x)
    across[:, 1:-1] = (height[:, 2:] - height[:, :-2]) / (2.0 * step)
    along[1:-1] = (height[:-2] - height[2:]) / (2.0 * step)
    return unit(torch.stack((-across, -along + 0.35, torch.ones_like(x))))


def _edge(distance: Tensor, depth: float) -> Tensor:
    """Share of the light beside the edge of a layer: its shadow lies where the distance is positive."""
    return 1.0 - depth * torch.exp(-distance.clamp(min=0.0) / 0.025) * (distance > 0.0)


def _collar(draws: Draws, x: Tensor, y: Tensor, line: Tensor) -> Tensor:
    """Shade of a shirt's collar and the row of its buttons: (S, S)."""
    long, wide = draws.uniform(0.22, 0.34), draws.uniform(0.13, 0.2)
    below = line - y
    # Each half ends in a point, below and beside the opening.
    end = wide * (1.0 - 0.25 * (x.abs() / THROAT_WIDE))
    past = torch.maximum(below - end, -(y + 1.0 + long + 0.4 * x.abs()))
    shade = _edge(past, 0.45)
    row = torch.exp(-((x - 0.05) / 0.008).square()) * (below > 0.02)
    return shade * (1.0 - 0.25 * row)


def _jacket(draws: Draws, ax: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where a jacket hangs over the rest, (S, S), bool, and the shade of its lapels."""
    begins, leans = draws.uniform(0.38, 0.46), draws.uniform(0.25, 0.55)
    inner = begins + leans * (y + 1.0)
    past = inner - ax  # within the opening
    notch = 0.12 * torch.exp(-((y + draws.uniform(1.15, 1.3)) / 0.03).square())
    shade = _edge(past, 0.5) * _edge(ax - inner - LAPEL + notch, 0.35)
    return past < 0.0, shade
