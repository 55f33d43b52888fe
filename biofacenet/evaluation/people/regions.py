"""Parts of a face by its landmarks: cheeks, forehead, lips, and where skin is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...photos.skin_pixels import skin_mask
from ...preparation.landmarks import LEFT_EYE, LIPS, MOUTH, RIGHT_EYE, filled

__all__ = ["Regions", "regions_of"]

SHRUNK = 0.92
"""Of the face's outline about its middle, so that hair, ears and background stay outside."""

CHEEK = 0.9

OPENED = 1.25
"""Of eyes and brows, for lashes and soft edges."""

FOREHEAD = (0.3, 0.75)
"""From brows (0) to hairline (1)."""

LEAST = 0.3
"""Share of a region that must have a colour of skin for the rest of it to be left out."""


@dataclass(frozen=True)
class Scheme:
    """Which points go around what. Left and right are those of the picture."""

    face: tuple[int, ...]
    holes: tuple[tuple[int, ...], ...]
    """Eyes and brows."""
    opening: tuple[int, ...]
    """Between the lips."""
    lips: tuple[int, ...]
    left_cheek: tuple[int, ...]
    right_cheek: tuple[int, ...]
    brows: tuple[int, ...]
    """From left to right, above them."""
    hairline: tuple[int, ...]
    """As many, above each."""


WEBMORPH = Scheme(
    face=(
        *(134, 109, 110, 111, 125, 126, 127, 128, 129, 130, 131, 132, 133, 114, 113, 112),
        *(144, 143, 142, 141, 140, 139, 138, 137, 136, 135),
    ),
    holes=(
        (18, 19, 20, 21, 22, 30, 29, 28),
        (23, 24, 25, 26, 27, 33, 32, 31),
        (71, 72, 73, 74, 75, 76, 84, 83),
        (77, 78, 79, 80, 81, 82, 86, 85),
    ),
    opening=(94, 95, 96, 97, 98, 103, 102, 101, 100, 99),
    lips=(87, 88, 89, 90, 91, 92, 93, 108, 107, 106, 105, 104),
    left_cheek=(164, 165, 166, 158, 159, 160, 125, 111),
    right_cheek=(167, 168, 169, 161, 162, 163, 133, 114),
    brows=(73, 74, 75, 78, 79, 80),
    hairline=(136, 137, 138, 140, 141, 142),
)
"""Of 189 points, the template of the Face Research Lab London Set (WebMorph, DeBruine 2018)."""

MEDIAPIPE = Scheme(
    face=(
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ),
    holes=(
        LEFT_EYE,
        RIGHT_EYE,
        (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
        (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    ),
    opening=MOUTH,
    lips=LIPS,
    left_cheek=(117, 118, 101, 36, 206, 207, 187, 147, 123),
    right_cheek=(346, 347, 330, 266, 426, 427, 411, 376, 352),
    brows=(63, 105, 66, 296, 334, 293),
    hairline=(54, 103, 67, 297, 332, 284),
)
"""Of 468 points, the mesh of `biofacenet.preparation.landmarks`."""

SCHEMES = {189: WEBMORPH, 468: MEDIAPIPE}


@dataclass(frozen=True)
class Regions:
    """Where to measure, each (1, 1, S, S), 0 or 1."""

    mask: Tensor
    """Skin of the face, without eyes, brows and the mouth's opening."""
    left_cheek: Tensor
    right_cheek: Tensor
    forehead: Tensor
    lips: Tensor

    @property
    def cheeks(self) -> Tensor:
        """Both."""
        return torch.maximum(self.left_cheek, self.right_cheek)

    @property
    def pigment(self) -> Tensor:
        """Cheeks and forehead, where a person's pigments are averaged."""
        return torch.maximum(self.cheeks, self.forehead)


def _about(outline: np.ndarray, factor: float) -> np.ndarray:
    middle = outline.mean(axis=0)
    scaled: np.ndarray = middle + factor * (outline - middle)
    return scaled


def regions_of(points: np.ndarray, image: Tensor, where: str) -> Regions:
    """The regions of a face.

    Args:
        points: (189, 2) or (468, 2), across and down in pixels of the image.
        image: (1, 3, S, S), linear sRGB; what has no colour of skin is left out of all but the lips.
        where: which photo, for people.

    Raises:
        DataError: the points lie elsewhere, or another number of them.
    """
    scheme = SCHEMES[len(points)]
    size = image.shape[-1]

    def area(*outlines: np.ndarray) -> Tensor:
        return torch.from_numpy(filled(outlines, size).astype(np.float32))[None, None]

    def around(numbers: Sequence[int], factor: float = 1.0) -> np.ndarray:
        return _about(points[list(numbers)], factor)

    holes = area(*(around(hole, OPENED) for hole in scheme.holes))
    opening = area(around(scheme.opening))
    face = area(around(scheme.face, SHRUNK)) * (1.0 - holes) * (1.0 - opening)
    if float(face.mean()) < 0.01:
        raise DataError(
            f"{where}: its landmarks do not lie around the face that is seen; expected pixels of the "
            "upright photo"
        )
    seen = skin_mask(image, region=face, skin="measured")

    def skin(region: Tensor) -> Tensor:
        region = region * (1.0 - holes)
        both = region * seen
        return both if float(both.sum()) >= LEAST * float(region.sum()) else region

    low, high = points[list(scheme.brows)], points[list(scheme.hairline)]
    lower, upper = (low + share * (high - low) for share in FOREHEAD)
    return Regions(
        mask=skin(face),
        left_cheek=skin(area(around(scheme.left_cheek, CHEEK))),
        right_cheek=skin(area(around(scheme.right_cheek, CHEEK))),
        forehead=skin(area(np.concatenate((lower, upper[::-1])))),
        lips=area(around(scheme.lips)) * (1.0 - opening),
    )
