"""A parametric head before the camera: what its rays meet, with a neck below."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...physics.lighting import unit
from .features import smoothstep
from .rays import find_surface, open_sky, shadow_of
from .shape import Relief
from .surface import Surface

__all__ = ["Cylinder", "see_head"]

THROAT = -1.05
"""Canonical height below which the head is throat."""


@dataclass(frozen=True)
class Cylinder:
    """The neck below a parametric head, upright in the picture."""

    middle: float
    """Place across the picture."""
    width: float
    """Half of it."""


def see_head(relief: Relief, pose: Tensor, x: Tensor, y: Tensor, neck: Cylinder) -> Surface:
    """What viewing rays through camera places x, y (S, S) meet of a head, whose relief is given."""
    found = find_surface(relief, pose, x, y)
    across = (x - neck.middle) / neck.width
    flare = 0.12 * ((-1.0 - y) / 0.3).clamp(min=0.0).square()
    below = ~found.hit & ((x - neck.middle).abs() < neck.width + flare) & (y < -0.4)
    round_ = across.clamp(-0.97, 0.97)
    towards = (1.0 - round_.square()).sqrt()
    cylinder = unit(torch.stack((round_, torch.full_like(x, -0.1), towards)))
    on_neck = torch.stack((x - neck.middle, y, neck.width * towards - 0.1))
    point = torch.where(below, on_neck, found.point)
    normal = torch.where(below, cylinder, found.normal)
    hit = found.hit | below
    under_chin = 1.0 - 0.55 * smoothstep(-1.3, -0.75, y)
    occlusion = torch.where(found.hit, open_sky(relief, found.point), 1.0)

    def shadow(direction: Tensor) -> Tensor:
        return shadow_of(relief, pose, hit, point, normal, direction)

    return Surface(
        hit=hit,
        neck=below | (found.hit & (found.point[1] <= THROAT)),
        ear=found.ear,
        point=point,
        normal=normal,
        occlusion=torch.where(below, under_chin, occlusion),
        crevice=torch.ones_like(occlusion),
        shadow=shadow,
    )
