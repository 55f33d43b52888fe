"""The picture's frame: where the head stands in it, what each sample sees, and pixels of samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...physics.lighting import unit
from .draws import Draws
from .features import see_features
from .heads.faces import ModelledHead
from .heads.seen import see_modelled_head
from .heads.shell import ShellMaker
from .identity import Identity
from .landmarks import parametric_landmarks
from .parametric import Cylinder, see_head
from .shape import make_relief
from .surface import Features, Pose, Surface

__all__ = [
    "FRAME_CENTRE_Y",
    "HALF_FRAME",
    "SUPERSAMPLING",
    "Frame",
    "View",
    "average_over",
    "ball_normals",
    "place_head",
    "shrink",
]

SUPERSAMPLING = 2

HALF_FRAME = 1.17
"""Half the side of the frame, in canonical units: the face fills three quarters of its height."""

FRAME_CENTRE_Y = -0.13

MODELLED_HALF_FRAME, MODELLED_CENTRE_Y = 1.33, -0.15
"""The same for heads of a model, whose eyes are farther apart for their height: so that the distance of the
eyes is 0.245 of the side and their height 0.41 from the top, as in photographs that are framed by the faces
found on them (0.242 and 0.408 in the median of 53 people of the Face Research Lab London Set)."""


THIN_LIPS = 1.4
"""By how much the border of the thinnest lips lies within that of a model's, in widths of its softness."""

DISTANCE = 5.0, 18.0
"""Of the camera from heads of a model, in canonical units of about 10 cm: an arm's length to a studio's."""


@dataclass(frozen=True)
class Frame:
    """Which square of the camera's plane a picture shows, in canonical units."""

    half: float
    """Half of its side."""
    across: float
    down: float
    """Its middle."""

    def samples(self, count: int) -> tuple[Tensor, Tensor]:
        """Camera places x and y of count x count samples, from the upper left: each (S, S)."""
        steps = (torch.arange(count) + 0.5) / count * 2.0 - 1.0
        x = (self.half * steps[None, :] + self.across).expand(count, count)
        return x, (self.down - self.half * steps[:, None]).expand(count, count)

    def pixels(self, places: Tensor, size: int) -> Tensor:
        """Places (N, 2 or more) in camera coordinates as pixels of a picture of a size: (N, 2).

        x to the right and y down from the upper left corner; the middle of the first pixel is at 0.5.
        """
        x = (places[:, 0] - self.across) / self.half
        y = (self.down - places[:, 1]) / self.half
        return 0.5 * size * (torch.stack((x, y), dim=1) + 1.0)


@dataclass(frozen=True)
class View:
    """A head before the camera; S samples are `SUPERSAMPLING` times the pixels."""

    pose: Tensor
    """(3, 3), rotation."""
    frame: Frame
    x: Tensor
    y: Tensor
    """(S, S), places in the picture, in canonical units."""
    surface: Surface
    """What the samples see of the head."""
    features: Features
    """And of its eyes, mouth and brows."""
    neck: Cylinder
    """Where the neck stands in the picture."""
    landmarks: Tensor
    """(68, 3), in camera coordinates and canonical units; NaN where not known."""
    shells: ShellMaker | None = None
    """The head of a model, for what lies over it."""


def place_head(draws: Draws, who: Identity, size: int, yaw: float | None = None) -> View:
    """Pose a head before the camera and find what each sample of the picture sees.

    Args:
        draws: of this face.
        who: whose head.
        size: side of the picture in pixels.
        yaw: turn to the side, in degrees, instead of the drawn one.
    """
    drawn_yaw, drawn_pitch = draws.gaussian(16.0), draws.gaussian(7.0)
    angles = (drawn_yaw if yaw is None else yaw, drawn_pitch, draws.gaussian(4.0))
    pose = Pose(*np.radians(angles).tolist())
    usual, middle = HALF_FRAME, FRAME_CENTRE_Y
    if who.modelled:
        usual, middle = MODELLED_HALF_FRAME, MODELLED_CENTRE_Y
    if isinstance(who.head, ModelledHead):
        usual = usual * who.head.relative_size
    half = usual * draws.uniform(0.93, 1.08) * (1.04 if who.child else 1.0)
    frame = Frame(half, draws.gaussian(0.04), middle + draws.gaussian(0.035))
    gaze = draws.gaussian(0.015)
    width = draws.uniform(0.36, 0.42) + 0.08 * who.masculine
    turn = pose.rotation()
    x, y = frame.samples(size * SUPERSAMPLING)
    if isinstance(who.head, ModelledHead):
        distance = math.exp(draws.uniform(*map(math.log, DISTANCE)))
        thin_lips = THIN_LIPS * who.mouth.thinness
        seen = see_modelled_head(who.head, pose, who.brows, x, y, distance, thin_lips)
        neck = Cylinder(seen.neck, width)
        seen_by = seen.surface, seen.features, neck, seen.landmarks, seen.shells
        return View(turn, frame, x, y, *seen_by)
    neck = Cylinder(float(turn[0, 1]) * -0.9, width)
    relief = make_relief(who.head)
    surface = see_head(relief, turn, x, y, neck)
    features = see_features(who.mouth, who.eyes, who.brows, surface, gaze)
    places = parametric_landmarks(who.head, relief, who.mouth, who.eyes, who.brows)
    return View(turn, frame, x, y, surface, features, neck, places @ turn.T)


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


def ball_normals(view: View, half_width: float = 1.15) -> Tensor:
    """Normals of a ball about the head, for what lies beside it: (3, S, S), unit."""
    x = (view.x / half_width).clamp(-0.95, 0.95)
    y = ((view.y - 0.1) / 1.5).clamp(-0.9, 0.9)
    return unit(torch.stack((x, y, (1.0 - x**2 - 0.5 * y**2).clamp(min=0.05).sqrt())))
