"""Eyes and the inside of an open mouth, as plain colours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .draws import Draws
from .features import EYE_X, EYE_Y
from .identity import Identity
from .parts import Parts
from .shading import Shading
from .view import View

__all__ = ["eye_colour", "mouth_colour"]

IRIS_COLOURS = np.array(
    [
        [0.03, 0.014, 0.007],
        [0.09, 0.045, 0.02],
        [0.1, 0.11, 0.05],
        [0.1, 0.16, 0.25],
        [0.15, 0.17, 0.18],
    ]
)
"""Linear RGB of the iris: dark brown, brown, green, blue, grey."""


def eye_colour(
    draws: Draws,
    who: Identity,
    view: View,
    parts: Parts,
    shading: Shading,
    fine: Tensor,
    rows: slice,
) -> Tensor:
    """Sclera, iris, pupil and catch lights on rows of samples: (3, R, S)."""
    point = view.surface.point[:, rows]
    x = point[0]
    chosen = int(draws.rng.integers(len(IRIS_COLOURS)))
    chosen = chosen if draws.chance(who.light) else 0
    iris = torch.from_numpy(IRIS_COLOURS[chosen] * draws.uniform(0.6, 1.4)).float()[:, None, None]
    light = shading.open[rows] * (1.0 - 0.6 * parts.lid[rows]).clamp(
        0.2, 1.0
    )  # the lid shades the ball
    yellow = draws.uniform(0.8, 1.0)
    sclera = 0.75 if view.shells is not None else 1.0
    white = sclera * torch.tensor([0.5, 0.46, 0.46 * yellow])[:, None, None]
    red = 1.0 - draws.uniform(0.0, 0.25) * ((x.abs() - EYE_X).abs() / 0.13).clamp(0.0, 1.0) ** 2
    white = torch.cat((white[:1].expand(1, *x.shape), white[1:] * red), dim=0)
    distance = parts.iris_distance[rows]
    rim = 1.0 - 0.6 * ((distance - 0.7) / 0.3).clamp(0.0, 1.0)
    spokes = (1.0 + 0.25 * fine[rows]).clamp(0.4, 1.6)
    eye = torch.where(distance < 1.0, iris * rim * spokes, white)
    eye = torch.where(distance < draws.uniform(0.3, 0.55), torch.full_like(eye, 0.004), eye)
    return eye * light + catch_light(point, shading, modelled=view.shells is not None)


def catch_light(point: Tensor, shading: Shading, *, modelled: bool) -> Tensor:
    """Mirror images of the lights on the cornea, which is wet and smooth, of places (3, R, S): (R, S).

    Eyes of heads of a model have those of a ball of 8 mm, small and without hard edges.
    """
    x, y, _ = point
    side = torch.where(x < 0.0, -EYE_X, EYE_X)
    seen = torch.zeros_like(x)
    for source in shading.sources:
        across, up, ahead = (float(v) for v in source.direction)
        if ahead < 0.0:
            continue
        radius = (0.006 if modelled else 0.008) + (0.012 if modelled else 0.02) * source.size
        away = (x - side - 0.03 * across).square() + (y - EYE_Y - 0.03 * up).square()
        bright = min(0.9, 0.25 / max(source.size, 0.1))
        inside = away.sqrt() < radius
        if modelled:
            inside = torch.sigmoid((radius - away.sqrt()) / (0.2 * radius))
        seen = seen + bright * source.strength * inside
    return seen.clamp(max=1.2)


def mouth_colour(draws: Draws, view: View, parts: Parts, shading: Shading, rows: slice) -> Tensor:
    """Teeth, in most open mouths, with the tongue or the dark behind them, on rows of samples: (3, R, S)."""
    x, y, _ = view.surface.point[:, rows]
    teeth, lit = parts.teeth[rows], shading.open[rows]
    shown = teeth if draws.chance(0.75) else torch.zeros_like(teeth)
    gaps = 1.0 - 0.35 * torch.exp(-(((x / 0.038) % 1.0 - 0.5) / 0.09).square())
    white = torch.tensor([0.5, 0.47, 0.4]) * draws.uniform(0.6, 1.15)
    least = 0.35 if view.shells is not None else 0.15  # cheeks and lips are bright around them
    enamel = white[:, None, None] * gaps * (least + 0.6 * lit)
    tongue = torch.tensor([0.2, 0.06, 0.055])[:, None, None] * (0.1 + 0.4 * lit)
    dark = torch.tensor([0.025, 0.006, 0.006])[:, None, None].expand_as(enamel)
    low = y < draws.uniform(-0.68, -0.56)
    behind = torch.where(low, tongue, dark)
    return torch.where(shown, enamel, behind)
