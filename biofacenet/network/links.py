"""From raw outputs to maps: the published functions, between ends that no eye tells from those of the map.

Beyond the ends a map stays as it is, and has no gradient. Training pulls raw outputs back from there
(`biofacenet.training.losses.bounds_loss`): the functions themselves, exp above all, would hold what comes
near their ends, as the gradient that would raise a highlight of exp(-20) vanishes with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["DIFFUSE", "LINKS", "PIGMENT", "SPECULAR", "Link"]


@dataclass(frozen=True)
class Link:
    """A monotone function of raw outputs, constant outside a range."""

    logistic: bool
    """1 / (1 + exp(-raw)); otherwise exp(raw)."""
    low: float
    """Of the raw outputs."""
    high: float

    def __call__(self, raw: Tensor) -> Tensor:
        """Raw outputs of any shape to values."""
        inside = raw.clamp(self.low, self.high)
        return torch.sigmoid(inside) if self.logistic else torch.exp(inside)


PIGMENT = Link(logistic=True, low=-6.0, high=6.0)
"""Share of the range of melanin and haemoglobin, 0.0025 to 0.9975; also of colour temperature and camera."""

DIFFUSE = Link(logistic=False, low=math.log(0.02), high=math.log(50.0))

SPECULAR = Link(logistic=False, low=math.log(1e-3), high=math.log(10.0))
"""From a thousandth of white, which adds three steps of 8-bit sRGB to black."""

LINKS = (PIGMENT, PIGMENT, DIFFUSE, SPECULAR)
"""Of melanin, haemoglobin, diffuse and specular."""
