"""Finding faces in a photo, and cropping them upright as the training images are cropped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from cv2.data import haarcascades
from torch import Tensor

from ..physics.colour import luminance, srgb_to_linear
from ..system.device import plain_defaults
from .boxes import Box
from .skin_pixels import skin_mask

__all__ = [
    "find_face",
    "find_faces",
]

SEARCH_SIDE = 640
"""Longer side of the image that is searched; faces in portraits are far larger than its pixels."""

SMALLEST_FACE = 0.06
"""Smallest face that is looked for, as a share of that side."""

# The first is the more precise; the second finds some faces that the first misses.
CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")

EYE_CASCADES = ("haarcascade_eye_tree_eyeglasses.xml", "haarcascade_eye.xml")

# From the cascade's square, which runs from the middle of the forehead to the lips, to the framing
# of the CelebA crops: hairline to chin 75 % of the height, eyes 40 % from the top.
WIDEN = 1.65

EYES_IN_CASCADE = 0.37

EYES_IN_BOX = 0.40

TURNS = (0.0, 35.0, -35.0)
"""Degrees that the photo is turned by until a face is found; a cascade sees some 20 each way."""

QUARTERS = (90.0, -90.0, 180.0)
"""The same for photos that lie on their side, where no turn is sure: cameras forget to say so."""

SURE = 3
"""Both cascades see a face and its eyes: what is asked for where a photo would lie on its side."""

EYE_PATCH = 160
"""Side in pixels that a face is given for its eyes to be found."""

EYES_APART = 0.42
"""Distance of the eyes in a cascade's square."""

UNLIKELY = 0.25
"""How far from their places in the square, in all, eyes may be."""

STEEPEST = 25.0
"""Largest slope of the line of the eyes, in degrees; more is a mistake about one of them."""

SLIGHTEST = 2.0
"""Slopes below it are within the error of finding eyes: such a face is upright already."""

SAME_FACE = 0.3
"""Overlap (intersection over union) from which two detections are one face."""

LEAST_SKIN = 0.2
"""Share of a detection that must have a colour of skin, in a photo that has colours."""

SKIN_PATCH = (24, 24)

GREYEST = 0.02
"""Mean difference of the strongest and the weakest channel below which a photo is grey."""


# Finding -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """A face that a cascade found, in pixels of the image that was searched."""

    x: float
    y: float
    side: float
    """Centre and side of the cascade's square."""
    agreed: int
    """Cascades that found it."""

    def overlap(self, other: _Seen) -> float:
        """Intersection over union."""
        across, down = (
            max(0.0, min(a, b) + (self.side + other.side) / 2 - max(a, b))
            for a, b in ((self.x, other.x), (self.y, other.y))
        )
        shared = min(across, self.side, other.side) * min(down, self.side, other.side)
        return shared / (self.side**2 + other.side**2 - shared)


@plain_defaults()
def find_face(pixels: Tensor) -> Box | None:
    """The largest frontal face of a photo; see `find_faces`."""
    return next(iter(find_faces(pixels)), None)


@plain_defaults()
def find_faces(pixels: Tensor) -> list[Box]:
    """The frontal faces of a photo, the largest first, upright and framed as the training images are.

    Cascades find them; what has no colour of skin is no face, unless the photo is grey. The line of
    the eyes says how a face is turned; where the eyes are not found, it is taken to be as upright as
    the cascade needs it.

    Args:
        pixels: (3, H, W), sRGB-encoded, 0..1.

    Returns:
        Boxes in which a face fills about 75 % of the height from hairline to chin.
    """
    height, width = pixels.shape[1:]
    scale = min(1.0, SEARCH_SIDE / max(height, width))
    planes_of_photo = list(pixels.cpu().numpy())
    if scale < 1.0:  # plane by plane: all at once would be copied first
        reduced = (max(1, round(width * scale)), max(1, round(height * scale)))
        planes_of_photo = [
            cv2.resize(np.ascontiguousarray(plane), reduced, interpolation=cv2.INTER_AREA)
            for plane in planes_of_photo
        ]
    small = np.stack(planes_of_photo, axis=2)
    planes = torch.from_numpy(small).permute(2, 0, 1)[None]
    grey = luminance(planes)[0, 0].mul(255.0).byte().numpy()
    colourful = float((planes.amax(dim=1) - planes.amin(dim=1)).mean()) > GREYEST

    best, found = 0, []
    for turn in (*TURNS, *QUARTERS):
        if turn in QUARTERS and best >= SURE:
            break
        there = cv2.getRotationMatrix2D((grey.shape[1] / 2, grey.shape[0] / 2), turn, 1.0)
        looks = [grey, small] if colourful else [grey]
        turned = looks if turn == 0.0 else [_warped(look, there) for look in looks]
        faces = _likely(turned[0], turned[1] if colourful else None, turn != 0.0)
        # How sure they are; the turn at which faces are surest is the right one.
        sure = sum(face.agreed + (slope is not None) for face, slope in faces)
        if sure > best and (turn in TURNS or sure >= SURE):
            back = cv2.invertAffineTransform(there)
            best = sure
            found = [_framed(face, slope or 0.0, back, turn, scale) for face, slope in faces]
        if turn == 0.0 and sure > 1:
            break
    return sorted(found, key=lambda box: -box.size)


