"""Grey cards and ColorCheckers in photos: found by their shape, known by their colours.

A ColorChecker is a grid of even squares, 6 by 4, whose colours are those of the chart under some light; a
grey card is one even, colourless rectangle with straight edges. The package colour-checker-detection does
the former with more methods, but installs opencv-python, whose files lie where those of
opencv-python-headless do, which this package needs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from ..errors import PhotoError
from ..physics.colour import srgb_to_linear
from ..system.names import shown
from .reading import Photo
from .white_choice import REFLECTANCES

__all__ = ["COLUMNS", "NEUTRAL", "PATCHES", "ROWS", "Card", "find_card"]

SIDE = 1200
"""Longer side at which charts are looked for."""

ROWS, COLUMNS = 4, 6

PATCHES = np.array(
    [
        *((0.174, 0.079, 0.053), (0.559, 0.277, 0.212), (0.105, 0.190, 0.327)),
        *((0.105, 0.150, 0.052), (0.229, 0.214, 0.423), (0.114, 0.507, 0.412)),
        *((0.745, 0.202, 0.033), (0.061, 0.103, 0.384), (0.561, 0.081, 0.114)),
        *((0.110, 0.043, 0.137), (0.330, 0.495, 0.049), (0.769, 0.357, 0.025)),
        *((0.023, 0.049, 0.281), (0.044, 0.291, 0.065), (0.446, 0.037, 0.041)),
        *((0.838, 0.572, 0.013), (0.524, 0.079, 0.287), (0.000, 0.234, 0.375)),
        *((0.879, 0.885, 0.835), (0.584, 0.592, 0.585), (0.358, 0.367, 0.365)),
        *((0.190, 0.191, 0.190), (0.086, 0.089, 0.090), (0.031, 0.031, 0.032)),
    ]
).reshape(ROWS, COLUMNS, 3)
"""Linear sRGB of the chart's patches under D65, row by row from "dark skin": X-Rite's figures for charts made
after November 2014, as colour-science (CCS_COLOURCHECKERS) has them."""

NEUTRAL = (3, 1)
"""Row and column of the patch that light is read from: neutral 8, which is seldom overexposed."""

FEWEST = 12
"""Squares of a grid that must be seen."""

COLOUR_ERROR = 0.35
"""Root mean square of log colour beside the chart's, up to a factor for each channel: cameras have tone
curves and colours of their own."""

CARD_SHARES = (0.003, 0.3)
"""Least and most of a photo that a grey card takes."""

LONGEST = 2.5
"""Longer by shorter side."""

EVEN = 0.06
"""Standard deviation of a card's light, relative."""

COLOURLESS = 0.8
"""Log of strongest by weakest channel of what may be grey."""

DIMMEST = 0.03
"""Linear light of a card."""

FILLED = 0.92
"""Share of its upright or turned rectangle that a card fills."""


@dataclass(frozen=True)
class Card:
    """What was found."""

    kind: Literal["card", "checker"]
    box: tuple[int, int, int, int]
    """Left, top, width and height within the card or the patch, in pixels of the photo."""
    reflectance: float
    greys: tuple[tuple[float, tuple[int, int, int, int]], ...] = ()
    """Reflectance and box of each neutral patch of a ColorChecker, from white to black."""


@dataclass(frozen=True)
class _Quad:
    """A convex outline of four corners."""

    corners: np.ndarray
    """(4, 2)."""
    centre: np.ndarray
    side: float
    """Root of its area."""


def find_card(photo: Photo) -> Card:
    """The ColorChecker of a photo, else its grey card.

    Raises:
        PhotoError: there is none, or more than one rectangle may be a grey card. One line.
    """
    scale = min(1.0, SIDE / max(photo.height, photo.width))
    size = (max(1, round(scale * photo.width)), max(1, round(scale * photo.height)))
    encoded = np.ascontiguousarray(photo.pixels.permute(1, 2, 0).numpy())
    encoded = cv2.resize(encoded, size, interpolation=cv2.INTER_AREA)
    linear = srgb_to_linear(photo.pixels.new_tensor(encoded)).numpy()
    quads = _quads((255.0 * encoded).astype(np.uint8))
    checker = _checker(quads, linear)
    if checker is not None:
        shares = PATCHES[NEUTRAL[0]].mean(axis=1).tolist()
        boxes = [_in_photo(box, scale) for box in checker]
        greys = tuple(zip(shares, boxes, strict=True))
        return Card("checker", boxes[NEUTRAL[1]], shares[NEUTRAL[1]], greys)
    cards = _cards(quads, linear)
    if len(cards) == 1:
        return Card("card", _in_photo(cards[0], scale), REFLECTANCES["grey"])
    remedy = (
        "name it by --white LEFT,TOP,WIDTH,HEIGHT, or leave --white out and have relative levels"
    )
    if cards:
        places = "; ".join(",".join(map(str, _in_photo(card, scale))) for card in cards[:3])
        raise PhotoError(
            f"{shown(photo.path)}: {len(cards)} rectangles may be a grey card ({places}); expected one, "
            f"{remedy}"
        )
    raise PhotoError(
        f"{shown(photo.path)}: no ColorChecker and no grey card found; expected one whole, even and not "
        f"hidden, {remedy}"
    )


