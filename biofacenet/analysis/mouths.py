"""Lips and teeth: a network tells them coarsely, the photo's colours where they end; (H, W) each."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from ..photos.matting import guided, smooth_step, with_holes_filled
from .face_places import eyes_of, usual_places
from .features import SOFTNESS, eroded

__all__ = ["mouth", "one_mouth"]

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

TOOTH, SHADED = (0.75, 0.5), (0.3, 0.45)
"""Redness of teeth, relative to the skin's, in whatever shade, and their least lightness: in the corners of a
smile they are dark."""

LESS_THAN_LIPS = (0.8, 0.6)
"""Redness of teeth, relative to that of which more has a quarter of the mouth: pale lips are no teeth."""

REDDENED = (1.25, 1.5)
"""Redness of lips around teeth, relative to the skin's."""

MOUTH, MOUTH_RADII = 0.96, (0.55, 0.24)
"""How far a mouth lies below the middle of the eyes, and half its width and height, in distances of eyes."""

APART, BESIDE, FAR = 0.33, 0.25, 0.7
"""Distances of eyes by which a second mouth lies below the first at least, share of the surest piece that a
mouth has at least, and how far below where it must be there is none."""

SKIN = 0.8
"""Share of skin that parts two mouths."""

WITHIN = 0.5
"""Share of a row of teeth that a network takes for mouth, at least: grey hairs above one look alike."""

FLAT = 1.5
"""How much wider than tall teeth are at least, where no mouth was told of."""

LEAST_CODE, LEAST_REDNESS = 0.02, 0.03
"""Of sRGB, for ratios; and of skin, below which a picture has no colours that tell teeth."""


