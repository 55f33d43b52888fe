"""Parts of a picture of a face by the outlines that its landmarks draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..decomposition.parts import UNLABELLED, part_index
from .landmarks import filled
from .schemes import SCHEMES, about

__all__ = ["parts_of_mesh", "parts_of_points"]

INNER, OUTER = 0.85, 1.35
"""Of an outline about its middle: within, a pixel shows the part; beyond, it shows skin. Between, outlines
by hand and soft edges leave it open."""

FACE = 0.9
"""Of the face's outline, within which there is skin and no hair, ear or background."""

LEAST_OPENING = 0.06
"""Area between the lips against that within their outline; less shows no teeth."""

LEAST_LIGHT = 1e-3
"""Of linear RGB, for ratios."""

PALE = 0.5
"""Logarithm of R to G of teeth at most, relative to the skin's median."""

DARK = 0.5
"""Light of brows at most, relative to the skin's median."""

AROUND_BROWS = 1.8
"""Of the brows' outlines about their middles: a mesh is off by up to their height."""


def parts_of_points(points: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Labels of a picture by the landmarks of its face: (S, S), uint8, most of it `UNLABELLED`.

    Args:
        points: (189, 2) or (468, 2), across and down in pixels of the picture.
        skin: (S, S), bool, where it has a colour of skin.
    """
    scheme, size = SCHEMES[len(points)], len(skin)

    def area(outlines: Iterable[Sequence[int]], factor: float) -> np.ndarray:
        return filled([about(points[list(outline)], factor) for outline in outlines], size)

    labels = np.full((size, size), UNLABELLED, np.uint8)
    others = (*scheme.eyes, *scheme.brows, scheme.lips)
    labels[area([scheme.face], FACE) & ~area(others, OUTER) & skin] = part_index("skin")
    labels[area(scheme.brows, INNER)] = part_index("brows")
    labels[area(scheme.eyes, INNER)] = part_index("eyes")
    # Lips are too thin to be shrunk about their middle; what they share with the mouth stays open.
    labels[area([scheme.lips], 1.0)] = UNLABELLED
    labels[area([scheme.lips], 0.97) & ~area([scheme.opening], 1.2)] = part_index("lips")
    opening, lips = (_area(points[list(ring)]) for ring in (scheme.opening, scheme.lips))
    if opening >= LEAST_OPENING * lips > 0.0:
        labels[area([scheme.opening], INNER)] = part_index("teeth")
    return labels


def _area(outline: np.ndarray) -> float:
    """Of a polygon (N, 2)."""
    x, y = outline.T
    return 0.5 * abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1)))


def parts_of_mesh(points: np.ndarray, skin: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The same by the mesh of `biofacenet.preparation.landmarks`: (S, S), uint8.

    A mesh sees lips, however they smile, and eyes, but brows only about, and often an opening between closed
    lips: brows are what is dark in their outlines, and teeth what is pale between the lips.

    Args:
        points: (468, 2), across and down in pixels of the picture.
        skin: (S, S), bool, where it has a colour of skin.
        image: (3, S, S), linear sRGB.
    """
    labels = parts_of_points(points, skin)
    outlines = [points[list(outline)] for outline in SCHEMES[len(points)].brows]
    here = skin & (labels == part_index("skin"))
    near = filled([about(outline, AROUND_BROWS) for outline in outlines], len(skin))
    labels[(near & here) | (labels == part_index("brows"))] = UNLABELLED
    if not here.any():
        return labels
    light = image.mean(axis=0)
    dark = light < DARK * float(np.median(light[here]))
    labels[filled(outlines, len(skin)) & dark] = part_index("brows")
    red = np.log(np.maximum(image[0], LEAST_LIGHT) / np.maximum(image[1], LEAST_LIGHT))
    pale = red < PALE * float(np.median(red[here]))
    labels[(labels == part_index("teeth")) & ~pale] = UNLABELLED
    return labels
