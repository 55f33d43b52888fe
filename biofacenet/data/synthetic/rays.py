"""Where viewing rays meet a parametric head, which way it faces there, and what shades it.

Rays are met on a coarse grid first: it says which rays of the picture meet the head at all, and near
which depth, so that these take few steps. Only rays that are still on their way are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...physics.lighting import unit
from .shape import Relief, implicit, read_texture

__all__ = ["Hits", "find_surface", "open_sky", "shadow_of"]

NEAREST, FARTHEST = 1.3, -0.5
"""Range of depth that rays search."""

MARCH_STEPS, REFINE_STEPS = 12, 3

COARSE = 4
"""Rays to a side of a cell of the coarse grid."""

MARGIN = 0.05
"""How far before the depth of the coarse grid rays begin."""

SHADOW_STEPS = (0.05, 0.1, 0.16, 0.24, 0.34, 0.46, 0.62, 0.82)
"""Distances toward a light at which something may stand in its way."""

PENUMBRA = 0.22
"""Width of a shadow's edge as a share of the distance to what casts it."""


@dataclass(frozen=True)
class Hits:
    """Where the rays of a picture meet the head; all (A, B) or (3, A, B)."""

    hit: Tensor
    """bool"""
    point: Tensor
    """Canonical coordinates."""
    normal: Tensor
    """Unit normals in camera coordinates; toward the viewer where nothing is hit."""
    ear: Tensor
    """bool, hits on an ear."""


def find_surface(relief: Relief, pose: Tensor, x: Tensor, y: Tensor) -> Hits:
    """Meet parallel viewing rays through camera places x, y (A, B) with the head."""
    start = (pose.T @ torch.stack((x, y, torch.zeros_like(x))).reshape(3, -1)).reshape(3, *x.shape)
    along = pose.T[:, 2:]
    first, tried = _beginnings(relief, start, along)
    inside, depth = _march(relief, start[:, tried], along, first[tried])
    low_high = depth[:, inside]
    chosen = tried.nonzero()[inside].T
    hit = torch.zeros_like(x, dtype=torch.bool)
    hit[tuple(chosen)] = True
    rays = start[:, hit]
    depth_found = _refine(relief, rays, along, low_high)
    point = start + along[:, :, None] * first
    point[:, hit] = rays + along * depth_found
    head, ear = implicit(relief, point[:, hit])
    on_ear = torch.zeros_like(hit)
    on_ear[hit] = ear < head
    normal = torch.zeros_like(point)
    normal[2] = 1.0
    normal[:, hit] = _normal(relief, pose, point[:, hit], ear < head)
    return Hits(hit, point, normal, on_ear)


def _distance(relief: Relief, point: Tensor) -> Tensor:
    head, ear = implicit(relief, point)
    return torch.minimum(head, ear)


