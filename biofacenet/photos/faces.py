"""Finding faces in a photo, and cropping them upright as the training images are cropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ..physics.colour import srgb_to_linear
from ..system.device import plain_defaults
from .boxes import Box
from .detector import look_for_faces
from .skin_pixels import skin_mask
from .straightening import FACE_IN_PATCH, PATCH, Face, Place, straightened

__all__ = [
    "find_face",
    "find_faces",
]

SEARCH_SIDE = 640
"""Longer side of the image that is searched."""

CLOSE_SIDE, CLOSE_MARGIN = 192, 0.25
"""The same for faces that fill the photo or leave it, and what is added around it, as a share."""

TURNED_SIDE = 448
"""The same for photos in which nothing upright is a face."""

TURNS = (60.0, -60.0, 180.0)
"""Degrees that these are turned by."""

UPRIGHT = 45.0
"""Degrees up to which a face counts as upright."""

SMALLEST_FACE = 0.03
"""Smallest face that is looked for, as a share of the longer side."""

LEAST_SIDE = 160
"""Longer side to which smaller photos are enlarged."""

PERHAPS = 0.5
"""Score from which something may be a face, and is looked at again."""

BRIGHT = 0.75
"""Brightness, sRGB-encoded, that the brightest hundredth is brought to: the detector sees the same at any
exposure. `LIFT` is the largest factor."""

LIFT = 24.0

COARSE = 0.5
"""How much coarser the reduced image may be than the square in which a face is looked at again; else that
is cut from the photo."""

# From the detector's points to the framing of the CelebA crops: hairline to chin 75 % of the
# height, eyes 40 % from the top.
WIDEN = 1.68

EYES_IN_BOX = 0.415

LEAST_SKIN = 0.2
"""Share of a detection that must have a colour of skin, in a photo that has colours."""

SKIN_PATCH = (24, 24)

GREYEST = 0.02
"""Mean difference of the strongest and the weakest channel below which a photo is grey."""


@plain_defaults()
def find_face(pixels: Tensor) -> Box | None:
    """The largest face of a photo; see `find_faces`."""
    return next(iter(find_faces(pixels)), None)


@plain_defaults()
def find_faces(pixels: Tensor) -> list[Box]:
    """The faces of a photo, the largest first, upright and framed as the training images are.

    A detector finds them, frontal to half profile and turned by any angle; each is looked at again,
    larger and straightened, before it counts. What has no colour of skin is no face, unless the photo
    is grey.

    Args:
        pixels: (3, H, W), sRGB-encoded, 0..1.

    Returns:
        Boxes in which a face fills about 75 % of the height from hairline to chin.
    """
    scene = _Scene.of(pixels)
    found = scene.faces()
    for turn in () if found else TURNS:
        found = scene.faces(turn, TURNED_SIDE)
        if found:
            break
    lying = [face.level.angle for face in found if abs(face.level.angle) > UPRIGHT]
    if lying:  # where one lies on the side, others may
        found += scene.faces(float(np.median(lying)), known=[face.level for face in found])
    kept = _apart([(face.seen.score, face.level) for face in found])
    boxes = [_framed(face) for face in found if face.level in kept]
    return sorted(boxes, key=lambda box: -box.size)


@dataclass(frozen=True)
class _Scene:
    """A photo, and as it is searched."""

    pixels: Tensor
    """(3, H, W), sRGB-encoded."""
    reduced: np.ndarray
    """(h, w, 3), float32, sRGB-encoded; blue, green and red."""
    scale: float
    """Its pixels against the photo's."""

    @classmethod
    def of(cls, pixels: Tensor) -> _Scene:
        """Reduce a photo."""
        pixels = pixels.detach().cpu().float()
        scale = min(1.0, SEARCH_SIDE / max(pixels.shape[1:]))
        planes = [_resized(plane, scale) for plane in pixels.numpy()[::-1]]
        return cls(pixels, np.stack(planes, axis=2), scale)

    # Searching -------------------------------------------------------------------------------

    def faces(
        self, turn: float = 0.0, side: int = SEARCH_SIDE, known: Sequence[Place] = ()
    ) -> list[Face]:
        """The faces that are found in the photo turned back by some degrees, but for known ones."""
        places = self._search(side, turn=turn)
        if turn == 0.0:
            places += self._search(CLOSE_SIDE, margin=CLOSE_MARGIN)
        new = [place for place in _apart(places) if not any(map(place.near, known))]
        faces = (straightened(place, self.patch) for place in new)
        return [face for face in faces if face is not None and self.has_skin(face)]

    def _search(
        self, side: int, *, turn: float = 0.0, margin: float = 0.0
    ) -> list[tuple[float, Place]]:
        """Scores and places of what may be a face."""
        longer = max(self.reduced.shape[:2])
        scale = min(side, max(longer, LEAST_SIDE)) / longer
        canvas, to_picture = _canvas(_resized(_eight_bits(self.reduced), scale), turn, margin)
        found = []
        for face in look_for_faces(canvas, PERHAPS):
            x, y = to_picture @ (*face.middle, 1.0) / (scale * self.scale)
            place = Place(float(x), float(y), face.side / (scale * self.scale), turn)
            if place.side >= SMALLEST_FACE * longer / self.scale:
                found.append((face.score, place))
        return found

    # Looking closer --------------------------------------------------------------------------

    def patch(self, place: Place) -> np.ndarray:
        """The square of a place: (PATCH, PATCH, 3), uint8, blue, green and red."""
        to_photo = place.to_photo()
        step = place.side / FACE_IN_PATCH
        if step * self.scale < COARSE and self.scale < 1.0:
            source, scale = self.pixels.numpy()[::-1].transpose(1, 2, 0), 1.0
        else:
            source, scale = self.reduced, self.scale
        corners = np.array([[x, y, 1.0] for x in (0.0, PATCH) for y in (0.0, PATCH)])
        reached = corners @ to_photo.T * scale
        low, high = np.floor(reached.min(axis=0)) - 2, np.ceil(reached.max(axis=0)) + 2
        left, top = np.clip(low, 0, np.array(source.shape[1::-1]) - 1).astype(int)
        right, bottom = np.clip(high, (left + 1, top + 1), source.shape[1::-1]).astype(int)
        part = _resized(source[top:bottom, left:right], min(1.0, 1.0 / (step * scale)))
        shrunk = np.array(part.shape[1::-1]) / (right - left, bottom - top)
        # From the square to that part of the photo.
        there = (to_photo * scale - [[0, 0, left], [0, 0, top]]) * shrunk[:, None]
        return _eight_bits(
            _warped(part, there, (PATCH, PATCH)), margin=(PATCH - FACE_IN_PATCH) // 2
        )

    def has_skin(self, face: Face) -> bool:
        """Whether the middle of a face has a colour of skin, or the photo no colours."""
        if float(np.ptp(self.reduced, axis=2).mean()) <= GREYEST:
            return True
        edge = round(0.5 * PATCH - 0.35 * FACE_IN_PATCH)
        middle = self.patch(face.place)[edge:-edge, edge:-edge, ::-1]
        part = cv2.resize(middle, SKIN_PATCH, interpolation=cv2.INTER_AREA)
        linear = srgb_to_linear(torch.from_numpy(part).permute(2, 0, 1)[None] / 255.0)
        return float(skin_mask(linear).mean()) >= LEAST_SKIN