def _warped(picture: np.ndarray, there: np.ndarray) -> np.ndarray:
    size = picture.shape[1::-1]
    return cv2.warpAffine(picture, there, size, borderMode=cv2.BORDER_REPLICATE)


def _likely(
    grey: np.ndarray, colours: np.ndarray | None, turned: bool
) -> list[tuple[_Seen, float | None]]:
    """Faces, and the slopes of their eyes in degrees, where eyes are found.

    What a single cascade took for a face beside others needs eyes, and in a picture that was turned
    any face does.
    """
    equal = cv2.equalizeHist(grey)
    faces = [face for face in _candidates(equal) if _has_skin(face, colours)]
    sloped = [(face, _slope_of_eyes(equal, face)) for face in faces]
    return [
        (face, slope)
        for face, slope in sloped
        if slope is not None or (not turned and (face.agreed > 1 or len(faces) == 1))
    ]


def _candidates(grey: np.ndarray) -> list[_Seen]:
    """What the cascades take for faces, each once."""
    smallest = max(24, round(SMALLEST_FACE * max(grey.shape)))
    found: list[_Seen] = []
    for name in CASCADES:
        for left, top, side, _ in _cascade(name).detectMultiScale(
            grey, scaleFactor=1.08, minNeighbors=5, minSize=(smallest, smallest)
        ):
            new = _Seen(float(left + side / 2), float(top + side / 2), float(side), 1)
            same = [i for i, old in enumerate(found) if old.overlap(new) > SAME_FACE]
            if same:
                old = found[same[0]]
                found[same[0]] = _Seen(old.x, old.y, old.side, 2 if name != CASCADES[0] else 1)
            else:
                found.append(new)
    return found


def _has_skin(face: _Seen, colours: np.ndarray | None) -> bool:
    """Whether the middle of a detection, in sRGB-encoded (H, W, 3), has a colour of skin."""
    if colours is None:
        return True
    half = 0.35 * face.side
    rows = slice(max(0, round(face.y - half)), max(1, round(face.y + half)))
    columns = slice(max(0, round(face.x - half)), max(1, round(face.x + half)))
    part = cv2.resize(colours[rows, columns], SKIN_PATCH, interpolation=cv2.INTER_AREA)
    linear = srgb_to_linear(torch.from_numpy(part).permute(2, 0, 1)[None])
    return float(skin_mask(linear).mean()) >= LEAST_SKIN


def _slope_of_eyes(grey: np.ndarray, face: _Seen) -> float | None:
    """Degrees, clockwise, by which the line of a face's eyes slopes; None if they are not found."""
    first = _slope(grey, face, 0.0)
    if first is None or abs(first) < SLIGHTEST:
        return first and 0.0
    # Straightened by it, the face must have level eyes: one of a pair may have been a brow.
    second = _slope(grey, face, first)
    if second is None or abs(second) > 2.0 * SLIGHTEST:
        return 0.0
    return first + second


def _slope(grey: np.ndarray, face: _Seen, turn: float) -> float | None:
    """The slope that is left in the upper part of a face that is turned back by some degrees."""
    there = cv2.getRotationMatrix2D((0.0, 0.0), turn, EYE_PATCH / face.side)
    there[:, 2] = EYE_PATCH / 2 - there[:, :2] @ (face.x, face.y)
    patch = cv2.warpAffine(
        grey, there, (EYE_PATCH, round(0.65 * EYE_PATCH)), borderMode=cv2.BORDER_REPLICATE
    )
    best, slope = UNLIKELY, None
    for name in EYE_CASCADES:
        eyes = [
            ((left + width / 2) / EYE_PATCH, (top + height / 2) / EYE_PATCH)
            for left, top, width, height in _cascade(name).detectMultiScale(
                patch,
                scaleFactor=1.05,
                minNeighbors=3,
                minSize=(EYE_PATCH // 8, EYE_PATCH // 8),
                maxSize=(EYE_PATCH * 2 // 5, EYE_PATCH * 2 // 5),
            )
        ]
        for one, other in ((a, b) for a in eyes for b in eyes if a[0] < 0.5 < b[0]):
            across, down = other[0] - one[0], other[1] - one[1]
            angle = math.degrees(math.atan2(down, across))
            unlikely = (
                abs((one[0] + other[0]) / 2 - 0.5)
                + abs((one[1] + other[1]) / 2 - EYES_IN_CASCADE)
                + abs(across - EYES_APART)
            )
            if abs(angle) < STEEPEST and unlikely < best:
                best, slope = unlikely, angle
        if slope is not None:
            break
    return slope


def _framed(face: _Seen, slope: float, back: np.ndarray, turn: float, scale: float) -> Box:
    """The box around a face that was found in a turned and reduced image."""
    angle = turn + slope
    x, y = back @ np.array([face.x, face.y, 1.0])
    size = WIDEN * face.side / scale
    # The middle of the box is below that of the cascade's square, along the face.
    below = (EYES_IN_CASCADE - 0.5) * face.side / scale + (0.5 - EYES_IN_BOX) * size
    centre_x = x / scale - below * math.sin(math.radians(angle))
    centre_y = y / scale + below * math.cos(math.radians(angle))
    return Box(
        left=round(centre_x - size / 2),
        top=round(centre_y - size / 2),
        size=round(size),
        angle=round(angle, 2),
    )


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(haarcascades + name)
