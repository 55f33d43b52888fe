"""Parts of a photo as boxes, which may be turned: cutting them out, and putting them back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..system.device import plain_defaults

__all__ = ["Box", "Part", "crop", "into_photo"]


@dataclass(frozen=True)
class Box:
    """A square in pixels of a photo, or a rectangle; it may be turned, and stick out over the border."""

    left: int
    top: int
    size: int
    """Width, and height too unless `tall` is given."""
    angle: float = 0.0
    """Degrees by which it is turned about its centre, clockwise as the picture is seen."""
    tall: int | None = None
    """Height where it is not the width."""

    @property
    def width(self) -> int:
        return self.size

    @property
    def height(self) -> int:
        return self.size if self.tall is None else self.tall

    @classmethod
    def central(cls, height: int, width: int) -> Box:
        """The largest square in the middle of a photo."""
        size = min(height, width)
        return cls((width - size) // 2, (height - size) // 2, size)

    @classmethod
    def whole(cls, height: int, width: int) -> Box:
        """All of a photo."""
        return cls(0, 0, width, tall=None if width == height else height)

    def to_photo(self, height: int | None = None, width: int | None = None) -> np.ndarray:
        """The affine map from places in the crop to places in the photo: (2, 3).

        Places are (x, y, 1), in pixels from the upper left corner; the first pixel's centre is at
        (0.5, 0.5).

        Args:
            height: of the crop that the map starts from; that of the box when not given.
            width: the same.
        """
        across = self.width / (width or self.width)
        down = self.height / (height or self.height)
        turn = math.radians(self.angle)
        linear = np.array(
            [
                [math.cos(turn) * across, -math.sin(turn) * down],
                [math.sin(turn) * across, math.cos(turn) * down],
            ]
        )
        centre = np.array([self.left + self.width / 2, self.top + self.height / 2])
        middle = np.array([self.width / across / 2, self.height / down / 2])
        return np.column_stack((linear, centre - linear @ middle))

    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the upright rectangle around it, in whole pixels."""
        if self.angle == 0.0:
            return self.left, self.top, self.left + self.width, self.top + self.height
        corners = [[x, y, 1.0] for x in (0.0, float(self.width)) for y in (0.0, float(self.height))]
        places = np.array(corners) @ self.to_photo().T
        left, top = np.floor(places.min(axis=0)).astype(int)
        right, bottom = np.ceil(places.max(axis=0)).astype(int)
        return int(left), int(top), int(right), int(bottom)


# Cutting out and putting back ----------------------------------------------------------------


@plain_defaults()
def crop(pixels: Tensor, box: Box, size: int | tuple[int, int]) -> Tensor:
    """A part of a photo, turned upright and resampled to (C, size, size), or (C, height, width).

    Filtered in linear light, as a lens would: a black and white checkerboard shrinks to 50 % of the
    light, 0.735 sRGB-encoded. Beyond the border the nearest pixel is repeated.

    Args:
        pixels: (3, H, W), sRGB-encoded, 0..1.
        box: what to cut out.
        size: side of the result in pixels, or height and width.
    """
    tall, wide = (size, size) if isinstance(size, int) else size
    left, top, right, bottom = box.bounds()
    if box.angle != 0.0:  # room for interpolation
        left, top, right, bottom = left - 2, top - 2, right + 2, bottom + 2
    rows = torch.arange(top, bottom).clamp(0, pixels.shape[1] - 1)
    columns = torch.arange(left, right).clamp(0, pixels.shape[2] - 1)
    # The area filter weighs every pixel by its overlap; it has nothing to say when enlarging.
    method = cv2.INTER_AREA if wide < box.width else cv2.INTER_LINEAR
    found = []
    for plane in pixels:  # one at a time, which takes a third of the memory
        linear = _linear(plane, rows, columns)
        if box.angle != 0.0:
            linear = cv2.warpAffine(
                linear,
                _between_centres(box, left, top),
                (box.width, box.height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        found.append(cv2.resize(linear, (wide, tall), interpolation=method))
        del linear  # before the next one is made
    return linear_to_srgb(torch.from_numpy(np.stack(found)))


BAND = 2**20
"""Pixels that are brought into linear light at a time."""


def _linear(plane: Tensor, rows: Tensor, columns: Tensor) -> np.ndarray:
    """Linear light of some rows and columns of a plane (H, W)."""
    found = torch.empty((len(rows), len(columns)), dtype=torch.float32)
    step = max(1, BAND // len(columns))
    for start in range(0, len(rows), step):
        band = plane[rows[start : start + step]][:, columns]
        found[start : start + step] = srgb_to_linear(band).cpu()
    return found.numpy()


@plain_defaults()
def into_photo(values: Tensor, box: Box, height: int, width: int) -> tuple[Tensor, slice, slice]:
    """What `crop` took out, back in its place: values (C, h, w) of a box, 0 where it ends.

    Args:
        values: of the pixels of the crop, of any resolution.
        box: where they belong.
        height: of the photo.
        width: of the photo.

    Returns:
        The values of a part of the photo, (C, rows, columns), and that part's rows and columns.
    """
    method = cv2.INTER_LINEAR if values.shape[-1] < box.width else cv2.INTER_AREA
    left, top, right, bottom = box.bounds()
    rows = slice(max(0, top), max(0, min(height, bottom)))
    columns = slice(max(0, left), max(0, min(width, right)))
    found = []
    for plane in values.float().cpu().numpy():
        enlarged = cv2.resize(
            np.ascontiguousarray(plane), (box.width, box.height), interpolation=method
        )
        if box.angle != 0.0:
            enlarged = cv2.warpAffine(
                enlarged,
                _between_centres(box, left, top),
                (right - left, bottom - top),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
            )
        part = enlarged[rows.start - top : rows.stop - top]
        found.append(part[:, columns.start - left : columns.stop - left])
    return torch.from_numpy(np.stack(found)), rows, columns


def _between_centres(box: Box, left: int, top: int) -> np.ndarray:
    """The map from indices of the box's pixels to indices of a part of the photo that starts there."""
    matrix = box.to_photo()
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5 - (left, top)
    return matrix


Kind = Literal["face", "named", "central", "whole"]
"""How a part was chosen: a face that was found, a box that was named, the central square, or all of
the photo."""


@dataclass(frozen=True)
class Part:
    """A part of a photo, and how it was found."""

    box: Box
    kind: Kind
    note: str = ""
    """The same for people, with what to do where it may not be what they want."""

    @property
    def is_face(self) -> bool:
        """Whether a face was found there."""
        return self.kind == "face"
