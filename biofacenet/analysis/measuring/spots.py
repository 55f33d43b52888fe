"""Spots of a pigment: number, area and contrast against the skin around them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["FEWEST_EYE_PIXELS", "Spots", "find_spots"]

AROUND = 0.2
"""Of the distance of the eyes: how far the skin around a spot reaches."""

STRONGER = 1.25
"""Pigment of a spot relative to the skin around it, at least."""

CLEARER = 4.0
"""The same in robust standard deviations of the region, so that even texture is no spot."""

SMALLEST, LARGEST = 0.015, 0.2
"""Diameters of spots, of the distance of the eyes, some 63 mm: about 1 to 12 mm."""

FEWEST_EYE_PIXELS = 100.0
"""Distance of the eyes, in pixels of photo and maps, from which the smallest spots can be seen."""

NORMAL = 1.4826
"""Standard deviation of a Gaussian, in median absolute deviations."""


@dataclass(frozen=True)
class Spots:
    """Spots of a region."""

    number: int
    area: float
    """Share of the region, 0..1."""
    contrast: float | None
    """Median over their pixels of the pigment relative to the skin around, less 1; None without spots."""
    mask: np.ndarray
    """(H, W), bool."""


def find_spots(fraction: np.ndarray, inside: np.ndarray, eye_distance: float) -> Spots:
    """Where a region has clearly more of a pigment than around.

    The skin around is a Gaussian mean of the region's pixels alone; where it is another region's edge,
    what lies beyond does not count.

    Args:
        fraction: (H, W), of the pigment, any unit, > 0.
        inside: (H, W), bool, the region.
        eye_distance: in pixels.
    """
    everywhere = np.zeros(inside.shape, bool)
    nothing = Spots(0, 0.0, None, everywhere)
    if not inside.any():
        return nothing
    # The rest of the face is not of the region, and would only take time.
    box = tuple(slice(p.min(), p.max() + 1) for p in np.nonzero(inside))
    fraction, inside = fraction[box], inside[box]
    logs = np.where(inside, np.log(np.maximum(fraction, 1e-9)), 0.0).astype(np.float32)
    weight = inside.astype(np.float32)
    scale = 0.5 * AROUND * eye_distance
    around = _smooth(logs, scale) / np.maximum(_smooth(weight, scale), 1e-6)
    excess = np.where(inside, logs - around, 0.0)
    middle = np.median(excess[inside])
    deviation = NORMAL * float(np.median(np.abs(excess[inside] - middle)))
    threshold = max(float(np.log(STRONGER)), CLEARER * deviation)
    mask = inside & (excess - middle > threshold)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    least, most = (np.pi / 4.0 * (d * eye_distance) ** 2 for d in (SMALLEST, LARGEST))
    areas = facts[:, cv2.CC_STAT_AREA]
    kept = [i for i in range(1, count) if least <= areas[i] <= most]
    if not kept:
        return nothing
    mask = np.isin(labels, kept)
    contrast = float(np.expm1(np.median(excess[mask])))
    everywhere[box] = mask
    return Spots(len(kept), float(mask.sum() / inside.sum()), contrast, everywhere)


def _smooth(plane: np.ndarray, scale: float) -> np.ndarray:
    """A Gaussian mean; beyond the border is nothing."""
    found = cv2.GaussianBlur(plane, (0, 0), max(scale, 0.5), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(found)
