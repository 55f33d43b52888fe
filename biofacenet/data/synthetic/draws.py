"""Random numbers of one face. They are drawn one after another: their order is part of what a seed means."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .shape import TEXTURE

__all__ = ["Draws"]


class Draws:
    """A generator of its own for each seed and index."""

    def __init__(self, seed: int, index: int) -> None:
        self.rng = np.random.default_rng([seed, index])

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def gaussian(self, scale: float, limit: float = 2.0) -> float:
        return scale * float(np.clip(self.rng.normal(), -limit, limit))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def field(self, cells: int) -> Tensor:
        """Smooth noise of unit variance over the canonical area: (1, 1, *TEXTURE)."""
        coarse = torch.from_numpy(self.rng.normal(size=(1, 1, cells, cells)).astype(np.float32))
        return F.interpolate(coarse, size=TEXTURE, mode="bicubic", align_corners=True)

    def spots(self, share: float) -> Tensor:
        """Small soft spots over the canonical area, in 0..1: (1, 1, *TEXTURE)."""
        grains = (self.rng.uniform(size=(1, 1, *TEXTURE)) < share).astype(np.float32)
        return (2.2 * F.avg_pool2d(torch.from_numpy(grains), 3, 1, 1)).clamp(max=1.0)
