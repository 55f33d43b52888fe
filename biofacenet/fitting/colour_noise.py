"""A photo's colour without the noise of sensors and the blocks of JPEG, its brightness as it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["BLOCK", "FLOOR", "brightness_and_colour", "quiet_colour", "smooth"]

BLOCK = 16
"""Side, in pixels of a photo, of the blocks of colour that JPEG stores: 8 x 8 values, each usually of
2 x 2 pixels (ITU-T T.81, with chroma at half the resolution)."""

FLOOR = 0.01
"""Added to linear light before its logarithm is taken: below it is noise."""

BRIGHTNESS = (0.299, 0.587, 0.114)
"""Shares of R, G and B in the brightness that JPEG keeps at full resolution (ITU-T T.871)."""

FOLLOWED = 4e-4
"""Variance of log brightness below which colour is not taken to follow it: a step of 2 %."""

CORED = 4.0
"""How many times the usual variance is noise still."""


def brightness_and_colour(logs: Tensor) -> tuple[Tensor, Tensor]:
    """Log RGB (B, 3, H, W) as its brightness (B, 1, H, W) and what is left of each channel."""
    shares = logs.new_tensor(BRIGHTNESS).reshape(1, 3, 1, 1)
    brightness = (logs * shares).sum(dim=1, keepdim=True)
    return brightness, logs - brightness


def smooth(values: Tensor, deviation: float) -> Tensor:
    """Values (B, C, H, W) under a Gaussian of a standard deviation in pixels; the edge is repeated."""
    reach = max(1, round(3.0 * deviation))
    place = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    weight = torch.exp(-0.5 * (place / max(deviation, 1e-3)) ** 2)
    weight, count = weight / weight.sum(), values.shape[1]
    for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
        sides = (reach, reach, 0, 0) if shape[3] == -1 else (0, 0, reach, reach)
        padded = F.pad(values, sides, mode="replicate")
        values = F.conv2d(padded, weight.reshape(shape).repeat(count, 1, 1, 1), groups=count)
    return values


def _mean(values: Tensor, reach: int) -> Tensor:
    """Mean over squares of 2 reach + 1 pixels, whose edge is repeated."""
    padded = F.pad(values, (reach,) * 4, mode="replicate")
    rows = F.avg_pool2d(padded, (2 * reach + 1, 1), stride=1)
    return F.avg_pool2d(rows, (1, 2 * reach + 1), stride=1)


def quiet_colour(image: Tensor, reach: int) -> Tensor:
    """An image whose colour is smooth where nothing speaks for an edge, and whose brightness stays.

    Within a neighbourhood, colour is its mean, plus what follows brightness there (a freckle is darker
    and browner at once), as in the guided filter; what is left is kept where it is several times
    stronger than is usual in the middle of the image (a spot as bright as what is around it), and is
    noise elsewhere, as in Wiener's filter.

    Source: He, Sun and Tang, Guided image filtering, IEEE Transactions on Pattern Analysis and Machine
    Intelligence 2013; Lim, Two-dimensional signal and image processing, 1990 (section 9.2, local
    variance).

    Args:
        image: (B, 3, H, W), linear sRGB.
        reach: half the side of a neighbourhood, in pixels: half a block of JPEG's colour. 0 leaves all
            as it is.
    """
    if reach < 1:
        return image
    brightness, colour = brightness_and_colour((image.clamp(min=0.0) + FLOOR).log())
    reach = min(reach, *(side - 1 for side in image.shape[2:]))

    def around(values: Tensor) -> Tensor:
        return _mean(_mean(values, reach), reach)

    level, mean = around(brightness), around(colour)
    variance = around(brightness.square()) - level.square()
    follows = (around(brightness * colour) - level * mean) / (variance + FOLLOWED)
    followed = mean + follows * (brightness - level)
    rest = colour - followed
    power = _mean(rest.square().sum(dim=1, keepdim=True), max(1, reach // 2))
    height, width = image.shape[2:]
    middle = power[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]
    usual = middle.flatten(1).median(dim=1).values.reshape(-1, 1, 1, 1)
    kept = (1.0 - CORED * usual / power.clamp(min=1e-12)).clamp(min=0.0)
    return (brightness + followed + _mean(kept, 1) * rest).exp() - FLOOR
