"""Where viewing rays meet a parametric head, which way it faces there, and what shades it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...physics.lighting import unit
from .shape import Relief, ear_gap, head_gap, implicit, read_form, read_texture

__all__ = ["Hits", "find_surface", "open_sky", "shadow_of"]

SURROUNDING, MIDST = (0.92, 1.34, 1.3), (0.0, 0.05, 0.0)
"""Half axes and middle of an ellipsoid around every head and its ears."""

FARTHEST = -0.5
"""Least depth at which rays are still followed."""

STEPS_OF_ALL, STEPS_OF_SOME, REFINE_STEPS = 4, 8, 2
"""Steps that all rays make, further ones of those still outside, and the search between two steps."""

STRIDE, LEAST_STEP = 1.3, 0.03
"""Steps as a share of the distance, which is rather too short: they may go too far and so get inside at
once. They are never less than a little, so that grazing rays get on."""

NORMAL_STEP = 0.012
"""Between the places whose difference of distances gives a normal, half of it."""

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
    shape = x.shape
    start = pose.T @ torch.stack((x, y, torch.zeros_like(x))).reshape(3, -1)
    along = pose.T[:, 2:]
    first = _first_depth(start, along)
    tried = first.isfinite().nonzero()[:, 0]
    inside, bracket = _march(relief, start[:, tried], along, first[tried])
    met = tried[inside]
    rays = start[:, met]
    reached = rays + along * _refine(relief, rays, along, bracket[:, inside])
    form = read_form(relief, reached)
    on_it = ear_gap(reached) < head_gap(form, reached)
    point = start.clone()
    point[:, met] = reached
    normal = torch.zeros_like(point)
    normal[2] = 1.0
    normal[:, met] = _normal(relief, pose, form, reached, on_it)
    hit, on_ear = torch.zeros(2, start.shape[1], dtype=torch.bool)
    hit[met], on_ear[met] = True, on_it
    return Hits(
        hit.reshape(shape),
        point.reshape(3, *shape),
        normal.reshape(3, *shape),
        on_ear.reshape(shape),
    )


def _distance(relief: Relief, point: Tensor) -> Tensor:
    head, ear = implicit(relief, point)
    return torch.minimum(head, ear)


def _first_depth(start: Tensor, along: Tensor) -> Tensor:
    """Depth at which rays from places (3, N) enter what surrounds every head: (N,), NaN where they pass."""
    axes = torch.tensor(SURROUNDING)[:, None]
    origin, direction = (start - torch.tensor(MIDST)[:, None]) / axes, along / axes
    square = direction.square().sum()
    mixed = (origin * direction).sum(dim=0) / square
    root = mixed.square() - (origin.square().sum(dim=0) - 1.0) / square
    return root.sqrt() - mixed


def _march(relief: Relief, rays: Tensor, along: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Step along rays (3, N) from a depth each until they are inside.

    Returns:
        Which rays got inside (N,), and depths and distances there and one step before: (4, N).
    """
    depth, before = first, first + LEAST_STEP
    gap = gap_before = torch.full_like(first, LEAST_STEP)
    going = torch.ones_like(first, dtype=torch.bool)
    for _ in range(STEPS_OF_ALL):
        found = _distance(relief, rays + along * depth)
        gap = torch.where(going, found, gap)
        going = going & (found >= 0.0)
        before = torch.where(going, depth, before)
        gap_before = torch.where(going, found, gap_before)
        depth = torch.where(going, depth - (STRIDE * found).clamp(min=LEAST_STEP), depth)
    state = torch.stack((depth, before, gap, gap_before))
    left = going.nonzero()[:, 0]
    for _ in range(STEPS_OF_SOME):
        if len(left) == 0:
            break
        now = state[0, left]
        found = _distance(relief, rays[:, left] + along * now)
        state[2, left] = found
        keeps = (found >= 0.0) & (now > FARTHEST)
        left, now, found = left[keeps], now[keeps], found[keeps]
        state[1, left], state[3, left] = now, found
        state[0, left] = now - (STRIDE * found).clamp(min=LEAST_STEP)
    inside = torch.ones_like(going)
    inside[left] = False
    return inside & (state[2] < 0.0) & (state[0] > FARTHEST), state


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


def _normal(relief: Relief, pose: Tensor, form: Tensor, point: Tensor, on_ear: Tensor) -> Tensor:
    """Unit gradient of the implicit function, in camera coordinates, where the form is known: (3, N)."""
    gradient = _slopes(relief, form, point)
    some = on_ear.nonzero()[:, 0]
    if len(some) > 0:
        ear = ear_gap(_around(point[:, some], 3).reshape(3, -1)).reshape(2, 3, -1)
        gradient[:, some] = ear[0] - ear[1]
    return unit(pose @ gradient)


def _around(point: Tensor, axes: int) -> Tensor:
    """Places a step further along each of the first axes, and back, of (3, N): (3, 2 * axes, N)."""
    offsets = NORMAL_STEP * torch.cat((torch.eye(3)[:axes], -torch.eye(3)[:axes]))
    return point[:, None, :] + offsets.T[:, :, None]


def _slopes(relief: Relief, form: Tensor, point: Tensor) -> Tensor:
    """Differences of the distance to the head along x, y and z: (3, N). The form is the same along z."""
    around = _around(point, 2).reshape(3, -1)
    gap = head_gap(read_form(relief, around), around).reshape(2, 2, -1)
    x, y, z = point
    nearer = head_gap(form, torch.stack((x, y, z + NORMAL_STEP)))
    farther = head_gap(form, torch.stack((x, y, z - NORMAL_STEP)))
    return torch.cat((gap[0] - gap[1], (nearer - farther)[None]))


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
