"""Shape of a parametric head: an implicit surface in canonical coordinates (see `surface`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "CHIN",
    "MIDDLE",
    "TEXTURE",
    "Bump",
    "Head",
    "Relief",
    "ear_gap",
    "front_depth",
    "head_gap",
    "implicit",
    "make_relief",
    "read_form",
    "read_texture",
]

X_RANGE, Y_RANGE = (-1.0, 1.0), (-1.25, 1.35)
"""Canonical area that textures cover."""

TEXTURE = (112, 96)
"""Rows (y, from the top) and columns (x) of a texture."""

CROWN, CHIN = 1.2, -1.08

MIDDLE = 0.1
"""Heights of the head's top, its bottom and its widest place."""

EAR_CENTRE, EAR_AXES = (0.75, 0.0, -0.14), (0.075, 0.21, 0.13)


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

    def taper(self, y: Tensor) -> Tensor:
        """Its width at heights y as a share of that at the cheeks, toward the chin."""
        down = ((-0.05 - y) / 0.95).clamp(0.0, 1.0)
        # Both begin with a horizontal tangent, or the normals would show a crease across the cheek.
        return 1.0 - (1.0 - self.jaw) * 1.25 * down.square() / (down + 0.25)


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


def read_texture(texture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear read of (1, C, *TEXTURE) at canonical places of shape (A, B): (C, A, B)."""
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
    temples = 1.0 - 0.05 * ((y - 0.25) / 0.8).clamp(0.0, 1.0).square()
    across = 1.0 / (head.half_width * head.taper(y) * temples)
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


def front_depth(relief: Relief, places: Tensor) -> Tensor:
    """Depth of the front of a head at canonical x and y (N, 2): (N,); 0 beside it."""
    x, y = places.T
    bump, across, through, vertical = read_texture(relief.form, x[None], y[None])[:, 0]
    smooth = (1.0 - (x * across).square() - vertical).clamp(min=0.0).sqrt() / through
    depth = smooth
    for _ in range(4):  # how much of a bump there is goes with the depth, see `implicit`
        front = (depth / 0.35).clamp(0.0, 1.0)
        depth = smooth + bump * front * front * (3.0 - 2.0 * front)
    return depth


def implicit(relief: Relief, point: Tensor) -> tuple[Tensor, Tensor]:
    """Roughly the distance of canonical points (3, N) to head and ear, negative inside: twice (N,)."""
    return head_gap(read_form(relief, point), point), ear_gap(point)


def read_form(relief: Relief, point: Tensor) -> Tensor:
    """What `Relief.form` holds at the x and y of canonical points (3, N): (4, N)."""
    return read_texture(relief.form, point[0][None], point[1][None])[:, 0]


def head_gap(form: Tensor, point: Tensor) -> Tensor:
    """Roughly the distance of canonical points (3, N) to the head, from the form there (4, N): (N,)."""
    x, y, z = point
    bump, across, through, vertical = form
    # Bumps belong to the face: they fade out toward the ears.
    front = (z / 0.35).clamp(0.0, 1.0)
    depth = (z - bump * front * front * (3.0 - 2.0 * front)) * through
    outside = torch.relu(y - CROWN) + torch.relu(CHIN - y)
    radius = ((x * across).square() + depth.square() + vertical).sqrt()
    return 0.62 * (radius - 1.0) + outside


def ear_gap(point: Tensor) -> Tensor:
    """Roughly the distance of canonical points (3, N) to the nearer ear: (N,)."""
    x, y, z = point
    (ex, ey, ez), (ax, ay, az) = EAR_CENTRE, EAR_AXES
    radius = (
        ((x.abs() - ex) / ax).square() + ((y - ey) / ay).square() + ((z - ez) / az).square()
    ).sqrt()
    return 0.075 * (radius - 1.0)
