"""Shape of a synthetic head: an implicit surface, its pose, and where viewing rays meet it.

Canonical coordinates are pose-free: x to the right of the picture, y up, z to the viewer; the eyes
lie near y = 0.1, the chin near y = -1, and the cheeks are 0.7 apart from the middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...physics.lighting import unit

__all__ = [
    "TEXTURE",
    "Bump",
    "Head",
    "Relief",
    "Surface",
    "find_surface",
    "make_relief",
    "read_texture",
    "rotation",
]

X_RANGE, Y_RANGE = (-1.0, 1.0), (-1.25, 1.35)
"""Canonical area that textures cover."""

TEXTURE = (112, 96)
"""Rows (y, from the top) and columns (x) of a texture."""

CROWN, CHIN = 1.2, -1.08

MIDDLE = 0.1
"""Heights of the head's top, its bottom and its widest place."""

EAR_CENTRE, EAR_AXES = (0.75, 0.0, -0.14), (0.075, 0.21, 0.13)

NEAREST, FARTHEST = 1.3, -0.5
"""Range of depth that rays search."""

MARCH_STEPS, REFINE_STEPS = 12, 4


@dataclass(frozen=True)
class Bump:
    """A Gaussian hill (or hollow) on the front of the head, mirrored in x unless in the middle."""

    x: float
    y: float
    width: float
    height: float
    amount: float


@dataclass(frozen=True)
class Head:
    """Identity and expression of one head, in canonical units."""

    half_width: float
    depth: float
    jaw: float
    """Width at the chin as a share of the width at the cheeks."""
    bumps: tuple[Bump, ...]


@dataclass(frozen=True)
class Relief:
    """What rays and shading read of a head, as textures over canonical x and y."""

    form: Tensor
    """Sum of the bumps, 1 / half-width, 1 / half-depth, and the vertical term of the implicit
    function: (1, 4, *TEXTURE)."""
    cavity: Tensor
    """How far a place lies below its surroundings: (1, 1, ..)."""
    overhang: Tensor
    """How far what is above a place stands out over it: (1, 1, ..)."""


@dataclass(frozen=True)
class Surface:
    """Where the rays of an image meet the head; all (S, S) or (3, S, S)."""

    hit: Tensor
    """bool"""
    point: Tensor
    """Canonical coordinates."""
    normal: Tensor
    """Unit normals in camera coordinates."""
    ear: Tensor
    """bool, hits on an ear."""


