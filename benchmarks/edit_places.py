"""Where what is in photographs that edits are measured by: landmarks, and the photo's own colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import torch.nn.functional as F
from skimage.color import rgb2lab
from torch import Tensor

from biofacenet.analysis.areas import MARGIN
from biofacenet.evaluation.people.regions import regions_of
from biofacenet.physics.colour import linear_to_srgb
from biofacenet.preparation.landmarks import filled
from biofacenet.preparation.schemes import SCHEMES, about

__all__ = ["encoded", "hairs", "highlights", "places_of", "teeth_of"]

LOW = 192
"""Side of the frame in which places are told by landmarks and colours."""

HAIR = (*range(134, 145), *range(154, 147, -1))
"""Points around hair: the hairline, and back over the top of the head."""

CHIN = 129

SURE = 0.025
"""By which regions keep away from their outlines, in sides of the square: points lie on edges, not within."""

PALE, BRIGHT = 0.6, 1.15
"""Chroma and lightness (L*a*b*), relative to the median of the skin, of highlights."""

SOFT = 1.25
"""Of the outline of lips, about its middle, for soft edges; eyes and brows have the same."""

DARK = 0.6
"""L* of hair that hangs before a face, and of lashes, relative to the skin's median, at most."""

YELLOW, DEVIATIONS = 10.0, 2.5
"""Degrees of hue, and deviations of the skin's own, by which blond hair is yellower."""

MOUTH, MOUTH_RADII = (0.5, 0.665), (0.15, 0.065)
"""Where mouths are in the square that faces are framed in, and their half width and height, in its sides."""

TOOTH, LIT = 0.5, 0.3
"""Logarithm of R to G of teeth at most, and their light at least, relative to the skin's medians."""


def encoded(image: Tensor) -> Tensor:
    """An image, linear sRGB, encoded."""
    return linear_to_srgb(image.clamp(0.0, 1.0))


def places_of(
    points: np.ndarray, image: Tensor, *, own: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Places by landmarks, each (H, W), true or false.

    Args:
        points: (189, 2), landmarks in pixels, perhaps carried over: what expressions leave in its place.
        image: (1, 3, H, W), linear sRGB, of one side.
        own: (189 or 468, 2), landmarks of this very photo; without them only cheeks and forehead are skin.

    Returns:
        Skin, eyes, brows, hair, wall; and of the skin what is at the edge of the lips, and what is hair.
    """
    side = image.shape[-1]
    inner = points if own is None else own
    scheme = SCHEMES[len(inner)]
    low = F.interpolate(image, size=(LOW, LOW), mode="area")
    regions = regions_of(inner * (LOW / side), low, "photo")
    skin = regions.pigment if own is None else regions.mask * (1.0 - regions.lips)
    large = F.interpolate(skin, size=(side, side), mode="nearest")
    found = {"skin": large[0, 0].numpy() > 0}
    apart = max(1, round(SURE * side / (1 + 2 * MARGIN)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * apart + 1, 2 * apart + 1))

    def area(outlines: Iterable[Sequence[int]], by: np.ndarray = inner) -> np.ndarray:
        return filled([by[list(outline)] for outline in outlines], side).astype(np.uint8)

    head = cv2.fillConvexPoly(
        np.zeros((side, side), np.uint8), cv2.convexHull(points.round().astype(np.int32)), 1
    )
    wall = cv2.dilate(head, disc) == 0
    wall[round(points[CHIN, 1]) :] = False
    mouth = filled([about(inner[list(scheme.lips)], SOFT)], side) > 0
    face = area([SCHEMES[len(points)].face], points)
    hair = area([HAIR], points) & (1 - cv2.dilate(face, disc))
    return found | {
        "eyes": area(scheme.eyes) > 0,
        "brows": area(SCHEMES[len(points)].brows, points) > 0,
        "hair": cv2.erode(hair, disc) > 0,
        "wall": wall,
        "edge of lips": found["skin"] & mouth,
        "hairs": hairs(inner, image, found["skin"]),
    }


def hairs(points: np.ndarray, image: Tensor, skin: np.ndarray) -> np.ndarray:
    """What lies within the outline of a face, above the middle of the eyes, and is hair by its colour.

    Outlines by landmarks run over fringes and temples, and take lashes in: what is far darker than the
    face, or yellower, is none of its skin.

    Args:
        points: (189 or 468, 2), landmarks in pixels.
        image: (1, 3, H, W), linear sRGB.
        skin: (H, W), what the outline holds.
    """
    picture = encoded(image)[0].permute(1, 2, 0).numpy()
    lab = rgb2lab(cv2.GaussianBlur(picture, (0, 0), 1.0))
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    light, usual = float(np.median(lab[..., 0][skin])), float(np.median(hue[skin]))
    deviation = 1.5 * float(np.median(np.abs(hue[skin] - usual)))
    eyes = np.concatenate([points[list(eye)] for eye in SCHEMES[len(points)].eyes])
    above = np.arange(skin.shape[0])[:, None] < eyes[:, 1].mean()
    yellow = hue > usual + max(YELLOW, DEVIATIONS * deviation)
    found: np.ndarray = skin & above & ((lab[..., 0] < DARK * light) | yellow)
    return found


def teeth_of(image: Tensor, skin: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Teeth by their colour, where mouths are framed: (H, W), true or false.

    Args:
        image: (1, 3, H, W), linear sRGB, with the square in `rows` and `columns`.
        skin: (H, W), true on skin.
        rows: of the square.
        columns: of the square.
    """
    linear = np.maximum(image[0].numpy(), 1e-3)
    red, light = np.log(linear[0] / linear[1]), linear.mean(axis=0)
    side = rows.stop - rows.start
    centre = (round(columns.start + MOUTH[0] * side), round(rows.start + MOUTH[1] * side))
    axes = (round(MOUTH_RADII[0] * side), round(MOUTH_RADII[1] * side))
    mouth = cv2.ellipse(np.zeros(skin.shape, np.uint8), centre, axes, 0, 0, 360, 1, -1)
    pale = (red < TOOTH * np.median(red[skin])) & (light > LIT * np.median(light[skin]))
    _, pieces = cv2.connectedComponents(((mouth > 0) & pale).astype(np.uint8))
    bright = [
        bool(piece) and np.percentile(light[pieces == piece], 90) > np.median(light[skin])
        for piece in range(int(pieces.max()) + 1)
    ]  # a grey moustache is no row of teeth
    found: np.ndarray = np.array(bright)[pieces]
    return found


def highlights(image: Tensor, skin: np.ndarray) -> np.ndarray:
    """Where a photo shows highlights, by its colours alone: paler than most of the skin, and brighter."""
    lab = rgb2lab(encoded(image)[0].permute(1, 2, 0).numpy()[skin])
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    pale = chroma < PALE * np.median(chroma)
    found = np.zeros_like(skin)
    found[skin] = pale & (lab[:, 0] > BRIGHT * np.median(lab[:, 0]))
    return found
