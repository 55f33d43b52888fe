"""The hairs of brows and of grey beards, and how much of the light of an edge is the skin's; (H, W) each."""

from __future__ import annotations

import cv2
import numpy as np

from ..photos.matting import smooth_step, spread

__all__ = [
    "beard",
    "brows",
    "eroded",
    "share_of_light",
    "skin_between_hairs",
    "skin_light",
    "upper",
]

EDGE = 0.012
"""Half the width of the windows in which edges are sought, in sides of the square."""

SOFTNESS = 1e-4
"""Variance of sRGB below which an edge of the photo is none."""

GREYED, GREY_LIGHT, SEEN_LIGHT = (0.35, 0.6), (0.25, 0.4), (0.06, 0.1)
"""Share of uncoloured light from which a beard is grey, and is sure; that light, relative to the skin's, by
which it is no shadow and no dark hair; and the linear light from which a photo has stored colour."""

BEARD, BEARD_EDGE = (0.2, 0.09, 0.4), 0.03
"""Where a beard may be, from the middle of the square: half its width, from where and up to where down, and
the softness of that, in sides of the square."""

DARKER = (0.3, 0.5), (0.1, 0.2)
"""The first two of a moustache over a beard that is grey."""

LEAST_BEARD, LEAST_MOUSTACHE = 0.004, 0.002
"""Area of a grey beard and of a moustache at least, in squares; less is a highlight."""

HAIRS = (0.12, 0.75)
"""Light of the darkest hairs of brows, relative to that of the skin around them."""

LEAST_LIGHT = 1e-3

LEAST = 8.0
"""Pixels of eyes and lips from which their middles say something."""

BELOW_EYES = (0.6, 0.45)
"""Of the way from the eyes to the lips, from where on there are no eyes and no brows: nostrils look alike."""

THIN = 0.045
"""How far skin is seen between the hairs of a hairline, in sides of the square."""

LIKE_SKIN, TOO_BRIGHT = (0.3, 0.65), (2.0, 1.4)
"""Light of a hairline, relative to skin, in which no skin is seen between hairs, and in which it is: of dark
hair, and of walls and cloth."""


def eroded(plane: np.ndarray, radius: int) -> np.ndarray:
    """The least within a radius, or with a negative radius the most."""
    size = 2 * abs(radius) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    plane = np.ascontiguousarray(plane, np.float32)
    return cv2.dilate(plane, disc) if radius < 0 else cv2.erode(plane, disc)


