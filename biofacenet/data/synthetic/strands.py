"""Strands of hair: which way they run over a head, and noise that is long along them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...system.lasting import kept
from .draws import Draws

__all__ = ["Run", "draw_run", "long_noise", "shares"]

TABLE = (256, 4096)
"""Rows (along strands) and columns (across) of the numbers that noise is made of; it repeats after them."""

RADIUS = 0.8
"""Of a head, in canonical units: so that angles count as lengths."""


@kept
def _table() -> Tensor:
    """Normal numbers, the same for ever: TABLE."""
    return torch.from_numpy(np.random.default_rng([0, 18]).standard_normal(TABLE, dtype=np.float32))


def long_noise(across: Tensor, along: Tensor) -> Tensor:
    """Noise of about unit variance that changes over 1 across strands and over 1 along them, of any shape."""
    table = _table()
    column, row = across.floor(), along.floor()
    u, v = across - column, along - row
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    first, second = column.long() % TABLE[1], (column.long() + 1) % TABLE[1]
    above, below = row.long() % TABLE[0], (row.long() + 1) % TABLE[0]
    upper = torch.lerp(table[above, first], table[above, second], u)
    lower = torch.lerp(table[below, first], table[below, second], u)
    return 1.35 * torch.lerp(upper, lower, v)


def shares(noise: Tensor) -> Tensor:
    """Normal noise as the share of it that is less: 0..1."""
    return torch.special.ndtr(noise)


@dataclass(frozen=True)
class Run:
    """Which way the strands of a head run; places are canonical, (3, N)."""

    kind: str
    """from the ``crown``, to the ``back``, from a ``parting``, or in ``curls``"""
    middle: Tensor
    """(3,), the crown, the place that strands run to, or the height and depth that a parting turns about."""
    offset: tuple[float, float]
    """Where in the noise these strands begin, across and along."""
    wave: float
    """How far strands swing to their sides."""
    rough: float
    """How much they stray: 0 for combed hair."""

    def places(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Where places lie across the strands and along them, in canonical units: twice (N,)."""
        x, y, z = point - self.middle[:, None]
        if self.kind == "back":
            across, along = RADIUS * torch.atan2(x, y), -z
        elif self.kind == "parting":
            across, along = RADIUS * torch.atan2(z, y + 0.4), x.abs()
            across = across + 0.5 * (x < 0.0)
        elif self.kind == "crown":
            across = RADIUS * torch.atan2(x, z)
            along = (x.square() + y.square() + z.square()).sqrt()
        else:
            across, along = RADIUS * torch.atan2(x, z), y
        swing = self.wave * torch.sin(9.0 * along + self.offset[0])
        stray = self.rough * long_noise(3.0 * across + self.offset[1], 4.0 * along)
        return across + swing + stray + self.offset[0], along + self.offset[1]

    def direction(self, point: Tensor, normal: Tensor) -> Tensor:
        """Unit tangents of the strands, in the head's coordinates, for normals in these: (3, N)."""
        toward = point - self.middle[:, None]
        if self.kind == "back":
            toward = -toward
        elif self.kind == "parting":
            toward = torch.stack(
                (toward[0].sign(), torch.full_like(toward[0], -0.7), 0.2 * toward[2])
            )
        elif self.kind == "curls":
            toward = torch.stack((toward[2], toward[1], -toward[0]))
        flat = toward - (toward * normal).sum(dim=0) * normal
        return flat / flat.norm(dim=0).clamp(min=1e-3)

    def noise(self, across: Tensor, along: Tensor, fineness: float) -> Tensor:
        """Noise of strands or locks, so many to a canonical unit: (N,)."""
        if self.kind == "curls":
            return long_noise(0.55 * fineness * across, 0.55 * fineness * along)
        return long_noise(fineness * across, (0.6 + 0.05 * fineness) * along)


def draw_run(draws: Draws, kind: str, parting: float) -> Run:
    """Draw how the strands of a head run; kinds as in `Run`."""
    middle = {
        "crown": (draws.gaussian(0.1), 0.95, -0.35),
        "back": (0.0, draws.uniform(0.0, 0.35), -0.9),
        "parting": (parting, 0.3, 0.0),
        "curls": (0.0, 0.3, 0.0),
    }[kind]
    return Run(
        kind=kind,
        middle=torch.tensor(middle),
        offset=(draws.uniform(0.0, 50.0), draws.uniform(0.0, 50.0)),
        wave=draws.uniform(0.0, 0.05) if draws.chance(0.4) else 0.0,
        rough=math.exp(draws.uniform(math.log(0.008), math.log(0.06))),
    )
