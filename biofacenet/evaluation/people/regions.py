"""Parts of a face by its landmarks: cheeks, forehead, lips, and where skin is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...photos.skin_pixels import skin_mask
from ...preparation.landmarks import filled
from ...preparation.schemes import SCHEMES, about

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
        return about(points[list(numbers)], factor)

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

    low, high = points[list(scheme.above_brows)], points[list(scheme.hairline)]
    lower, upper = (low + share * (high - low) for share in FOREHEAD)
    return Regions(
        mask=skin(face),
        left_cheek=skin(area(around(scheme.left_cheek, CHEEK))),
        right_cheek=skin(area(around(scheme.right_cheek, CHEEK))),
        forehead=skin(area(np.concatenate((lower, upper[::-1])))),
        lips=area(around(scheme.lips)) * (1.0 - opening),
    )