def upper(eyes: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """1 where eyes and brows may be, 0 towards the mouth; 1 everywhere where either is not seen."""
    height, width = eyes.shape
    down, across = np.mgrid[:height, :width].astype(np.float32)
    middles = []
    for plane in (eyes, lips):
        sure = np.where(plane > 0.5, plane, 0.0)
        whole = float(sure.sum())
        if whole < LEAST:
            return np.ones_like(eyes, np.float32)
        middles.append(np.array([(sure * x).sum() / whole for x in (across, down)]))
    way = middles[1] - middles[0]
    length = max(float(way @ way), 1.0)
    share = ((across - middles[0][0]) * way[0] + (down - middles[0][1]) * way[1]) / length
    return smooth_step(share, *BELOW_EYES)


def skin_light(light: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Light of the skin (H, W), going on to where there is none.

    Args:
        light: (H, W), linear luminance.
        body: where skin is.
    """
    return spread(light[..., None], (body > 0.95).astype(np.float32))[..., 0]


def brows(share: np.ndarray, body: np.ndarray, light: np.ndarray, radius: int) -> np.ndarray:
    """The hairs of brows, as the share of a pixel's light that is not the skin's.

    Near a brow a pixel is a mixture of hairs, as dark as its darkest are, and skin like that around it.
    """
    near = smooth_step(eroded(share, -max(1, radius // 2)), 0.1, 0.4)
    core = share > 0.6
    if not core.any():
        return near * 0.0
    around = body * (eroded(1.0 - share, radius) > 0.9)
    usual = spread(light[..., None], around)[..., 0]
    relative = np.clip(light / np.maximum(usual, LEAST_LIGHT), 0.0, 1.0)
    hair = float(np.clip(np.percentile(relative[core], 10), *HAIRS))
    relative = np.maximum(relative, hair)
    found: np.ndarray = near * (1.0 - (relative - hair) / ((1.0 - hair) * relative))
    return found.astype(np.float32)


def beard(
    body: np.ndarray, skin: np.ndarray, mouth: np.ndarray, picture: np.ndarray, side: int
) -> np.ndarray:
    """A grey beard, as the share of a pixel's light that has no colour: (H, W), 0..1.

    White hairs among others take no pigment of the skin: with it they would turn brown.

    Args:
        body: (H, W), of the face.
        skin: (H, W), how likely skin is by a network.
        mouth: (H, W), of lips and teeth, which are no beard.
        picture: (3, H, W), linear sRGB.
        side: of the square of the face, which lies in the middle, in pixels.
    """
    found = np.zeros_like(body)
    zone = _beard_zone(body.shape, side)
    known = (skin > 0.95) & (body > 0.95) & (zone == 0.0)
    rows, columns = (np.flatnonzero((zone * body).any(axis=axis)) for axis in (1, 0))
    if not known.any() or not len(rows):
        return found
    light = np.maximum(picture.mean(axis=0), LEAST_LIGHT)
    colour = (picture[0] - picture[1]) / light
    usual, lit = float(np.median(colour[known])), float(np.median(light[known]))
    here = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    around = 2 * max(1, round(EDGE * side / 3)) + 1  # photos store colours coarsely
    colour = cv2.blur(colour[here].astype(np.float32), (around, around))
    grey = np.clip(1.0 - colour / max(usual, 0.02), 0.0, 1.0)
    inside = eroded(body, round(2 * EDGE * side))[here]  # beside a wall, its light is in the skin's
    room = (zone * (1.0 - mouth))[here] * inside * smooth_step(light[here], *SEEN_LIGHT)
    sure, darker = (
        room * smooth_step(grey, *greyed) * smooth_step(grey * light[here] / lit, *lightness)
        for greyed, lightness in ((GREYED, GREY_LIGHT), DARKER)
    )
    kept = sure * _pieces_of(sure, LEAST_BEARD * side**2)
    if kept.any():  # then a moustache that is darker is grey, too
        kept = np.maximum(kept, darker * _pieces_of(darker, LEAST_MOUSTACHE * side**2))
    found[here] = kept * grey
    return found


def _pieces_of(share: np.ndarray, area: float) -> np.ndarray:
    """Where pieces of a share lie that sum up to an area at least: (H, W), 0 or 1."""
    _, pieces = cv2.connectedComponents((share > 0.25).astype(np.uint8))
    large = np.bincount(pieces.ravel(), share.ravel()) >= area
    large[0] = False
    return eroded(large[pieces].astype(np.float32), -1)


def _beard_zone(shape: tuple[int, ...], side: int) -> np.ndarray:
    """Where a beard may be: (H, W), 0..1."""
    height, width = shape
    down, across = np.mgrid[:height, :width].astype(np.float32) + 0.5
    x, y = np.abs(across - width / 2) / side, (down - height / 2) / side
    wide, top, bottom = BEARD
    found: np.ndarray = smooth_step(x, wide, wide - BEARD_EDGE)
    found = found * smooth_step(y, top, top + BEARD_EDGE)
    return found * smooth_step(y, bottom, bottom - BEARD_EDGE)


def share_of_light(body: np.ndarray, light: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The share of a pixel's light that comes of skin, where skin covers a share of its area.

    Skin before dark hair gives more of the light than of the area, before a bright wall less; so edges
    that are edited by it have neither rims nor halos.

    Args:
        body: (H, W), 0..1, share of the area.
        light: (H, W), linear luminance.
        usual: (H, W), of the skin, from `skin_light`.
    """
    other = spread(light[..., None], (body < 0.05).astype(np.float32))[..., 0]
    ours, theirs = body * usual, (1.0 - body) * np.maximum(other, 0.0)
    found: np.ndarray = ours / np.maximum(ours + theirs, LEAST_LIGHT)
    return np.where(body < 1.0, np.clip(found, 0.0, 1.0), 1.0).astype(np.float32)


def skin_between_hairs(
    body: np.ndarray, skin: np.ndarray, relative: np.ndarray, side: int
) -> np.ndarray:
    """Skin that is seen between the hairs of a hairline: fading outward from the face.

    Args:
        body: (H, W), of the face.
        skin: (H, W), how likely skin is by a network.
        relative: (H, W), light, beside the skin's.
        side: of the square, in pixels.
    """
    far = cv2.distanceTransform((body < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    lit = smooth_step(relative, *LIKE_SKIN) * smooth_step(relative, *TOO_BRIGHT)
    return smooth_step(far, THIN * side, 0.0) * skin * lit
