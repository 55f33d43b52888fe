"""Glasses by their colours: networks that learned of drawn ones miss many real frames."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..photos.matting import smooth_step
from .face_places import eyes_of

__all__ = ["spectacles"]

ACROSS, ABOVE, BELOW = 1.15, -0.4, 0.5
"""Where glasses may be, about the middle between the eyes, in distances of the eyes."""

NOSE = (0.3, 0.15)
"""Half the width of the nose, and from where down it shines, in the same unit: no glasses there."""

GREY = (0.35, 0.15)
"""Saturation relative to the skin's from which metal and reflections differ, and are sure."""

ODD, LEAST_ODD = (5.0, 7.0), 0.4
"""Distance of log(R/G), log(B/G) from the skin's, in its usual deviations, from which plastic differs; and
the least such distance."""

BRIGHT, DARK = (1.7, 2.3), (0.3, 0.15)
"""Light beside that of the skin around: of metal, and of black frames and dark lenses."""

LEAST_SKIN = 64
"""Pixels of skin from which its colour is known."""


def spectacles(
    shares: Mapping[str, np.ndarray],
    body: np.ndarray,
    picture: np.ndarray,
    relative: np.ndarray,
    side: int,
) -> np.ndarray:
    """What is around the eyes and has no colour or light of the face's skin: (H, W), 0..1.

    Frames, reflections and dark lenses; paint around eyes, too. Nothing where no eyes are seen.

    Args:
        shares: what a network tells, by part.
        body: of the face, without holes.
        picture: (3, H, W), linear sRGB.
        relative: (H, W), light beside that of the skin around.
        side: of the square of the face, in pixels.
    """
    found = np.zeros_like(body)
    eyes = eyes_of(shares["eyes"], side)
    if eyes is None:
        return found
    zone = _zone(eyes, body.shape)
    rows, columns = (np.flatnonzero(zone.any(axis=axis)) for axis in (1, 0))
    skin = (body > 0.95) & (shares["skin"] > 0.95)
    if skin[zone == 0.0].sum() < LEAST_SKIN or not len(rows):
        return found
    here = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    ratios = _ratios(picture[:, here[0], here[1]])
    known = _ratios(picture[:, skin & (zone == 0.0)][:, None, :])[0]
    middle = np.median(known, axis=0)
    usual = float(np.median(np.linalg.norm(known - middle, axis=1)))
    saturation = (ratios @ middle) / max(float(middle @ middle), 1e-3)
    away = np.linalg.norm(ratios - middle, axis=2) / max(usual, LEAST_ODD / ODD[0])
    light = relative[here]
    strange = np.maximum.reduce(
        [
            smooth_step(saturation, *GREY),
            smooth_step(away, *ODD),
            smooth_step(light, *BRIGHT),
            smooth_step(light, *DARK),
        ]
    )
    found[here] = strange * (zone * body)[here]
    return found


def _ratios(picture: np.ndarray) -> np.ndarray:
    """log(R/G) and log(B/G): (H, W, 2)."""
    logs = np.log(np.maximum(picture, 1e-3))
    return np.stack((logs[0] - logs[1], logs[2] - logs[1]), axis=-1)


def _zone(eyes: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Where glasses may be: (H, W), 0..1."""
    left, right = eyes
    middle, along = (left + right) / 2, right - left
    square = float(along @ along)
    down, across = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5
    x = ((across - middle[0]) * along[0] + (down - middle[1]) * along[1]) / square
    y = ((down - middle[1]) * along[0] - (across - middle[0]) * along[1]) / square
    beside = smooth_step(np.abs(x), ACROSS, ACROSS - 0.05)
    found = beside * smooth_step(y, ABOVE, ABOVE + 0.05) * smooth_step(y, BELOW, BELOW - 0.05)
    nose = smooth_step(np.abs(x), NOSE[0], NOSE[0] - 0.05) * smooth_step(y, NOSE[1], NOSE[1] + 0.05)
    return np.asarray(found * (1.0 - nose), np.float32)