def _beginnings(relief: Relief, start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Depth at which each ray begins, and which rays may meet the head: twice (A, B)."""
    height, width = start.shape[1:]
    if min(height, width) < 4 * COARSE:
        return start.new_full((height, width), NEAREST), torch.ones(height, width, dtype=torch.bool)
    middle = COARSE // 2
    coarse = start[:, middle::COARSE, middle::COARSE]
    rows, columns = coarse.shape[1:]
    begin = start.new_full((rows * columns,), NEAREST)
    inside, (_, before, _, _) = _march(relief, coarse.reshape(3, -1), along, begin)
    found = torch.where(inside, before, FARTHEST).reshape(1, 1, rows, columns)
    # What stands before the surface within a cell shows in a neighbour; rays begin before the nearest.
    near = F.max_pool2d(found, 3, 1, 1)
    near = F.interpolate(near, scale_factor=COARSE, mode="nearest")[0, 0, :height, :width]
    near = F.pad(
        near[None, None], (0, width - near.shape[1], 0, height - near.shape[0]), "replicate"
    )
    near = near[0, 0]
    return torch.where(near > FARTHEST, near + MARGIN, 0.0), near > FARTHEST


def _march(relief: Relief, rays: Tensor, along: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Step along rays (3, N) from a depth each until they are inside.

    Returns:
        Which rays got inside (N,), and depths and distances there and one step before: (4, N).
    """
    # By the distance while outside, and never less than a little, so that grazing rays get on.
    depth, before = first.clone(), first + MARGIN
    gap = torch.full_like(first, torch.inf)
    gap_before = torch.full_like(first, MARGIN)
    inside = torch.zeros_like(first, dtype=torch.bool)
    going = torch.arange(len(first))
    for _ in range(MARCH_STEPS):
        now = depth[going]
        found = _distance(relief, rays[:, going] + along * now)
        gap[going] = found
        inside[going] = found < 0.0
        keeps = (found >= 0.0) & (now > FARTHEST)
        going, now, found = going[keeps], now[keeps], found[keeps]
        if len(going) == 0:
            break
        before[going], gap_before[going] = now, found
        depth[going] = now - (0.95 * found).clamp(min=0.03)
    return inside & (depth > FARTHEST), torch.stack((depth, before, gap, gap_before))


def _refine(relief: Relief, rays: Tensor, along: Tensor, bracket: Tensor) -> Tensor:
    """The depth of the surface between one inside and one outside it: (N,)."""
    low, high, gap_low, gap_high = bracket
    for _ in range(REFINE_STEPS):
        share = (gap_high / (gap_high - gap_low).clamp(min=1e-9)).clamp(0.05, 0.95)
        middle = high + share * (low - high)
        gap = _distance(relief, rays + along * middle)
        below = gap < 0.0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        gap_low, gap_high = torch.where(below, gap, gap_low), torch.where(below, gap_high, gap)
    share = gap_high / (gap_high - gap_low).clamp(min=1e-9)
    return high + share * (low - high)


def _normal(relief: Relief, pose: Tensor, point: Tensor, on_ear: Tensor) -> Tensor:
    """Unit gradient of the implicit function, in camera coordinates: (3, N)."""
    step, count = 0.012, point.shape[1]
    offsets = step * torch.cat((torch.eye(3), -torch.eye(3)))
    around = (point[:, None, :] + offsets.T[:, :, None]).reshape(3, 6 * count)
    head, ear = (found.reshape(2, 3, count) for found in implicit(relief, around))
    gradient = torch.where(on_ear, ear[0] - ear[1], head[0] - head[1])
    return unit(pose @ gradient)


def open_sky(relief: Relief, point: Tensor) -> Tensor:
    """Share of the light from all around that reaches places (3, A, B) of the head, 0.3 to 1: (A, B).

    An approximation: what lies below its surroundings, or below something that stands out, is darker.
    """
    x, y, z = point
    cavity, overhang = read_texture(torch.cat((relief.cavity, relief.overhang), dim=1), x, y)
    front = (z / 0.3).clamp(0.0, 1.0)
    front = front * front * (3.0 - 2.0 * front)
    closed = 2.2 * cavity.clamp(0.0, 0.2) + 1.1 * overhang.clamp(0.0, 0.3)
    return (1.0 - front * closed).clamp(min=0.3)


def shadow_of(
    relief: Relief, pose: Tensor, where: Tensor, point: Tensor, normal: Tensor, direction: Tensor
) -> Tensor:
    """Share of a distant light that nothing of the head keeps from its samples, 0..1: (S, S).

    Every other sample of every other row is computed: a shadow's edge is soft.

    Args:
        relief: of the head.
        pose: (3, 3).
        where: (S, S), bool, samples that are wanted; all others get 1.
        point: (3, S, S), canonical.
        normal: (3, S, S), in camera coordinates.
        direction: (3,), toward the light, in camera coordinates.
    """
    toward = pose.T @ unit(direction)
    some = where[::2, ::2]
    outward = pose.T @ normal[:, ::2, ::2][:, some]
    origin = point[:, ::2, ::2][:, some] + 0.03 * outward
    steps = torch.tensor(SHADOW_STEPS)
    on_the_way = origin[:, None, :] + toward[:, None, None] * steps[:, None]
    gap = _distance(relief, on_the_way.reshape(3, -1)).reshape(len(steps), -1)
    least = (gap / (PENUMBRA * steps[:, None])).amin(dim=0)
    passed = torch.ones(some.shape)
    passed[some] = (0.5 + 0.5 * least).clamp(0.0, 1.0)
    return F.interpolate(
        passed[None, None], size=where.shape, mode="bilinear", align_corners=False
    )[0, 0].masked_fill(~where, 1.0)