def mouth(
    shares: Mapping[str, np.ndarray],
    body: np.ndarray,
    picture: np.ndarray,
    radius: int,
    side: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Lips and teeth.

    A network knows where a mouth is better than what is in it: so what is no skin around lips is mouth,
    and what is pale within is teeth, in shade too. Of some smiles it knows a part, or nothing; there colours
    tell the rest.

    Args:
        shares: what a network tells, by part.
        body: of the face, without holes.
        picture: (H, W, 3), sRGB-encoded.
        radius: of edges, in pixels.
        side: of the square of the face, in pixels.
    """
    lips, teeth = np.zeros_like(body), np.zeros_like(body)
    told = shares["lips"] + shares["teeth"]
    below = None if (told > LIKELY[1]).any() else _below_eyes(shares["eyes"], side)
    where = told > FAINT if below is None else (told > FAINT) | (below > 0.0)
    rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
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
        None if below is None else below[here],
    )
    return lips, teeth


def one_mouth(shares: Mapping[str, np.ndarray], side: int) -> dict[str, np.ndarray]:
    """Shares of skin, lips and teeth with one mouth.

    What a network sees of them below it, with skin between, is skin, such as a red chin or a hollow of the
    throat.

    Args:
        shares: what a network tells, by part, (H, W) each.
        side: of the square of the face, which lies in the middle, in pixels.
    """
    names = ("skin", "lips", "teeth")
    told = shares["lips"] + shares["teeth"]
    count, pieces, _, middles = cv2.connectedComponentsWithStats((told > FAINT).astype(np.uint8))
    expected, along = _expected_mouth(shares["eyes"], side)
    length = float(np.hypot(*along))
    downward = np.array((-along[1], along[0])) / length
    down = (middles - expected) @ downward / length
    weights = np.bincount(pieces.ravel(), told.ravel(), minlength=count)
    weights[0] = 0.0
    likely = (weights >= BESIDE * weights.max()) & (weights > 0.0)
    if not likely.any():
        return {name: shares[name] for name in names}
    first = int(np.argmin(np.where(likely, np.abs(down), np.inf)))
    other = (down > FAR) | (down > down[first] + APART)
    for piece in np.flatnonzero(other & (down <= FAR)):
        other[piece] = _skin_between(shares["skin"], middles[first], middles[piece])
    other[0] = False
    changed = other[pieces].astype(np.float32)
    around = eroded(changed, -1) * (told <= FAINT) + changed  # and what is fainter at its edge
    return {
        "skin": shares["skin"] + around * told,
        "lips": (1.0 - around) * shares["lips"],
        "teeth": (1.0 - around) * shares["teeth"],
    }


def _expected_mouth(eyes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of a mouth must be, by the eyes, and the way from one eye to the other."""
    height, width = eyes.shape
    left, right = eyes_of(eyes, side) or usual_places(height, width, side)[:2]
    along = right - left
    return (left + right) / 2 + MOUTH * np.array((-along[1], along[0])), along


def _skin_between(skin: np.ndarray, first: np.ndarray, second: np.ndarray) -> bool:
    """Whether skin lies on the way from one place, across and down, to another."""
    way = np.linspace(first, second, 64)
    columns, rows = np.round(way).astype(int).T
    seen = skin[rows.clip(0, skin.shape[0] - 1), columns.clip(0, skin.shape[1] - 1)]
    return bool(seen.max() > SKIN)


def _below_eyes(eyes: np.ndarray, side: int) -> np.ndarray | None:
    """Where a mouth must be by the eyes: (H, W), 0 or 1; None where they are not seen."""
    seen = eyes_of(eyes, side)
    if seen is None:
        return None
    along = seen[1] - seen[0]
    middle = (seen[0] + seen[1]) / 2 + MOUTH * np.array((-along[1], along[0]))
    length = float(np.hypot(*along))
    axes = tuple(round(share * length) for share in MOUTH_RADII)
    turn = float(np.degrees(np.arctan2(along[1], along[0])))
    centre = (round(float(middle[0])), round(float(middle[1])))
    found: np.ndarray = cv2.ellipse(np.zeros_like(eyes), centre, axes, turn, 0, 360, 1.0, -1)
    return found


def _redness(picture: np.ndarray) -> np.ndarray:
    """Logarithm of R to G, which shadows leave as it is: (H, W)."""
    found: np.ndarray = np.log(
        np.maximum(picture[..., 0], LEAST_CODE) / np.maximum(picture[..., 1], LEAST_CODE)
    )
    return found


def _usual(picture: np.ndarray, skin: np.ndarray) -> tuple[float, float, float] | None:
    """Median L*, a* and redness of the skin; None where there is none."""
    if not skin.any():
        return None
    pixels = np.ascontiguousarray(picture[skin][:, None], np.float32)
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    light, red = (max(float(np.median(lab[..., k])), 1.0) for k in (0, 1))
    return light, red, max(float(np.median(_redness(pixels))), LEAST_REDNESS)


def _mouth_in(
    shares: Mapping[str, np.ndarray],
    picture: np.ndarray,
    usual: tuple[float, float, float] | None,
    radius: int,
    below: np.ndarray | None,
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
    found, pale = _coloured(told, found, picture, usual, radius)
    inner = cv2.blur(eroded((found > OPEN).astype(np.float32), half), (2 * half + 1,) * 2)
    teeth = np.maximum(teeth, inner * eroded(eroded(pale, -half), half))
    shade, around = _shaded_teeth(found, picture, usual, radius, below)
    teeth, found = np.maximum(teeth, shade), np.maximum(found, around)
    return found * (1.0 - teeth), teeth


def _coloured(
    told: np.ndarray,
    found: np.ndarray,
    picture: np.ndarray,
    usual: tuple[float, float, float],
    radius: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The mouth with what its colours tell beyond a network, and how pale its pixels are, as lit teeth."""
    half = max(1, radius // 2)
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
    return found, pale


def _shaded_teeth(
    found: np.ndarray,
    picture: np.ndarray,
    usual: tuple[float, float, float],
    radius: int,
    below: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Teeth in whatever shade, also beside a mouth that is told too small, and the lips around them.

    Where no mouth is told of, they must be bright, and a row.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB)
    light, red = lab[..., 0] / usual[0], _redness(picture) / usual[2]
    near = eroded((found > OPEN).astype(np.float32), -radius) if below is None else below
    if usual[2] <= LEAST_REDNESS:
        return np.zeros_like(found), np.zeros_like(found)
    mouth = found > OPEN if below is None else below > 0.0
    lips = float(np.percentile(red[mouth], 75)) if mouth.any() else 1.0
    lips = max(lips, LEAST_REDNESS)
    pale = near * smooth_step(red, *TOOTH) * smooth_step(light, *SHADED)
    pale *= smooth_step(red / lips, *LESS_THAN_LIPS)
    count, pieces, about, _ = cv2.connectedComponentsWithStats((pale > 0.5).astype(np.uint8))
    kept = np.zeros_like(found)
    for piece in range(1, count):
        wide, tall, area = about[piece, cv2.CC_STAT_WIDTH : cv2.CC_STAT_AREA + 1]
        here = pieces == piece
        row = wide >= FLAT * tall and area >= 4 * radius**2 and np.median(light[here]) > 1.0
        inside = (found[here] > OPEN).mean() >= WITHIN
        if area >= radius**2 and (inside if below is None else row):
            kept[here] = 1.0
    points = cv2.findNonZero(kept.astype(np.uint8))
    if points is None:
        return kept, kept
    zone = cv2.fillConvexPoly(np.zeros_like(found), cv2.convexHull(points), 1.0)
    around = eroded(zone, -2 * radius) * smooth_step(red, *REDDENED)
    return eroded(kept, -1) * pale, cv2.blur(around, (3, 3))


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
