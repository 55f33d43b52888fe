"""Folds of skin that expression and age leave on heads of a model, as the light that they keep."""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws
from .features import EYE_X, EYE_Y, smoothstep
from .strands import long_noise

__all__ = ["draw_folds"]


def draw_folds(draws: Draws, point: Tensor, age: float) -> Tensor:
    """Share of the light that folds leave at canonical places (3, S, S): (S, S), 0.3 to 1.

    From the nose to the mouth and from there to the chin, below the eyes, between the brows and across the
    forehead; deeper with age, 0 for the young to 1 for the old, and by a little unlike on both sides.
    """
    x, y, _ = point
    ax = x.abs() * (1.0 + draws.gaussian(0.02) * x.sign())
    y = y + draws.gaussian(0.01) * x.sign() + 0.008 * long_noise(7.0 * x + 3.0, 7.0 * y)
    taken = torch.zeros_like(x)

    def add(distance: Tensor, along: Tensor, width: float, depth: float) -> None:
        # A line that is deepest in its middle, and on one side falls off slowly.
        wide = torch.where(distance > 0.0, 2.2 * width, width)
        ends = smoothstep(0.0, 0.3, along) * (1.0 - smoothstep(0.5, 1.0, along))
        fold = depth * ends * torch.exp(-(distance / wide).square())
        torch.maximum(taken, fold, out=taken)

    t = (-0.27 - y) / 0.34  # from the nose to the mouth
    across = 0.14 + 0.19 * t.clamp(0.0, 1.0).sqrt() ** 1.5
    add(across - ax, t, 0.02, draws.uniform(0.0, 0.11) + 0.22 * age)
    t = (-0.6 - y) / 0.3  # from the mouth to the chin
    add(ax - 0.3 - 0.05 * t, t, 0.015, draws.uniform(-0.15, 0.04) + 0.17 * age)
    t = (ax - EYE_X + 0.15) / 0.28  # below the eyes
    below = EYE_Y - 0.115 - 0.04 * (1.0 - (2.0 * t - 1.0).square()) - draws.uniform(0.0, 0.03)
    add(y - below, t, 0.014, draws.uniform(0.0, 0.14) + 0.18 * age)
    t = (y - 0.17) / 0.17  # between the brows
    add(ax - 0.045, t, 0.009, draws.uniform(-0.2, 0.1) + 0.25 * age)
    depth, first = draws.uniform(-0.25, 0.05) + 0.4 * age, draws.uniform(0.38, 0.46)
    for number in range(3):  # across the forehead
        level = (
            first + 0.1 * number + 0.012 * long_noise(4.0 * x + 9.0 * number, torch.zeros_like(x))
        )
        add(y - level, 0.5 + 0.9 * x, 0.01, depth - 0.04 * number)
    return (1.0 - taken).clamp(min=0.3)
