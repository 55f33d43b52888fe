"""Finding the face in a photo, and cropping it as the training images are cropped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from cv2.data import haarcascades
from torch import Tensor

from .physics.colour import linear_to_srgb, luminance, srgb_to_linear

__all__ = ["Box", "crop", "find_face"]

SEARCH_SIDE = 640
"""Longer side of the image that is searched; faces in portraits are far larger than its pixels."""

SMALLEST_FACE = 0.06
"""Smallest face that is looked for, as a share of that side."""

# The first is the more precise; the second finds some faces that the first misses.
CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")

# From the cascade's square, which runs from the middle of the forehead to the lips, to the framing
# of the CelebA crops: hairline to chin 75 % of the height, eyes 40 % from the top.
WIDEN = 1.65
EYES_IN_CASCADE = 0.37
EYES_IN_BOX = 0.40


@dataclass(frozen=True)
class Box:
    """A square in pixels of a photo; it may stick out over the border."""

    left: int
    top: int
    size: int

    @classmethod
    def central(cls, height: int, width: int) -> Box:
        """The largest square in the middle of a photo."""
        size = min(height, width)
        return cls((width - size) // 2, (height - size) // 2, size)


def find_face(pixels: Tensor) -> Box | None:
    """The largest upright frontal face of a photo, framed as the training images are.

    Args:
        pixels: (3, H, W), sRGB-encoded, 0..1.

    Returns:
        A box in which the face fills about 75 % of the height from hairline to chin, or None.
    """
    height, width = pixels.shape[1:]
    grey = luminance(pixels.unsqueeze(0))[0, 0].mul(255.0).byte().cpu().numpy()
    scale = min(1.0, SEARCH_SIDE / max(height, width))
    if scale < 1.0:
        reduced = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, reduced, interpolation=cv2.INTER_AREA)
    grey = cv2.equalizeHist(grey)
    smallest = max(24, round(SMALLEST_FACE * max(grey.shape)))
    for name in CASCADES:
        faces = _cascade(name).detectMultiScale(
            grey, scaleFactor=1.08, minNeighbors=5, minSize=(smallest, smallest)
        )
        if len(faces):
            left, top, side, _ = max(faces, key=lambda face: int(face[2]))
            size = WIDEN * side / scale
            return Box(
                left=round((left + side / 2) / scale - size / 2),
                top=round((top + EYES_IN_CASCADE * side) / scale - EYES_IN_BOX * size),
                size=round(size),
            )
    return None


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(haarcascades + name)


def crop(pixels: Tensor, box: Box, size: int) -> Tensor:
    """A square of a photo, resampled to (3, size, size).

    Filtered in linear light, as a lens would: a black and white checkerboard shrinks to 50 % of the
    light, 0.735 sRGB-encoded. Beyond the border the nearest pixel is repeated.

    Args:
        pixels: (3, H, W), sRGB-encoded, 0..1.
        box: what to cut out.
        size: side of the result in pixels.
    """
    height, width = pixels.shape[1:]
    rows = torch.arange(box.top, box.top + box.size).clamp(0, height - 1)
    columns = torch.arange(box.left, box.left + box.size).clamp(0, width - 1)
    linear = srgb_to_linear(pixels[:, rows][:, :, columns]).permute(1, 2, 0).cpu().numpy()
    # The area filter weighs every pixel by its overlap; it has nothing to say when enlarging.
    method = cv2.INTER_AREA if size < box.size else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(linear), (size, size), interpolation=method)
    return linear_to_srgb(torch.from_numpy(resized).permute(2, 0, 1).contiguous())
