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
        self.fine = np.random.default_rng([seed, index, 1])
        """Of noise whose amount depends on the size of the picture, so that no other draw does."""

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def gaussian(self, scale: float, limit: float = 2.0) -> float:
        return scale * float(np.clip(self.rng.normal(), -limit, limit))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.uniform() < probability)

    def field(self, cells: int, count: int = 1) -> Tensor:
        """Smooth noises of unit variance over the canonical area: (1, count, *TEXTURE)."""
        coarse = self.rng.standard_normal((1, count, cells, cells), dtype=np.float32)
        return F.interpolate(
            torch.from_numpy(coarse), size=TEXTURE, mode="bicubic", align_corners=True
        )

    def grain(self, like: Tensor) -> Tensor:
        """Noise of about unit variance from one to three samples wide: (S, S)."""
        noise = torch.from_numpy(self.fine.standard_normal(tuple(like.shape), dtype=np.float32))
        return 1.6 * F.avg_pool2d(noise[None], 3, 1, 1)[0] + 0.5 * noise
