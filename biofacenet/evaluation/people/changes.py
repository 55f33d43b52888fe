"""Known changes of a photograph, each with what must become of it.

They are made in linear light, where light multiplies and highlights add, on what the methods see, so that
nothing but the change differs; but for JPEG, which is of the whole photo, and for scale, which is another
framing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...photos.changes import CHANNELS, GAIN, HALF, SIDE_LIGHT
from ...physics.illuminant import Illuminant
from ...system.lasting import kept
from ..baselines import Statistics, pigment_directions
from .regions import Regions

__all__ = [
    "CHANGES",
    "SCALE",
    "Implants",
    "implanted",
    "side_light",
    "usual_skin",
]

HIGHLIGHT = 0.1
"""Linear light that is added to each channel in the middle of a highlight."""

SPOT_DEPTH = 0.3
"""By which the logarithm of green falls in the middle of a spot of pigment."""

SPREAD = 1.0 / 32.0
"""Standard deviation of highlights and spots, in sides of the picture."""

SCALE = 1.15
"""Side of a wider framing."""

CHANGES = {
    "half": "half exposure",
    "side": "side light",
    "mirror": "mirrored",
    "red+": "red +5 %",
    "red-": "red -5 %",
    "blue+": "blue +5 %",
    "blue-": "blue -5 %",
    "highlight": "highlight",
    "brown": "brown spot",
    "blood": "spot of blood",
    "shift": "shifted",
    "scale": "wider",
    "jpeg": "JPEG",
    "wall_black": "black wall",
    "wall_white": "white wall",
    "wall_red": "red wall",
    "wall_green": "green wall",
    "wall_blue": "blue wall",
}
"""Names of changes, and the same for people."""


@dataclass(frozen=True)
class Implants:
    """What was put into a photo."""

    light: Tensor
    """(1, 1, S, S), the factor of the side light."""
    highlight: Tensor
    """(1, 1, S, S), added to each channel, linear."""
    brown: Tensor
    """(1, 3, S, S), logarithm of what the spot of melanin multiplied."""
    blood: Tensor
    """(1, 3, S, S), the same of the spot of blood."""
    place: Tensor
    """(1, 1, S, S), 0..1, how much of the spots is at each pixel."""


@kept
def usual_skin() -> Statistics:
    """Skin from the middle of the measured table under daylight, seen by the mean camera."""
    return Statistics(
        melanin=(0.0, 0.3),
        haemoglobin=(-0.2, 0.2),
        log_diffuse=(0.0, 0.3),
        specular=0.0,
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
    )


def side_light(size: int) -> Tensor:
    """The field of the side light: (1, 1, size, size)."""
    low, high = SIDE_LIGHT
    across = (torch.arange(size) + 0.5) / size
    return (low + (high - low) * across).expand(1, 1, size, size).contiguous()


def _bump(region: Tensor) -> Tensor:
    """A Gaussian of height 1 in the middle of a region, cut off where it is below 1 %."""
    size = region.shape[-1]
    place = torch.arange(size).float() + 0.5
    weight = region[0, 0] / region.sum().clamp(min=1.0)
    y, x = float((weight.sum(1) * place).sum()), float((weight.sum(0) * place).sum())
    square = (place - x).square()[None, :] + (place - y).square()[:, None]
    bump = torch.exp(-0.5 * square / (SPREAD * size) ** 2)
    return torch.where(bump > 0.01, bump, torch.zeros_like(bump))[None, None]


def implanted(image: Tensor, regions: Regions) -> tuple[dict[str, Tensor], Implants]:
    """The changes that need no more than what the methods see, by name, and what they were.

    Args:
        image: (1, 3, S, S), linear sRGB.
        regions: of the face in it.
    """
    # How log RGB falls with a pigment, so that green falls by 1.
    _, melanin, haemoglobin = pigment_directions(usual_skin())
    left = _bump(regions.left_cheek)
    brown, blood = (
        -SPOT_DEPTH * left * (pigment / pigment[1]).reshape(1, 3, 1, 1)
        for pigment in (melanin, haemoglobin)
    )
    implants = Implants(
        light=side_light(image.shape[-1]),
        highlight=HIGHLIGHT * _bump(regions.forehead),
        brown=brown,
        blood=blood,
        place=left,
    )
    changed = {
        "half": HALF * image,
        "side": implants.light * image,
        "mirror": image.flip(3),
        "highlight": image + implants.highlight,
        "brown": image * implants.brown.exp(),
        "blood": image * implants.blood.exp(),
    }
    for name, channel in CHANNELS.items():
        for sign, factor in (("+", 1.0 + GAIN), ("-", 1.0 - GAIN)):
            gains = torch.ones(1, 3, 1, 1)
            gains[0, channel] = factor
            changed[name + sign] = gains * image
    return changed, implants
