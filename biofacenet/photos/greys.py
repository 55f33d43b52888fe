"""The tone curve of a photo, by greys of known reflectance in one light, and undoing it.

Cameras and phones brighten, bend and compress what their sensor saw before they store it, and nobody tells
how. A ColorChecker has six greys, whose light in the scene is known up to one factor: what they became tells
the curve at six places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from ..physics.colour import linear_to_srgb, srgb_to_linear

__all__ = ["FEWEST_GREYS", "Grey", "ToneCurve", "tone_curve"]

FEWEST_GREYS = 4
"""Of six: one is often overexposed, one black."""

SLOPES = (1.0 / 3.0, 3.0)
"""Least and most slope of a tone curve between two greys, in logarithms: beyond, a shadow lies on them."""

STEPS = 1024
"""Of the table by which photos are undone, evenly spaced as they are stored."""

DIMMEST = 1e-5
"""Linear light, of which a logarithm is taken."""


@dataclass(frozen=True)
class Grey:
    """A grey as it is in a photo."""

    reflectance: float
    rgb: tuple[float, float, float]
    """Linear sRGB, above 0."""

    @property
    def level(self) -> float:
        """Mean logarithm of its channels."""
        return float(np.mean(np.log(self.rgb)))


@dataclass(frozen=True)
class ToneCurve:
    """What light of the scene became, the same for R, G and B."""

    seen: tuple[float, ...]
    """Logarithms of linear sRGB in the photo, increasing."""
    scene: tuple[float, ...]
    """Logarithms of the light there, up to a factor."""

    def undone(self, linear: Tensor) -> Tensor:
        """Light of the scene of linear sRGB in the photo, 0 or more: beyond the greys by the factor of the
        last of them.
        """
        logs = linear.double().clamp(min=DIMMEST).log().numpy()
        inside = np.clip(logs, self.seen[0], self.seen[-1])
        found = PchipInterpolator(self.seen, self.scene)(inside) + (logs - inside)
        return torch.from_numpy(np.where(linear.numpy() > 0.0, np.exp(found), 0.0)).to(linear.dtype)

    def undone_encoded(self, encoded: Tensor) -> Tensor:
        """The same of sRGB-encoded values, 0..1, by a table: to a thousandth, and quicker."""
        table = self.undone(srgb_to_linear(torch.linspace(0.0, 1.0, STEPS + 1)))
        # Linear between entries in the encoding of the outcome, which is nearly straight.
        table = linear_to_srgb(table)
        place = encoded.clamp(0.0, 1.0) * STEPS
        left = place.floor().long().clamp(max=STEPS - 1)
        share = place - left
        return srgb_to_linear(table[left] * (1.0 - share) + table[left + 1] * share)


def tone_curve(greys: Sequence[Grey], kept: float) -> ToneCurve | None:
    """The tone curve that greys tell; None where they are too few, or no such curve.

    Args:
        greys: seen in one light.
        kept: reflectance of one of them, whose light is what the photo says: the factor that is open.

    Example:
        >>> greys = [Grey(share, (share**0.8,) * 3) for share in (0.03, 0.09, 0.19, 0.36, 0.59)]
        >>> curve = tone_curve(greys, 0.59)
        >>> ratio = curve.undone(torch.tensor([0.19**0.8, 0.36**0.8]))
        >>> round(float(ratio[0] / ratio[1]), 3), round(0.19 / 0.36, 3)
        (0.528, 0.528)
    """
    ordered = sorted(greys, key=lambda grey: grey.reflectance)
    if len(ordered) < FEWEST_GREYS or kept not in [grey.reflectance for grey in ordered]:
        return None
    seen = np.array([grey.level for grey in ordered])
    scene = np.log([grey.reflectance for grey in ordered])
    if (np.diff(scene) <= 0.0).any() or (np.diff(seen) <= 0.0).any():
        return None
    slopes = np.diff(seen) / np.diff(scene)
    if slopes.min() < SLOPES[0] or slopes.max() > SLOPES[1]:
        return None
    index = [grey.reflectance for grey in ordered].index(kept)
    scene = scene + seen[index] - scene[index]
    return ToneCurve(tuple(seen.tolist()), tuple(scene.tolist()))
