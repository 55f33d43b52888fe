"""Hairs of brows, lashes and beards on heads of a model, one beside the other."""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws
from .features import EYE_Y
from .strands import long_noise, shares

__all__ = ["beard_noise", "draw_brow_hairs", "draw_lashes"]

INNER, WIDE = 0.08, 0.4
"""Where brows begin, as distance from the middle, and how long they are, in canonical units."""


def draw_brow_hairs(draws: Draws, brows: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """How much of the skin the hairs of brows hide, 0..1, where these grow to the shares ``brows``: (S, S).

    They rise steeply at the inner end and lie along the brow at the outer one.
    """
    outward = x.abs()
    rest = 1.0 - ((outward - INNER) / WIDE).clamp(0.0, 1.0)
    level = 0.1 * outward - 0.55 * WIDE * rest**3  # of a hair that grows from the brow's lower edge
    offset = draws.uniform(0.0, 40.0)
    across, side = y - level + offset, 3.0 * (x < 0.0)
    many = 0.45 * long_noise(130.0 * across + side, 16.0 * outward)
    many = many + 0.6 * long_noise(330.0 * across, 26.0 * outward + side)
    dense, strong = draws.uniform(0.65, 1.2), draws.uniform(0.6, 0.95)
    return strong * ((dense * brows - shares(many)) / 0.8 + 0.5).clamp(0.0, 1.0) * (brows > 0.05)


def draw_lashes(draws: Draws, lid: Tensor, x: Tensor, y: Tensor, *, made_up: bool) -> Tensor:
    """How much of the skin above the edge of the upper lid lashes hide, 0..1: (S, S).

    They fan out to the temples; the nearness of the edge, ``lid``, falls like a Gaussian of 1.4 mm.
    """
    offset = draws.uniform(0.0, 40.0)
    fan = x.abs() - 0.6 * (y - EYE_Y) + offset
    single = long_noise(120.0 * fan, 5.0 * y)
    long = draws.uniform(0.5, 0.9) if made_up else draws.uniform(0.15, 0.7)
    reach = lid.clamp(min=0.0) ** 0.25
    return long * ((1.1 * reach - shares(single)) / 0.5 + 0.3).clamp(0.0, 1.0) * (reach > 0.15)


def beard_noise(point: Tensor) -> Tensor:
    """Noise of a beard's hairs, which grow down, at canonical places (3, S, S): (S, S)."""
    x, y, z = point
    across = torch.atan2(x, z + 0.3)
    return 0.55 * long_noise(90.0 * across, 16.0 * y) + 0.7 * long_noise(260.0 * across, 40.0 * y)
