"""What a camera or phone makes of a picture: blur, noise, colour balance, tone curve, resizing, JPEG, 8 bits.

None of it is part of a face's truth, which is that of the picture before.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ...physics.colour import linear_to_srgb
from .draws import Draws
from .light import Lights

__all__ = ["eight_bits", "photograph", "second_colour"]

STORED_AT = (1.0, 1.5, 2.0, 3.0)
"""Of JPEG: side of what was stored, in sides of what is looked at."""

LUMA = (0.299, 0.587, 0.114)


USUAL, DEEP = (0.9, 1.15), (0.95, 1.25)
"""Saturation that development gives, as a factor."""


def eight_bits(image: Tensor) -> Tensor:
    """Linear RGB of any shape in sRGB, rounded to 8 bits: 0..1."""
    return torch.round(255.0 * linear_to_srgb(image)) / 255.0


def photograph(draws: Draws, image: Tensor, *, deep: bool = False) -> Tensor:
    """Take a photograph of linear RGB (3, S, S): 8 bits, 0..1 sRGB.

    ``deep``: of a head of a model, with colours deepened more.
    """
    image = _through_lens(draws, image, always=deep)
    image = _sensed(draws, image)
    return _stored(draws, _developed(draws, image, DEEP if deep else USUAL))


def second_colour(image: Tensor, normal: Tensor, lights: Lights) -> Tensor:
    """Linear RGB (3, S, S) where light of another colour comes from one side.

    The renderer has one light a face; a second one is what a picture adds to it.

    Args:
        image: in the light of the face.
        normal: (3, S, S), where its surfaces face.
        lights: with the second colour, which is white in most photos.
    """
    share = torch.einsum("c,chw->hw", lights.tinted, normal).clamp(0.0, 1.0)
    return image * (1.0 + (lights.tint[:, None, None] - 1.0) * share)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, sigma in pixels."""
    reach = max(1, math.ceil(2.5 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(image[:, None], (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, kernel.reshape(1, 1, 1, -1))
    return F.conv2d(across, kernel.reshape(1, 1, -1, 1))[:, 0]


def _through_lens(draws: Draws, image: Tensor, *, always: bool) -> Tensor:
    """Out of focus by a little, or enlarged from fewer pixels; stray light of bright surroundings.

    What lenses and sensors smooth ``always``, two samples to a pixel leave with steps.
    """
    if draws.chance(0.12):
        side = image.shape[-1]
        fewer = max(8, int(side * draws.uniform(0.45, 0.9)))
        small = F.adaptive_avg_pool2d(image[None], fewer)
        image = F.interpolate(small, size=side, mode="bicubic", align_corners=False)[0].clamp(
            min=0.0
        )
    elif draws.chance(0.55):
        image = _blurred(image, draws.uniform(0.4 if always else 0.25, 0.75 if always else 0.9))
    elif always:
        image = _blurred(image, 0.38)
    if draws.chance(0.25):
        image = image + draws.uniform(0.0, 0.03) * image.mean(dim=(1, 2), keepdim=True)
    return image


def _sensed(draws: Draws, image: Tensor) -> Tensor:
    """White balance off by some percent; shot and read noise, cleaned by some cameras."""
    red, blue = np.exp(draws.gaussian(0.03)), np.exp(draws.gaussian(0.035))
    image = image * torch.tensor([red, 1.0, blue], dtype=torch.float32)[:, None, None]
    if draws.chance(0.15):
        return image
    level = float(np.exp(draws.uniform(np.log(0.001), np.log(0.025))))
    grain = torch.from_numpy(draws.fine.standard_normal((2, *image.shape), dtype=np.float32))
    noise = level * (image.clamp(min=0.0).sqrt() * grain[0] + 0.15 * grain[1])
    if draws.chance(0.4):  # what cleaning leaves is coarser and weaker
        noise = F.avg_pool2d(noise[None], 3, 1, 1)[0] * 1.5
    return image + noise


def _developed(draws: Draws, image: Tensor, saturation: tuple[float, float]) -> Tensor:
    """A tone curve with a soft shoulder, contrast, saturation and sharpening: sRGB."""
    knee = draws.uniform(0.6, 1.0)
    room = 1.0 - knee + 1e-3
    image = torch.where(image > knee, knee + room * (1.0 - torch.exp((knee - image) / room)), image)
    encoded = linear_to_srgb(image)
    contrast = draws.uniform(-0.12, 0.45) if draws.chance(0.7) else 0.0
    curve = encoded * encoded * (3.0 - 2.0 * encoded)
    encoded = encoded + contrast * (curve - encoded)
    grey = torch.einsum("c,chw->hw", torch.tensor(LUMA), encoded)
    encoded = grey + draws.uniform(*saturation) * (encoded - grey)
    if draws.chance(0.5):
        encoded = encoded + draws.uniform(0.1, 0.8) * (encoded - _blurred(encoded, 0.8))
    return encoded.clamp(0.0, 1.0)


def _stored(draws: Draws, encoded: Tensor) -> Tensor:
    """8 bits, most often as JPEG of this or a larger size."""
    quality = int(draws.rng.integers(40, 99))
    scale = STORED_AT[int(draws.rng.choice(len(STORED_AT), p=[0.3, 0.2, 0.3, 0.2]))]
    coarse = draws.chance(0.75)  # colour at half the resolution
    pixels = (255.0 * encoded).round().to(torch.uint8).permute(1, 2, 0).numpy()
    if draws.chance(0.1):
        return torch.from_numpy(pixels.astype(np.float32) / 255.0).permute(2, 0, 1)
    picture = Image.fromarray(pixels)
    side = round(scale * picture.width)
    if side != picture.width:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=2 if coarse else 0)
    with Image.open(file) as read:
        picture = read.convert("RGB")
    if side != pixels.shape[0]:
        picture = picture.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0).permute(2, 0, 1)
