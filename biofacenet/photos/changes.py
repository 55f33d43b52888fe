"""Known changes of a photo that change no skin: how the same face looks under another exposure or light.

Light and white balance change in linear light, where they multiply; what becomes brighter than white is
cut off, as a camera does.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch

from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..system.device import plain_defaults
from .boxes import Box
from .reading import Photo

__all__ = [
    "CHANGES",
    "CHANNELS",
    "GAIN",
    "HALF",
    "QUALITY",
    "SIDE_LIGHT",
    "as_jpeg",
    "changed",
]

HALF = 0.5
"""Factor of the exposure."""

SIDE_LIGHT = (0.6, 1.0)
"""Of the light at the left edge and at the right one, in a straight line between."""

GAIN = 0.05
"""By which a channel is too strong or too weak."""

QUALITY = 30
"""Of JPEG."""

CHANNELS = {"red": 0, "blue": 2}

CHANGES = {
    "half": "half the exposure",
    "red+": "red 5 % stronger",
    "red-": "red 5 % weaker",
    "blue+": "blue 5 % stronger",
    "blue-": "blue 5 % weaker",
    "left": "left edge of the face at 60 % of the light",
    "right": "right edge of the face at 60 % of the light",
    "jpeg": "stored as a small JPEG",
}
"""Names of changes, and the same for people."""


@plain_defaults()
def changed(photo: Photo, name: str, box: Box) -> Photo:
    """A photo as it is after a change.

    Args:
        photo: the unchanged one.
        name: one of `CHANGES`.
        box: of the face: light from one side falls off across it, and stays as it is beyond.

    Raises:
        KeyError: there is no such change.
    """
    if name == "jpeg":
        return as_jpeg(photo)
    pixels = linear_to_srgb(
        (srgb_to_linear(photo.pixels) * _factor(photo, name, box)).clamp(max=1.0)
    )
    return replace(photo, pixels=pixels)


def _factor(photo: Photo, name: str, box: Box) -> torch.Tensor:
    """What linear light is multiplied by; of a shape that fits (3, H, W)."""
    if name == "half":
        return torch.tensor(HALF)
    if name in ("left", "right"):
        return _side_light(photo, box, darker=name)
    channel = CHANNELS[name[:-1]]
    gains = torch.ones(3, 1, 1)
    gains[channel] = {"+": 1.0 + GAIN, "-": 1.0 - GAIN}[name[-1]]
    return gains


def _side_light(photo: Photo, box: Box, *, darker: str) -> torch.Tensor:
    """(1, H, W): from 0.6 at one edge of the face to 1 at the other."""
    linear, move = box.to_photo()[:, :2], box.to_photo()[:, 2]
    across, down = np.linalg.inv(linear)[0]
    x = torch.arange(photo.width, dtype=torch.float32) + 0.5 - float(move[0])
    y = torch.arange(photo.height, dtype=torch.float32) + 0.5 - float(move[1])
    place = (float(across) * x[None, :] + float(down) * y[:, None]) / box.width
    if darker == "right":
        place = 1.0 - place
    low, high = SIDE_LIGHT
    return (low + (high - low) * place.clamp(0.0, 1.0))[None]


def as_jpeg(photo: Photo) -> Photo:
    """A photo as it is after it was stored as a small JPEG."""
    picture = (255.0 * photo.pixels.clamp(0.0, 1.0)).round().byte().permute(1, 2, 0).numpy()
    _, stored = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    read = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.float32)[..., ::-1] / 255.0
    pixels = torch.from_numpy(np.ascontiguousarray(read)).permute(2, 0, 1).contiguous()
    return replace(photo, pixels=pixels)
