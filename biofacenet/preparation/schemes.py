"""Which points of a set of landmarks go around what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .landmarks import LEFT_EYE, LIPS, MOUTH, RIGHT_EYE

__all__ = ["SCHEMES", "Scheme", "about"]


@dataclass(frozen=True)
class Scheme:
    """Which points go around what. Left and right are those of the picture."""

    face: tuple[int, ...]
    eyes: tuple[tuple[int, ...], ...]
    brows: tuple[tuple[int, ...], ...]
    opening: tuple[int, ...]
    """Between the lips."""
    lips: tuple[int, ...]
    left_cheek: tuple[int, ...]
    right_cheek: tuple[int, ...]
    above_brows: tuple[int, ...]
    """From left to right."""
    hairline: tuple[int, ...]
    """As many, above each."""

    @property
    def holes(self) -> tuple[tuple[int, ...], ...]:
        """Eyes and brows."""
        return (*self.eyes, *self.brows)


WEBMORPH = Scheme(
    face=(
        *(134, 109, 110, 111, 125, 126, 127, 128, 129, 130, 131, 132, 133, 114, 113, 112),
        *(144, 143, 142, 141, 140, 139, 138, 137, 136, 135),
    ),
    eyes=((18, 19, 20, 21, 22, 30, 29, 28), (23, 24, 25, 26, 27, 33, 32, 31)),
    brows=(
        (71, 72, 73, 74, 75, 76, 84, 83),
        (77, 78, 79, 80, 81, 82, 86, 85),
    ),
    opening=(94, 95, 96, 97, 98, 103, 102, 101, 100, 99),
    lips=(87, 88, 89, 90, 91, 92, 93, 108, 107, 106, 105, 104),
    left_cheek=(164, 165, 166, 158, 159, 160, 125, 111),
    right_cheek=(167, 168, 169, 161, 162, 163, 133, 114),
    above_brows=(73, 74, 75, 78, 79, 80),
    hairline=(136, 137, 138, 140, 141, 142),
)
"""Of 189 points, the template of the Face Research Lab London Set (WebMorph, DeBruine 2018)."""

MEDIAPIPE = Scheme(
    face=(
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ),
    eyes=(LEFT_EYE, RIGHT_EYE),
    brows=(
        (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
        (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    ),
    opening=MOUTH,
    lips=LIPS,
    left_cheek=(117, 118, 101, 36, 206, 207, 187, 147, 123),
    right_cheek=(346, 347, 330, 266, 426, 427, 411, 376, 352),
    above_brows=(63, 105, 66, 296, 334, 293),
    hairline=(54, 103, 67, 297, 332, 284),
)
"""Of 468 points, the mesh of `biofacenet.preparation.landmarks`."""

SCHEMES = {189: WEBMORPH, 468: MEDIAPIPE}


def about(outline: np.ndarray, factor: float) -> np.ndarray:
    """An outline (N, 2), enlarged about its middle."""
    middle = outline.mean(axis=0)
    scaled: np.ndarray = middle + factor * (outline - middle)
    return scaled