def _in_photo(box: tuple[float, float, float, float], scale: float) -> tuple[int, int, int, int]:
    left, top, width, height = (value / scale for value in box)
    return round(left), round(top), max(4, int(width)), max(4, int(height))


def _quads(picture: np.ndarray) -> list[_Quad]:
    """Outlines of four corners, at several thresholds of each channel; each place once."""
    found: list[_Quad] = []
    least = (0.006 * max(picture.shape[:2])) ** 2
    kernel = np.ones((3, 3), np.uint8)
    for plane in (*cv2.split(picture), cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)):
        edges = cv2.dilate(cv2.Canny(cv2.GaussianBlur(plane, (0, 0), 1.0), 15, 45), kernel)
        block = max(15, max(picture.shape[:2]) // 20 | 1)
        levels = cv2.adaptiveThreshold(
            plane, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, 4
        )
        for mask in (255 - edges, levels, 255 - levels):
            outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
            for outline in outlines:
                quad = _quad(outline, least)
                if quad is not None and not any(_same(quad, other) for other in found):
                    found.append(quad)
    return found


def _quad(outline: np.ndarray, least: float) -> _Quad | None:
    if cv2.contourArea(outline) < least:
        return None
    corners = cv2.approxPolyDP(outline, 0.06 * cv2.arcLength(outline, True), True)
    if len(corners) != 4 or not cv2.isContourConvex(corners):
        return None
    points = corners[:, 0].astype(float)
    area = float(cv2.contourArea(corners))
    if area < least or area < 0.85 * cv2.contourArea(cv2.convexHull(outline)):
        return None
    sides = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    if sides.max() > 2.0 * LONGEST * sides.min():
        return None
    return _Quad(points, points.mean(axis=0), area**0.5)


def _same(one: _Quad, other: _Quad) -> bool:
    near = np.linalg.norm(one.centre - other.centre) < 0.25 * min(one.side, other.side)
    return bool(near) and 0.75 < one.side / other.side < 1.33


# A ColorChecker ------------------------------------------------------------------------------


def _checker(
    quads: list[_Quad], linear: np.ndarray
) -> list[tuple[float, float, float, float]] | None:
    """Boxes of the neutral patches of the chart whose colours fit best, from white to black."""
    best: tuple[float, np.ndarray, float] | None = None
    for seed in quads:
        alike = [one for one in quads if 0.75 < one.side / seed.side < 1.33]
        places = _grid(seed, alike)
        if len(places) < FEWEST:
            continue
        for matrix in _layings(places):
            error = _colour_error(matrix, linear)
            if error < COLOUR_ERROR and (best is None or error < best[0]):
                best = (error, matrix, seed.side)
        if best is not None and best[0] < 0.5 * COLOUR_ERROR:
            break
    if best is None:
        return None
    middles = _at(best[1], np.array([[column, NEUTRAL[0]] for column in range(COLUMNS)], float))
    half = 0.25 * best[2]
    return [(float(x - half), float(y - half), 2.0 * half, 2.0 * half) for x, y in middles]


def _grid(seed: _Quad, alike: list[_Quad]) -> dict[tuple[int, int], np.ndarray]:
    """Squares by their column and row in the grid that a square begins, from neighbour to neighbour."""
    centres = np.array([one.centre for one in alike])
    first, second = seed.corners[1] - seed.corners[0], seed.corners[2] - seed.corners[1]
    axes = np.stack((first, second))
    steps = []
    for axis in axes / np.linalg.norm(axes, axis=1, keepdims=True):
        off = centres - seed.centre
        along = off @ axis
        aside = np.linalg.norm(off - along[:, None] * axis, axis=1)
        near = (np.abs(along) < 1.7 * seed.side) & (np.abs(along) > 0.9 * seed.side)
        near &= aside < 0.3 * seed.side
        if not near.any():
            return {}
        steps.append(np.mean(off[near] * np.sign(along[near])[:, None], axis=0))
    places = {(0, 0): seed.centre}
    waiting = [(0, 0)]
    while waiting:
        here = waiting.pop()
        for (i, j), step in (
            ((1, 0), steps[0]),
            ((-1, 0), -steps[0]),
            ((0, 1), steps[1]),
            ((0, -1), -steps[1]),
        ):
            there = (here[0] + i, here[1] + j)
            if there in places or max(abs(there[0]), abs(there[1])) > COLUMNS:
                continue
            off = np.linalg.norm(centres - places[here] - step, axis=1)
            if off.min() < 0.3 * seed.side:
                places[there] = centres[off.argmin()]
                waiting.append(there)
    return places


def _layings(places: dict[tuple[int, int], np.ndarray]) -> list[np.ndarray]:
    """Maps (3, 3) from column and row of the chart to the picture, of all ways in which squares fit it."""
    cells = np.array(list(places), float)
    points = np.array(list(places.values()))
    found = []
    for transposed, across, down in itertools.product((False, True), (1, -1), (1, -1)):
        turned = (cells[:, ::-1] if transposed else cells) * (across, down)
        turned = turned - turned.min(axis=0)
        wide, tall = turned.max(axis=0) + 1
        if wide > COLUMNS or tall > ROWS or min(wide, tall) < 2:
            continue
        for i, j in itertools.product(range(int(COLUMNS - wide) + 1), range(int(ROWS - tall) + 1)):
            matrix, _ = cv2.findHomography(turned + np.array((i, j)), points)
            if matrix is not None:
                found.append(np.asarray(matrix))
    return found


def _at(matrix: np.ndarray, cells: np.ndarray) -> np.ndarray:
    found = np.column_stack((cells, np.ones(len(cells)))) @ matrix.T
    places: np.ndarray = found[:, :2] / found[:, 2:]
    return places


def _colour_error(matrix: np.ndarray, linear: np.ndarray) -> float:
    """Of log colours at the middles of the patches beside the chart's, under any light."""
    cells = np.array([[column, row] for row in range(ROWS) for column in range(COLUMNS)], float)
    places = np.rint(_at(matrix, cells))
    height, width = linear.shape[:2]
    if not np.isfinite(places).all():
        return float("inf")
    x, y = places.astype(int).T
    if x.min() < 1 or y.min() < 1 or x.max() > width - 2 or y.max() > height - 2:
        return float("inf")
    seen = np.mean([linear[y + b, x + a] for a in (-1, 0, 1) for b in (-1, 0, 1)], axis=0)
    off = np.log(seen + 0.02) - np.log(PATCHES.reshape(-1, 3) * _brightest(seen) + 0.02)
    off -= np.median(off, axis=0)
    return float(np.sqrt(np.mean(off**2)))


def _brightest(seen: np.ndarray) -> np.ndarray:
    """Factor of each channel by the chart's neutral patches."""
    row, column = NEUTRAL
    index = row * COLUMNS + column
    factor: np.ndarray = seen[index] / PATCHES.reshape(-1, 3)[index]
    return factor


# A grey card ---------------------------------------------------------------------------------


def _cards(quads: list[_Quad], linear: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Boxes within rectangles that may be grey cards, the largest first; of nested ones the outer."""
    height, width = linear.shape[:2]
    found: list[tuple[_Quad, tuple[float, float, float, float]]] = []
    for quad in sorted(quads, key=lambda one: -one.side):
        share = quad.side**2 / (height * width)
        (_, _), (a, b), _ = cv2.minAreaRect(quad.corners.astype(np.float32))
        if not CARD_SHARES[0] <= share <= CARD_SHARES[1] or max(a, b) > LONGEST * min(a, b):
            continue
        if quad.side**2 < FILLED * a * b:
            continue
        if any(_within(quad.centre, other.corners) for other, _ in found):
            continue
        inner = quad.centre + 0.8 * (quad.corners - quad.centre)
        mask = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(mask, inner.round().astype(np.int32), 1)
        pixels = linear[mask > 0]
        middle = np.median(pixels, axis=0)
        if middle.min() < DIMMEST or np.log(middle.max() / middle.min()) > COLOURLESS:
            continue
        if (pixels.std(axis=0) / middle).max() > EVEN or (pixels > 0.97).any(axis=1).mean() > 0.02:
            continue
        # An upright box within a rectangle that may be turned.
        half = 0.25 * min(a, b)
        x, y = quad.centre
        found.append((quad, (float(x - half), float(y - half), 2.0 * half, 2.0 * half)))
    return [box for _, box in found]


def _within(point: np.ndarray, corners: np.ndarray) -> bool:
    where = cv2.pointPolygonTest(
        corners.astype(np.float32), (float(point[0]), float(point[1])), measureDist=False
    )
    return bool(where >= 0)
