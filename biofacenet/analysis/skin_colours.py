"""What of a picture has, or has not, the colours of the skin that is known in it."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["brighter", "oddness", "yellower"]

BRIGHTER = 20.0
"""L* by which cloth of another hue is brighter than the face at least, to be no skin beyond the square."""

LEAST_DEVIATION = 2.0
"""Of a* and b*."""

LEAST_HUE, LEAST_CHROMA = 12.0, 4.0
"""Degrees by which blond hair is yellower than skin at least, and chroma from which a hue is one (L*a*b*)."""


def oddness(picture: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """How far a colour is from that of most of the skin, in its usual deviations: (H, W)."""
    lab = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB)
    known = skin > 0.95
    if known.sum() < 16:
        return np.zeros(skin.shape, np.float32)
    away = np.zeros(skin.shape, np.float32)
    for channel in (1, 2):
        values = lab[..., channel]
        middle = np.median(values[known])
        usual = max(1.5 * float(np.median(np.abs(values[known] - middle))), LEAST_DEVIATION)
        away += ((values - middle) / usual) ** 2
    return np.sqrt(away)


def brighter(picture: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """What is brighter than the skin and most highlights on it, as white cloth beside dark skin: (H, W)."""
    light = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB)[..., 0]
    known = skin > 0.95
    if known.sum() < 16:
        return np.zeros(skin.shape, bool)
    found: np.ndarray = light > np.quantile(light[known], 0.98) + BRIGHTER
    return found


def yellower(picture: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Where the hue is farther from red than that of the skin, as blond hair's is: (H, W)."""
    lab = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    coloured = np.hypot(lab[..., 1], lab[..., 2]) > LEAST_CHROMA
    known = (skin > 0.95) & coloured
    if known.sum() < 16:
        return np.zeros(skin.shape, bool)
    middle = np.median(hue[known])
    usual = 1.5 * float(np.median(np.abs(hue[known] - middle)))
    return coloured & (hue > middle + max(LEAST_HUE, 2.0 * usual))
