"""Lips, teeth and the hairs of brows, and how much of the light of an edge is the skin's; (H, W) each."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from ..photos.matting import guided, smooth_step, spread, with_holes_filled

__all__ = [
    "brows",
    "eroded",
    "mouth",
    "share_of_light",
    "skin_between_hairs",
    "skin_light",
    "upper",
]

SOFTNESS = 1e-4
"""Variance of sRGB below which an edge of the photo is none."""

NEAR, OPEN = 0.25, 0.3
"""Share of lips and teeth from which a mouth is near, and share of what is no skin that bounds one."""

FAINT, REDDER = 0.12, (5.0, 10.0)
"""Share from which a mouth may be there, and by how much a* of lips is above that of skin."""

LIKELY = (0.3, 0.7)
"""Shares of mouth from which one is seen, and is sure, relative to its surest."""

LEAST_PIECE = 0.2
"""Of the area of the largest piece of a mouth."""

PALER, DIMMER, BRIGHTER = (0.8, 0.5), (0.7, 0.9), (1.15, 1.4)
"""Of the skin's a* and lightness, what teeth have: less of the first, not much less of the other, or far
more."""

THAN_LIPS = (1.15, 1.35)
"""Lightness of teeth, relative to that of which less has two fifths of the mouth."""

HAIRS = (0.12, 0.75)
"""Light of the darkest hairs of brows, relative to that of the skin around them."""

LEAST_LIGHT = 1e-3

LEAST = 8.0
"""Pixels of eyes and lips from which their middles say something."""

BELOW_EYES = (0.6, 0.45)
"""Of the way from the eyes to the lips, from where on there are no eyes and no brows: nostrils look alike."""

THIN = 0.045
"""How far skin is seen between the hairs of a hairline, in sides of the square."""

LIKE_SKIN = (0.3, 0.65)
"""Light of a hairline, relative to skin, in which no skin is seen between hairs, and in which it is."""


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


def mouth(
    shares: Mapping[str, np.ndarray], body: np.ndarray, picture: np.ndarray, radius: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lips and teeth.

    A network knows where a mouth is better than what is in it: so what is no skin around lips is mouth,
    and what is pale within is teeth. Of some smiles it knows a part; there colours tell the rest.

    Args:
        shares: what a network tells, by part.
        body: of the face, without holes.
        picture: (H, W, 3), sRGB-encoded.
        radius: of edges, in pixels.
    """
    lips, teeth = np.zeros_like(body), np.zeros_like(body)
    rows, columns = (
        np.flatnonzero((shares["lips"] + shares["teeth"] > FAINT).any(axis=axis)) for axis in (1, 0)
    )
    if not len(rows):
        return lips, teeth
    here = tuple(
        slice(max(0, found[0] - 5 * radius), found[-1] + 1 + 5 * radius)
        for found in (rows, columns)
    )
    lips[here], teeth[here] = _mouth_in(
        {name: shares[name][here] for name in ("skin", "lips", "teeth", "hair")},
        picture[here],
        _usual(picture[::2, ::2], (body > 0.9)[::2, ::2] & (shares["skin"] > 0.9)[::2, ::2]),
        radius,
    )
    return lips, teeth


def _usual(picture: np.ndarray, skin: np.ndarray) -> tuple[float, float] | None:
    """Median L* and a* of the skin; None where there is none."""
    if not skin.any():
        return None
    lab = cv2.cvtColor(np.ascontiguousarray(picture[skin][:, None], np.float32), cv2.COLOR_RGB2LAB)
    return max(float(np.median(lab[..., 0])), 1.0), max(float(np.median(lab[..., 1])), 1.0)


def _mouth_in(
    shares: Mapping[str, np.ndarray],
    picture: np.ndarray,
    usual: tuple[float, float] | None,
    radius: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Lips and teeth of a part of a picture; see `mouth`."""
    told, half = shares["lips"] + shares["teeth"], max(1, radius // 2)
    near = eroded(_large_pieces(told > NEAR), -radius) > 0.5
    found = np.where(near, np.maximum(told, 1.0 - shares["skin"] - shares["hair"]), 0.0)
    whole = with_holes_filled(found > OPEN)
    found = np.maximum(found, np.where(found > OPEN, 0.0, whole))
    if whole.any():
        found = found / np.percentile(
            found[whole > 0.0], 90
        )  # of some mouths networks are never sure
    found = guided(picture, smooth_step(found, *LIKELY), half, SOFTNESS)
    teeth = smooth_step(shares["teeth"], 0.2, 0.6)
    if usual is None:
        return found * (1.0 - teeth), teeth
    lab = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB)
    light, red = lab[..., 0] / usual[0], lab[..., 1] / usual[1]
    pale = smooth_step(red, *PALER) * smooth_step(light, *DIMMER)
    pale = np.maximum(pale, smooth_step(red, 1.1, 0.9) * smooth_step(light, *BRIGHTER))
    rest = _smile(told, -2 * radius)
    if rest.any():
        shown = rest * np.maximum(pale, smooth_step(lab[..., 1] - usual[1], *REDDER))
        thin = max(0, half - 1)
        shown = eroded(eroded(shown, thin), -thin)  # no thin pieces, where teeth are not so
        found = np.maximum(found, eroded(eroded(shown, -radius), radius))
    if (found > OPEN).any():
        lips = float(np.percentile(light[found > OPEN], 40))
        pale = pale * smooth_step(light / max(lips, 1e-3), *THAN_LIPS)
    inner = cv2.blur(eroded((found > OPEN).astype(np.float32), half), (2 * half + 1,) * 2)
    teeth = np.maximum(teeth, inner * eroded(eroded(pale, -half), half))
    return found * (1.0 - teeth), teeth


def _smile(told: np.ndarray, radius: int) -> np.ndarray:
    """Around what may be a mouth, where a network is sure of less than half of it; else nothing."""
    faint = (told > FAINT).astype(np.uint8)
    count, pieces = cv2.connectedComponents(faint)
    found = np.zeros_like(told, np.float32)
    if count < 2:
        return found
    weight = np.bincount(pieces.ravel(), (told * faint).ravel())
    points = cv2.findNonZero((pieces == int(np.argmax(weight))).astype(np.uint8))
    hull = cv2.fillConvexPoly(found, cv2.convexHull(points), 1.0)
    if (told > 0.5).sum() >= 0.5 * hull.sum():
        return np.zeros_like(found)
    return eroded(hull, radius)


def _large_pieces(mask: np.ndarray) -> np.ndarray:
    """A mask without what is far smaller than its largest piece: nostrils are no mouths."""
    _, pieces, about, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    large = about[:, cv2.CC_STAT_AREA] >= LEAST_PIECE * about[1:, cv2.CC_STAT_AREA].max(initial=0)
    large[0] = False
    found: np.ndarray = large[pieces].astype(np.float32)
    return found


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
    return smooth_step(far, THIN * side, 0.0) * skin * smooth_step(relative, *LIKE_SKIN)
