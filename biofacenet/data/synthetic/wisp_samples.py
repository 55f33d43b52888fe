"""What the samples of a picture see of wisps of hair: those nearest to the viewer, and how lit they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...physics.lighting import unit
from .heads.shell import BEFORE, ShellMaker

__all__ = ["FINER", "Wisps", "draw_wisps"]

FINER = 2
"""How many wisps lie side by side on a sample; of what it sees of them, it has the mean."""

ENDS = 0.6
"""Share of a wisp's length at which the first of its hairs end."""

BEHIND = 0.05
"""How far behind the head ends of a piece of a wisp are, none of which is seen."""

DIFFER = 0.5
"""How much wisps around a guide differ."""

SHADE = 0.12
"""How far below others a wisp has a third of their light, in canonical units."""


@dataclass(frozen=True)
class Wisps:
    """What samples see of them, (S, S) or (3, S, S)."""

    share: Tensor
    """0..1, how much of a sample they hide."""
    tangent: Tensor
    normal: Tensor
    """Unit, in camera coordinates; the normal is that of the head below."""
    locks: Tensor
    """How a wisp differs from others, about 1 in size."""
    open: Tensor
    """0..1, share of the light that reaches it."""


@dataclass(frozen=True)
class _Grid:
    """Places of a picture of `FINER` times the samples of a head."""

    size: int
    left: float
    top: float
    step: float
    head: Tensor
    """Depth of the head at each, flat; -infinity beside it."""

    @classmethod
    def of(cls, shells: ShellMaker) -> _Grid:
        step = shells.step / FINER
        off = 0.5 * (FINER - 1) * step
        head = torch.from_numpy(shells.depth)
        fine = head.repeat_interleave(FINER, 0).repeat_interleave(FINER, 1)
        return cls(len(fine), shells.left - off, shells.top + off, step, fine.reshape(-1))

    def places(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Of points (.., 3), flat, and which of them are within the picture."""
        column = ((points[..., 0] - self.left) / self.step).round().int()
        row = ((self.top - points[..., 1]) / self.step).round().int()
        last = self.size - 1
        within = (column >= 0) & (column <= last) & (row >= 0) & (row <= last)
        return row.clamp_(0, last) * self.size + column.clamp_(0, last), within


def _seen(lines: Tensor, shown: Tensor, grid: _Grid) -> Tensor:
    """Which pieces of wisps (G, each, K - 1) may be seen: within the picture, not behind the head."""
    place, within = grid.places(lines)
    before = lines[..., 2] >= grid.head[place.long()] - BEHIND
    some = (within & before)[:, :, :-1] | (within & before)[:, :, 1:]
    return (shown & some).reshape(-1).nonzero()[:, 0]


def draw_wisps(
    random: np.random.Generator, lines: Tensor, normals: Tensor, alive: Tensor, shells: ShellMaker
) -> Wisps:
    """The nearest wisp at each place, and what samples see of them."""
    count, each, steps, _ = lines.shape
    grid = _Grid.of(shells)
    # Hairs of a wisp do not end at one place.
    ends = torch.from_numpy(random.uniform(ENDS, 1.0, (count, each, 1)).astype(np.float32))
    grows = (torch.arange(steps - 1) + 0.5) / (steps - 1) < ends
    pieces = _seen(lines, grows & alive[:, None, :-1], grid)
    ways = (lines[:, :, 1:] - lines[:, :, :-1]).reshape(-1, 3)
    longest = float(ways[:, :2].square().sum(dim=1).view(count, -1).mean(dim=1).max().sqrt())
    parts = max(1, math.ceil(longest / grid.step))
    share = ((torch.arange(parts) + 0.5) / parts).view(-1, 1)
    points = lines[:, :, :-1].reshape(-1, 3)[pieces, None] + share * ways[pieces, None]
    points = points.reshape(-1, 3)
    place, within = grid.places(points)
    which = (within & (points[:, 2] >= grid.head[place.long()] - BEFORE)).nonzero()[:, 0]
    # The last of a place stays: the nearest.
    depth = (points[which, 2] * 4096.0).to(torch.int16)
    which = which[torch.from_numpy(np.argsort(depth.numpy(), kind="stable"))]
    nearest = np.full(grid.size**2, -1)
    nearest[place[which].numpy()] = which.numpy()
    shown = torch.from_numpy(nearest >= 0)
    found = torch.from_numpy(nearest[nearest >= 0])
    piece = pieces[found // parts]
    wisp, number = piece // (steps - 1), piece % (steps - 1)
    guide = wisp // each
    differ = torch.from_numpy(random.standard_normal(count * each, dtype=np.float32))
    between = torch.from_numpy(random.standard_normal(count, dtype=np.float32))
    open_ = _open(points[found, 2], number.float() / (steps - 1), shown, grid.size)
    values = torch.cat(
        (
            unit(ways[piece], dim=1),
            normals[guide, number],
            (DIFFER * differ[wisp] + 0.3 * between[guide])[:, None],
            open_[:, None],
            torch.ones(len(piece), 1),
        ),
        dim=1,
    )
    whole = torch.zeros(values.shape[1], grid.size**2)
    whole[:, shown] = values.T
    mean = F.avg_pool2d(whole.reshape(1, -1, grid.size, grid.size), FINER)[0]
    part = mean[-1]
    mean = mean / part.clamp(min=1e-6)
    return Wisps(part, unit(mean[:3]), unit(mean[3:6]), mean[6], mean[7])


def _open(depth: Tensor, along: Tensor, shown: Tensor, size: int) -> Tensor:
    """Share of the light that reaches wisps at depths (N,), shares (N,) of their length from the root.

    Args:
        depth: of those that are the nearest at a place.
        along: where on their length that is.
        shown: (size * size,), bool, the places.
        size: side of the picture.
    """
    near = torch.full((size * size,), float("-inf"))
    near[shown] = depth
    around = F.max_pool2d(near.reshape(1, 1, size, size), 6 * FINER + 1, 1, 3 * FINER)
    front = F.avg_pool2d(around.clamp(min=-9.0), 2 * FINER - 1, 1, FINER - 1).reshape(-1)
    below = (front[shown] - depth).clamp(min=0.0)
    root = along.clamp(max=0.4) / 0.4
    return (0.65 + 0.35 * root) * torch.exp(-below / SHADE)
