"""Cheeks, forehead, nose, chin and neck, from where eyes and lips are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..photos.matting import smooth_step

__all__ = ["eyes_of", "places", "usual_places"]

USUAL_EYES, USUAL_LIPS = (0.365, 0.405, 0.635), (0.5, 0.665)
"""Of the square that faces are framed in, in sides: across of one, down, across of the other."""

LEAST = 4.0
"""Pixels of a part from which its middle says something."""

# In units of the distance between the eyes across, and from the eyes to the lips down: middle, radii.
CHEEKS = ((-0.62, 0.68), (0.62, 0.68)), (0.45, 0.42)
NOSE = ((0.0, 0.42),), (0.26, 0.52)
FOREHEAD = ((0.0, -0.78),), (1.1, 0.6)
CHIN = ((0.0, 1.48),), (0.62, 0.3)

NECK = (1.65, 1.95)
"""From where on, downward, skin is that of the neck."""


def places(shares: Mapping[str, np.ndarray], side: int) -> dict[str, np.ndarray]:
    """Weights (H, W), 0..1, of places of a face; they overlap nowhere.

    Args:
        shares: (H, W), how likely eyes and lips are, among others.
        side: longer side of the square in which faces are framed, in pixels; it lies in the middle.
    """
    height, width = shares["eyes"].shape
    eyes, lips = eyes_of(shares["eyes"], side), _middle(shares["lips"])
    usual = usual_places(height, width, side)
    left, right = eyes or usual[:2]
    lips = usual[2] if lips is None else lips
    between = (left + right) / 2
    along, downward = (right - left), lips - between
    axes = np.stack((along, downward), axis=1)
    if abs(np.linalg.det(axes)) < 1e-3 * side**2:
        left, right, lips = usual
        between, axes = (left + right) / 2, np.stack((right - left, lips - (left + right) / 2), 1)
    down, across = np.mgrid[:height, :width].astype(np.float32) + 0.5
    inverse = np.linalg.inv(axes)
    x, y = (row[0] * (across - between[0]) + row[1] * (down - between[1]) for row in inverse)

    def ellipses(
        middles: tuple[tuple[float, float], ...], radii: tuple[float, float]
    ) -> np.ndarray:
        away = [np.hypot((x - u) / radii[0], (y - v) / radii[1]) for u, v in middles]
        return smooth_step(np.minimum.reduce(away), 1.25, 0.75)

    neck = smooth_step(y, *NECK)
    nose = ellipses(*NOSE)
    found = {
        "nose": nose,
        "cheeks": ellipses(*CHEEKS) * (1.0 - nose),
        "forehead": ellipses(*FOREHEAD),
        "chin": ellipses(*CHIN),
    }
    return {name: plane * (1.0 - neck) for name, plane in found.items()} | {"neck": neck}


def usual_places(height: int, width: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where eyes and lips are in a framed square."""
    corner = np.array((width - side, height - side)) / 2
    first, down, second = USUAL_EYES
    spots = (first, down), (second, down), USUAL_LIPS
    left, right, lips = (corner + side * np.array(spot) for spot in spots)
    return left, right, lips


def eyes_of(share: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The middles of both eyes, the one that is left in the picture first."""
    middle = _middle(share)
    if middle is None:
        return None
    columns = np.arange(share.shape[1]) + 0.5
    left = _middle(share * (columns < middle[0]))
    right = _middle(share * (columns >= middle[0]))
    if left is None or right is None or right[0] - left[0] < 0.1 * side:
        return None
    return left, right


def _middle(share: np.ndarray) -> np.ndarray | None:
    """Across and down of where a part is on average, if there is enough of it."""
    sure = np.where(share > 0.5, share, 0.0)
    whole = float(sure.sum())
    if whole < LEAST:
        return None
    across, down = sure.sum(axis=0), sure.sum(axis=1)
    return np.array(
        (
            (across * (np.arange(len(across)) + 0.5)).sum() / whole,
            (down * (np.arange(len(down)) + 0.5)).sum() / whole,
        )
    )