def read_texture(texture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear read of (1, C, *TEXTURE) at canonical places of shape (S, S): (C, S, S)."""
    column = (x - X_RANGE[0]) / (X_RANGE[1] - X_RANGE[0]) * 2.0 - 1.0
    row = (Y_RANGE[1] - y) / (Y_RANGE[1] - Y_RANGE[0]) * 2.0 - 1.0
    grid = torch.stack((column, row), dim=-1).unsqueeze(0)
    return F.grid_sample(texture, grid, padding_mode="border", align_corners=True)[0]


def sum_of(bumps: tuple[Bump, ...], x: Tensor, y: Tensor) -> Tensor:
    """Height of all bumps and their mirror images, from canonical x (W) and y (H): (H, W).

    Both sides are summed: the distance to |x| would leave a crease down the middle of the face.
    """
    middle_x, middle_y, width, height, amount = torch.tensor(
        [(b.x, b.y, b.width, b.height, b.amount) for b in bumps]
    ).T.unsqueeze(2)
    across = torch.exp(-((x - middle_x) / width).square() / 2.0)
    mirrored = torch.exp(-((x + middle_x) / width).square() / 2.0)
    across = across + mirrored * (middle_x > 0.0)
    down = amount * torch.exp(-((y - middle_y) / height).square() / 2.0)
    return down.T @ across


def make_relief(head: Head) -> Relief:
    """Textures of a head."""
    x = torch.linspace(*X_RANGE, TEXTURE[1])
    y = torch.linspace(Y_RANGE[1], Y_RANGE[0], TEXTURE[0])
    height = sum_of(head.bumps, x, y)
    rise = (y - MIDDLE) / torch.where(y > MIDDLE, CROWN - MIDDLE, MIDDLE - CHIN)
    vertical = torch.where(y > MIDDLE, rise.abs() ** 2.4, rise.abs() ** 4.0)
    down = ((-0.05 - y) / 0.95).clamp(0.0, 1.0)
    # Both begin with a horizontal tangent, or the normals would show a crease across the cheek.
    taper = 1.0 - (1.0 - head.jaw) * 1.25 * down.square() / (down + 0.25)
    temples = 1.0 - 0.05 * ((y - 0.25) / 0.8).clamp(0.0, 1.0).square()
    across = 1.0 / (head.half_width * taper * temples)
    through = torch.full_like(y, 1.0 / head.depth)
    profile = torch.stack((across, through, vertical))[:, :, None].expand(3, *TEXTURE)
    smooth = F.avg_pool2d(height[None, None], 13, 1, 6, count_include_pad=False)
    shift = 6
    above = F.pad(height[None, None], (0, 0, shift, 0), mode="replicate")[:, :, :-shift]
    return Relief(
        form=torch.cat((height[None], profile))[None],
        cavity=smooth - height,
        overhang=above - height,
    )


def rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    """Canonical to camera coordinates, angles in radians: (3, 3)."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return torch.from_numpy((tilt @ nod @ turn).astype(np.float32))


def implicit(relief: Relief, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Roughly the distance to head and ear, negative inside."""
    bump, across, through, vertical = read_texture(relief.form, x, y)
    # Bumps belong to the face: they fade out toward the ears.
    front = (z / 0.35).clamp(0.0, 1.0)
    depth = (z - bump * front * front * (3.0 - 2.0 * front)) * through
    outside = torch.relu(y - CROWN) + torch.relu(CHIN - y)
    radius = ((x * across).square() + depth.square() + vertical).sqrt()
    head = 0.62 * (radius - 1.0) + outside
    (ex, ey, ez), (ax, ay, az) = EAR_CENTRE, EAR_AXES
    ear_radius = (
        ((x.abs() - ex) / ax).square() + ((y - ey) / ay).square() + ((z - ez) / az).square()
    ).sqrt()
    return head, 0.075 * (ear_radius - 1.0)


def find_surface(relief: Relief, pose: Tensor, x: Tensor, y: Tensor) -> Surface:
    """Meet parallel viewing rays through camera places x, y (S, S) with the head."""
    start = pose.T @ torch.stack((x, y, torch.zeros_like(x))).reshape(3, -1)
    start = start.reshape(3, *x.shape)
    along = pose.T[:, 2]

    def distance(depth: Tensor) -> tuple[Tensor, Tensor]:
        return implicit(
            relief,
            start[0] + along[0] * depth,
            start[1] + along[1] * depth,
            start[2] + along[2] * depth,
        )

    # Step by the distance while outside (never less than a little, so that grazing rays get on),
    # then halve the last step around the surface.
    depth = torch.full_like(x, NEAREST)
    before = depth
    inside = torch.zeros_like(x, dtype=torch.bool)
    for _ in range(MARCH_STEPS):
        head, ear = distance(depth)
        gap = torch.minimum(head, ear)
        inside = inside | (gap < 0.0)
        step = torch.where(inside, 0.0, (0.95 * gap).clamp(min=0.03))
        before = torch.where(inside, before, depth)
        depth = depth - step
    head, ear = distance(depth)
    inside = (inside | (torch.minimum(head, ear) < 0.0)) & (depth > FARTHEST)
    low, high = depth, before
    for _ in range(REFINE_STEPS):
        middle = 0.5 * (low + high)
        head, ear = distance(middle)
        below = torch.minimum(head, ear) < 0.0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    depth = 0.5 * (low + high)
    head, ear = distance(depth)
    point = start + along[:, None, None] * depth
    return Surface(inside, point, surface_normal(relief, pose, point, ear < head), ear < head)


def surface_normal(relief: Relief, pose: Tensor, point: Tensor, on_ear: Tensor) -> Tensor:
    """Unit gradient of the implicit function, in camera coordinates: (3, S, S)."""
    step = 0.012
    gradient = []
    for axis in range(3):
        offset = torch.zeros(3, 1, 1)
        offset[axis] = step
        ahead, behind = implicit(relief, *(point + offset)), implicit(relief, *(point - offset))
        gradient.append(torch.where(on_ear, ahead[1] - behind[1], ahead[0] - behind[0]))
    return unit((pose @ torch.stack(gradient).reshape(3, -1)).reshape(point.shape))