def _apart(found: Sequence[tuple[float, Place]]) -> list[Place]:
    """Places, the surest first, each once."""
    kept: list[Place] = []
    for _, place in sorted(found, key=lambda one: -one[0]):
        if not any(map(place.near, kept)):
            kept.append(place)
    return kept


def _framed(face: Face) -> Box:
    """The box around a face, framed as the training images are."""
    seen = face.seen
    angle = face.level.angle
    size = WIDEN * seen.side * face.place.side / FACE_IN_PATCH
    # Between the eyes in height, and in the middle of the head across.
    x, y = face.place.to_photo() @ (seen.middle[0], seen.eyes[1], 1.0)
    below, turn = (0.5 - EYES_IN_BOX) * size, math.radians(angle)
    return Box(
        left=round(x - below * math.sin(turn) - size / 2),
        top=round(y + below * math.cos(turn) - size / 2),
        size=round(size),
        angle=round(math.remainder(angle, 360.0), 2),
    )


# Pictures --------------------------------------------------------------------------------------


def _resized(picture: np.ndarray, scale: float) -> np.ndarray:
    """A picture (H, W) or (H, W, 3), smaller or larger."""
    if scale == 1.0:
        return picture
    size = tuple(max(1, round(scale * side)) for side in picture.shape[1::-1])
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)


def _canvas(picture: np.ndarray, turn: float, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned back by some degrees, with some more around, and the way back: (2, 3)."""
    if turn == 0.0 and margin == 0.0:
        return picture, np.eye(2, 3)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    linear = np.array([[cos, -sin], [sin, cos]])
    size = np.array(picture.shape[1::-1])
    whole = np.ceil(np.abs(linear.T) @ size + 2 * margin * size.max()).astype(int)
    back = np.column_stack((linear, size / 2 - linear @ (whole / 2)))
    return _warped(picture, back, (int(whole[0]), int(whole[1]))), back


def _warped(picture: np.ndarray, there: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture of a size (width, height) whose places are those that `there` names in another."""
    linear, shift = there[:, :2], there[:, 2]
    # OpenCV counts from the middle of the first pixel.
    centres = np.column_stack((linear, shift + linear @ (0.5, 0.5) - 0.5))
    return cv2.warpAffine(
        picture,
        centres,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _eight_bits(picture: np.ndarray, margin: int = 0) -> np.ndarray:
    """A picture of floats as the detector takes it, equally bright within a margin at any exposure."""
    within = picture[margin : len(picture) - margin : 4, margin : picture.shape[1] - margin : 4]
    top = float(np.quantile(within.max(axis=2), 0.99))
    gain = min(BRIGHT / max(top, 1e-3), LIFT)
    return (picture * (255.0 * gain)).clip(0, 255).round().astype(np.uint8)
