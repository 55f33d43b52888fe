"""Random numbers of one face. They are drawn one after another: their order is part of what a seed means."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...system.lasting import kept
from .shape import TEXTURE

__all__ = ["Draws"]

WHOLE = 5
"""Textures along each side of the noise that fields are cut from."""


class Draws:
    """A generator of its own for each seed and index."""

    def __init__(self, seed: int, index: int) -> None:
        self.rng = np.random.default_rng([seed, index])
        self.fine = np.random.default_rng([seed, index, 1])
        """Of noise whose amount depends on the size of the picture, so that no other draw does."""

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def gaussian(self, scale: float, limit: float = 2.0) -> float:
        return scale * float(np.clip(self.rng.normal(), -limit, limit))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def field(self, cells: int, count: int = 1) -> Tensor:
        """Smooth noises of unit variance over the canonical area: (1, count, *TEXTURE).

        Each is a piece of one large noise for each number of cells, maybe mirrored: cutting takes no time.
        """
        whole = _noise(cells)
        pieces = []
        for _ in range(count):
            row = int(self.rng.integers(whole.shape[0] - TEXTURE[0]))
            column = int(self.rng.integers(whole.shape[1] - TEXTURE[1]))
            piece = whole[row : row + TEXTURE[0], column : column + TEXTURE[1]]
            pieces.append(piece.flip(1) if self.chance(0.5) else piece)
        return torch.stack(pieces)[None]

    def grain(self, like: Tensor) -> Tensor:
        """Noise of about unit variance from one to three samples wide: (S, S)."""
        noise = torch.from_numpy(self.fine.standard_normal(tuple(like.shape), dtype=np.float32))
        return 1.6 * F.avg_pool2d(noise[None], 3, 1, 1)[0] + 0.5 * noise


@kept
def _noise(cells: int) -> Tensor:
    """Noise of so many cells to a texture's side, `WHOLE` textures high and wide, the same for ever."""
    coarse = np.random.default_rng([0, cells]).standard_normal(
        (1, 1, WHOLE * cells, WHOLE * cells), dtype=np.float32
    )
    size = (WHOLE * TEXTURE[0], WHOLE * TEXTURE[1])
    return F.interpolate(torch.from_numpy(coarse), size=size, mode="bicubic", align_corners=True)[
        0, 0
    ]
