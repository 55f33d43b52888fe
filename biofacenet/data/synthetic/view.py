"""The picture's frame: where the head stands in it, what each sample sees, and pixels of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws
from .identity import Identity
from .shape import Relief, Surface, find_surface, rotation

__all__ = [
    "FRAME_CENTRE_Y",
    "HALF_FRAME",
    "SUPERSAMPLING",
    "View",
    "average_over",
    "place_head",
    "shrink",
]

SUPERSAMPLING = 2

HALF_FRAME = 1.17
"""Half the side of the frame, in canonical units: the face fills three quarters of its height."""

FRAME_CENTRE_Y = -0.13


@dataclass(frozen=True)
class View:
    """A head before the camera; S samples are `SUPERSAMPLING` times the pixels."""

    pose: Tensor
    """(3, 3), rotation."""
    x: Tensor
    y: Tensor
    """(S, S), places in the picture, in canonical units."""
    surface: Surface
    """What the samples see of the head."""


def place_head(
    draws: Draws, who: Identity, relief: Relief, size: int, yaw: float | None = None
) -> View:
    """Pose a head before the camera and find what each sample of the picture sees.

    Args:
        draws: of this face.
        who: whose head.
        relief: of the head.
        size: side of the picture in pixels.
        yaw: turn to the side, in degrees, instead of the drawn one.
    """
    drawn_yaw, drawn_pitch = draws.gaussian(16.0), draws.gaussian(7.0)
    turn, pitch = np.radians([drawn_yaw if yaw is None else yaw, drawn_pitch])
    roll = np.radians(draws.gaussian(4.0))
    pose = rotation(float(turn), float(pitch), float(roll))
    half = HALF_FRAME * draws.uniform(0.93, 1.08) * (1.04 if who.child else 1.0)
    across, down = draws.gaussian(0.04), FRAME_CENTRE_Y + draws.gaussian(0.035)
    samples = size * SUPERSAMPLING
    steps = (torch.arange(samples) + 0.5) / samples * 2.0 - 1.0
    x = (half * steps[None, :] + across).expand(samples, samples)
    y = (down - half * steps[:, None]).expand(samples, samples)
    return View(pose, x, y, find_surface(relief, pose, x, y))


def shrink(value: Tensor) -> Tensor:
    """(C, S, S) of samples to (C, size, size) of pixels, by averaging."""
    return F.avg_pool2d(value.unsqueeze(0), SUPERSAMPLING)[0]


def average_over(where: Tensor, value: Tensor) -> Tensor:
    """Shrink a map, averaging over the part of each pixel that lies in ``where`` (1, S, S).

    Pixels without any take the mean of the others.
    """
    value = value if value.ndim == 3 else value.unsqueeze(0)
    share = shrink(where)
    mean = (value * where).sum(dim=(1, 2)) / where.sum().clamp(min=1.0)
    averaged = shrink(value * where) / share.clamp(min=1e-6)
    return torch.where(share > 0.0, averaged, mean[:, None, None])
