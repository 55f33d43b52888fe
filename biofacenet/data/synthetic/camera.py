"""The camera of a picture, the kind of light that it is balanced for, and its exposure."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...physics.colour import luminance
from ...physics.illuminant import ILLUMINANT_NAMES, Illuminant
from ...physics.skin import melanosome_fraction
from .draws import Draws

__all__ = ["draw_exposure", "draw_light_and_camera"]


def draw_light_and_camera(draws: Draws) -> tuple[Illuminant, Tensor]:
    """Mostly one kind of light, sometimes two; a camera from the Gaussian prior."""
    weights = torch.zeros(1, len(ILLUMINANT_NAMES))
    kinds = [0, 1, int(draws.rng.integers(2, len(ILLUMINANT_NAMES)))]
    first, second = draws.rng.choice(kinds, size=2, p=[0.2, 0.5, 0.3])
    share = 1.0 if draws.chance(0.6) else draws.uniform(0.5, 1.0)
    weights[0, first] += share
    weights[0, second] += 1.0 - share
    cct = float(np.exp(draws.uniform(np.log(4000.0), np.log(12000.0))))
    camera = np.clip(draws.rng.normal(size=(1, 2)), -2.5, 2.5).astype(np.float32)
    return Illuminant(weights, torch.tensor([cct])), torch.from_numpy(camera)


def draw_exposure(draws: Draws, melanin: float, rendered: Tensor, skin: Tensor) -> float:
    """Factor that brings the bright skin of (1, 3, S, S) to a brightness that is drawn.

    Less where a channel would leave the range on more than a few pixels, unless the picture is meant
    to be overexposed: the red of orange skin saturates long before its luminance does.
    """
    stops = _stops(draws)
    reached = _brightness(draws, melanin) * 2.0**stops
    if not skin.any():
        return reached
    bright = float(torch.quantile(luminance(rendered)[0][skin], 0.95))
    spared = 0.98 if stops <= 0.0 else 0.98 - 0.09 * stops
    strongest = float(torch.quantile(rendered.amax(dim=1, keepdim=True)[0][skin], spared))
    return min(reached / max(bright, 1e-4), 1.0 / max(strongest, 1e-4))


def _stops(draws: Draws) -> float:
    """How far the exposure is off: mostly little, at times two stops under or one over."""
    kind = draws.uniform(0.0, 1.0)
    if kind < 0.72:
        return draws.uniform(-0.5, 0.25)
    return draws.uniform(-2.0, -0.5) if kind < 0.9 else draws.uniform(0.25, 1.0)


def _brightness(draws: Draws, melanin: float) -> float:
    """Luminance that the bright parts of the face reach: between that of one exposure for all
    skins and that of an exposure for each.
    """
    fraction = float(melanosome_fraction(torch.tensor(melanin)))
    return draws.uniform(0.4, 0.8) * float(np.exp(-6.0 * fraction))
