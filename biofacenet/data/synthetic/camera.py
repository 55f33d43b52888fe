"""The camera of a picture, the kind of light that it is balanced for, its exposure and its sensor."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...physics.colour import luminance
from ...physics.illuminant import ILLUMINANT_NAMES, Illuminant
from ...physics.skin import melanosome_fraction
from .draws import Draws

__all__ = ["draw_exposure", "draw_light_and_camera", "sense"]


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

    Less where a channel would leave the range on more than a few pixels: the red of orange skin
    saturates long before its luminance does.
    """
    reached = _brightness(draws, melanin)
    if not skin.any():
        return reached
    bright = float(torch.quantile(luminance(rendered)[0][skin], 0.95))
    strongest = float(torch.quantile(rendered.amax(dim=1, keepdim=True)[0][skin], 0.98))
    return min(reached / max(bright, 1e-4), 1.0 / max(strongest, 1e-4))


def _brightness(draws: Draws, melanin: float) -> float:
    """Luminance that the bright parts of the face reach: between that of one exposure for all
    skins and that of an exposure for each.
    """
    fraction = float(melanosome_fraction(torch.tensor(melanin)))
    return draws.uniform(0.4, 0.8) * float(np.exp(-6.0 * fraction))


def sense(draws: Draws, image: Tensor) -> Tensor:
    """Blur of some lenses, shot and read noise of a random sensor, on (3, S, S)."""
    if draws.chance(0.3):
        spread = draws.uniform(0.05, 0.2)
        kernel = torch.tensor([spread, 1.0 - 2.0 * spread, spread])
        kernel = (kernel[:, None] * kernel[None, :]).expand(3, 1, 3, 3)
        padded = F.pad(image[None], (1, 1, 1, 1), mode="replicate")
        image = F.conv2d(padded, kernel, groups=3)[0]
    level = 0.0
    if not draws.chance(0.2):
        level = float(np.exp(draws.uniform(np.log(0.001), np.log(0.02))))
    grain = torch.from_numpy(draws.rng.normal(size=(2, *image.shape)).astype(np.float32))
    return image + level * (image.clamp(min=0.0).sqrt() * grain[0] + 0.15 * grain[1])
