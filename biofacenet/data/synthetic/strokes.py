"""Hairs of brows, lashes and beards on heads of a model, one beside the other."""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws
from .features import EYE_Y
from .strands import long_noise

__all__ = ["beard_noise", "draw_brow_hairs", "draw_lashes"]

INNER, WIDE = 0.11, 0.38
"""Where brows begin, as distance from the middle, and how long they are, in canonical units."""


def draw_brow_hairs(draws: Draws, brows: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """How much of the skin the hairs of brows hide, 0..1, where these grow to the shares ``brows``: (S, S).

    They rise steeply at the inner end and lie along the brow at the outer one.
    """
    outward = x.abs()
    rest = 1.0 - ((outward - INNER) / WIDE).clamp(0.0, 1.0)
    level = 0.1 * outward - 0.4 * WIDE * rest**3  # of a hair that grows from the brow's lower edge
    offset = draws.uniform(0.0, 40.0)
    across, side = y - level + offset, 3.0 * (x < 0.0)
    many = 0.4 * long_noise(150.0 * across + side, 18.0 * outward)
    many = many + 0.5 * long_noise(380.0 * across, 30.0 * outward + side)
    dense, strong = draws.uniform(0.7, 1.5), draws.uniform(0.5, 0.95)
    thick = (dense * brows * (1.0 + 0.55 * many)).clamp(0.0, 1.0)
    return strong * thick * (brows > 0.03)


def draw_lashes(draws: Draws, lid: Tensor, x: Tensor, y: Tensor, *, made_up: bool) -> Tensor:
    """How much of the skin above the edge of the upper lid lashes hide, 0..1: (S, S).

    They fan out to the temples; the nearness of the edge, ``lid``, falls like a Gaussian of 1.4 mm.
    """
    offset = draws.uniform(0.0, 40.0)
    fan = x.abs() - 0.6 * (y - EYE_Y) + offset
    single = long_noise(260.0 * fan, 9.0 * y)
    long = draws.uniform(0.5, 0.9) if made_up else draws.uniform(0.1, 0.5)
    reach = lid.clamp(min=0.0) ** 0.4
    return long * (reach * (1.1 + 0.5 * single)).clamp(0.0, 1.0) * (reach > 0.1)


def beard_noise(point: Tensor) -> Tensor:
    """Noise of a beard's hairs, which grow down, at canonical places (3, S, S): (S, S)."""
    x, y, z = point
    across = torch.atan2(x, z + 0.3)
    coarse = long_noise(130.0 * across + 1.5 * y, 34.0 * y)
    return 0.5 * coarse + 0.7 * long_noise(330.0 * across - 2.0 * y, 90.0 * y)
