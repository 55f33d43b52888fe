"""Regions of a face: a template laid by the eyes and the lips, cut with the skin that is seen there.

The template's places are (across, down): across in distances of the eyes from the middle between them,
down in distances from that middle to the lips. So it follows faces of any proportion, turned or seen from
aside, without landmarks. Left and right are the person's own, as in anatomy: the left cheek is at the
picture's right, unless the photo is mirrored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from ...decomposition import Decomposition
from ...decomposition.parts import PART_NAMES, part_index
from ...photos.skin_pixels import EYES, MOUTH
from ...physics.colour import luminance
from ..mouths import one_mouth
from ..results import Result

__all__ = ["MIRRORED", "REGIONS", "WHOLE", "Placement", "Regions", "place", "regions_of"]

WHOLE = "skin"

REGIONS: Mapping[str, str] = {
    WHOLE: "all skin of face, ears and neck that is seen, as `predict` counts it; no lips",
    "forehead": "above the brows, to below the hairline",
    "left_cheek": "of the person; at the picture's right",
    "right_cheek": "of the person; at the picture's left",
    "nose": "bridge and tip, without the wings",
    "chin": "below the lips, without its edge",
    "around_eyes": "below and beside both eyes, without lids, lashes and brows",
    "lips": "both, closed or open, without teeth",
    "neck": "below the chin and its shadow",
}
"""Each region of the table, in its order, and what it is."""

MIRRORED: Mapping[str, str] = {"left_cheek": "right_cheek", "right_cheek": "left_cheek"}
"""The region on the other side; of others it is their own other half."""

ELLIPSES: Mapping[str, tuple[tuple[float, float, float, float], ...]] = {
    "forehead": ((0.0, -0.68, 0.55, 0.27),),
    "left_cheek": ((0.62, 0.56, 0.27, 0.27),),
    "right_cheek": ((-0.62, 0.56, 0.27, 0.27),),
    "nose": ((0.0, 0.31, 0.14, 0.26),),
    "chin": ((0.0, 1.43, 0.36, 0.18),),
    "around_eyes": ((0.52, 0.12, 0.36, 0.22), (-0.52, 0.12, 0.36, 0.22)),
}
"""Middle (across, down) and half axes of the ellipses of a region, in the template's units; the chin's is
that below closed lips, and goes down with the lower lip. From the neutral photos of 37 people of the Face
Research Lab London Set."""

CLOSED_LIPS = 1.15
"""How far down closed lips reach."""

EYE_HOLES = ((0.5, -0.04, 0.36, 0.21), (-0.5, -0.04, 0.36, 0.21))
"""Eyes with lids and lashes, which are not around them."""

LIDS = ((0.5, -0.02, 0.27, 0.15), (-0.5, -0.02, 0.27, 0.15))
"""Upper lids, above the middle of the eye: no region of the table, but where make-up shows."""

LID_EDGE = 0.2
"""Share of eye at which a lid ends."""

NECK = (-0.5, 1.95, 0.5, 2.5)
"""Left, top, right and bottom."""

LEAST_SHARE = 0.5
"""Of a part, at which a pixel is of it."""

RIM = 0.04
"""Of the distance of the eyes, by which skin ends inside its edge: there, pixels are half something else."""

GRAZING = 0.25
"""Least z of a normal: skin seen more from aside shows little and far off."""

FARTHEST = 0.15
"""How far the middle between the eyes may be from where faces have it in their square, in its sides."""

NEAREST_EYES, FARTHEST_EYES, STEEPEST_EYES = 0.1, 0.45, 0.6
"""Distance of a pair of eyes, in sides of the picture, and slope of the line through them."""

FLOOR = 1e-3
"""Least linear light that a logarithm is taken of."""

FEWEST_ALIKE = 50
"""Pixels that tell what colour the skin has."""

FEWEST = 6
"""Pixels of an eye or of lips whose middle counts."""

LIPS_BELOW = 0.96
"""How far the lips are below the middle of the eyes, in distances of the eyes, as in `EYES` and `MOUTH`."""

MOUTH_ZONE = (-0.8, 0.55, 0.8, 1.75)
"""Left, top, right and bottom of where lips can be."""

NARROWEST = 0.45
"""Width of lips, in distances of the eyes, below which they are not seen as a whole, and their middle is
taken to be below that of the eyes."""

OTHER_COLOUR, OTHER_LIGHT = 0.36, 1.0
"""Distance of log R/G and log B/G from the medians of cheeks and nose beyond which a pixel is no skin, and by
how much log luminance may be below theirs: on forehead and neck, where networks take hair for skin."""

SMALLEST_PIECE = 0.3
"""Of the largest piece of a region."""

By = Literal["parts", "eyes", "square"]


@dataclass(frozen=True)
class Placement:
    """Where the template lies: (x, y) in pixels of the maps."""

    right_eye: np.ndarray
    """(2,), the person's right one."""
    left_eye: np.ndarray
    lips: np.ndarray
    by: By
    """``parts``: by eyes and lips that were seen; ``eyes``: by these alone, lips where faces have them;
    ``square``: by where faces have all of them in their square."""

    @property
    def eye_distance(self) -> float:
        """Pixels of the maps."""
        return float(np.linalg.norm(self.left_eye - self.right_eye))

    @property
    def middle(self) -> np.ndarray:
        """(2,), between the eyes."""
        return np.asarray(0.5 * (self.left_eye + self.right_eye))

    def coordinates(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The template's across and down of each pixel: (height, width) each."""
        axes = np.column_stack((self.left_eye - self.right_eye, self.lips - self.middle))
        y, x = np.mgrid[0:height, 0:width] + 0.5
        offsets = np.stack((x - self.middle[0], y - self.middle[1]), axis=-1)
        found = offsets @ np.linalg.inv(axes).T
        return found[..., 0], found[..., 1]


@dataclass(frozen=True)
class Regions:
    """Where to measure a face."""

    placement: Placement | None
    """None where there is no face to lay the template on; then all is the whole skin."""
    masks: Mapping[str, Tensor]
    """By name, in the order of `REGIONS`: (1, 1, H, W), 0 or 1; may be empty."""
    left_half: Tensor
    """(1, 1, H, W), 1 left of the midline, as the person has it."""
    lids: Tensor
    """(1, 1, H, W), upper lids, where eyes are told."""


def place(found: Decomposition, *, square: bool) -> Placement | None:
    """Lay the template over the first image.

    Args:
        found: maps; parts tell of eyes and lips, where they are known.
        square: whether the picture is the square of a face, which has eyes and mouth at known places.
    """
    height, width = found.melanin.shape[2:]
    right, left, lips = expected = [np.array(place) * (width, height) for place in (*EYES, MOUTH)]
    if found.parts is not None:
        seen = _by_parts(found, expected if square else None)
        if seen is not None:
            return seen
    return Placement(right, left, lips, by="square") if square else None


def _by_parts(found: Decomposition, expected: list[np.ndarray] | None) -> Placement | None:
    """By the middles of eyes and lips; None where they are not seen, or not where a face has them."""
    assert found.parts is not None
    height, width = found.melanin.shape[2:]
    pair = _pair(_middles(found.parts[0, part_index("eyes")]), expected, max(height, width))
    if pair is None:
        return None
    right, left = pair
    below = LIPS_BELOW * np.array([right[1] - left[1], left[0] - right[0]])
    rough = Placement(right, left, 0.5 * (right + left) + below, by="eyes")
    across, down = rough.coordinates(height, width)
    lips = _lips(found, across, down)
    if int(lips.sum()) < FEWEST:
        return None if expected is None else rough
    start, end = np.quantile(across[lips], (0.02, 0.98))
    aside = float(across[lips].mean()) if end - start >= NARROWEST else 0.0
    middle = rough.middle + aside * (left - right) + float(down[lips].mean()) * below
    return Placement(right, left, np.asarray(middle), by="parts")


def _mouth(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Where lips can be: networks see them also in red collars."""
    left, top, right, bottom = MOUTH_ZONE
    return (across > left) & (across < right) & (down > top) & (down < bottom)


def _pair(
    eyes: list[tuple[np.ndarray, int]], expected: list[np.ndarray] | None, side: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Middles of the right and the left eye among pieces of that part: the largest that can be a pair."""
    best, found = 0, None
    for one, other in combinations(sorted(eyes, key=lambda eye: float(eye[0][0])), 2):
        across = other[0] - one[0]
        wide, level = float(np.linalg.norm(across)) / side, STEEPEST_EYES * float(across[0])
        # One straight above the other is no pair.
        if not (NEAREST_EYES < wide < FARTHEST_EYES and abs(float(across[1])) < level):
            continue
        if expected is not None:
            off = 0.5 * (one[0] + other[0] - expected[0] - expected[1])
            if float(np.linalg.norm(off)) > FARTHEST * side:
                continue
        if min(one[1], other[1]) > best:
            best, found = min(one[1], other[1]), (one[0], other[0])
    return found


def _middles(share: Tensor) -> list[tuple[np.ndarray, int]]:
    """Middle (x, y) and size of each piece of a part, (H, W)."""
    mask = (share > LEAST_SHARE).cpu().numpy().astype(np.uint8)
    count, _, facts, middles = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    return [(middles[i] + 0.5, int(areas[i])) for i in range(1, count) if int(areas[i]) >= FEWEST]


def regions_of(result: Result) -> Regions:
    """The regions of a face, at the resolution of its maps.

    Args:
        result: of a part of a photo, by any method. With parts, skin and lips are theirs; without, skin
            is what has its colour, and lips are not told.
    """
    found = result.decomposition
    height, width = found.melanin.shape[2:]
    whole = result.counted
    laid = place(found, square=result.part.is_face)
    if laid is None:
        empty = torch.zeros_like(whole)
        others = {name: empty for name in REGIONS if name != WHOLE}
        return Regions(None, {WHOLE: whole, **others}, empty, empty)
    across, down = laid.coordinates(height, width)
    usable = _usable(found, whole, laid)
    lips = _lips(found, across, down)
    opened = max(0.0, _lower_lip(lips, across, down) - CLOSED_LIPS)
    shapes = {
        name: _inside(across, down - opened if name == "chin" else down, ellipses)
        for name, ellipses in ELLIPSES.items()
    }
    shapes["around_eyes"] &= ~_inside(across, down, EYE_HOLES)
    for name in ("left_cheek", "right_cheek", "nose"):
        shapes["around_eyes"] &= ~shapes[name]
    left, top, right, bottom = NECK
    shapes["neck"] = (across > left) & (across < right) & (down > top) & (down < bottom)
    usable &= ~_filled(lips)
    masks = {name: shape & usable for name, shape in shapes.items()}
    middle = masks["left_cheek"] | masks["right_cheek"] | masks["nose"]
    skin: np.ndarray = _alike(result.image, middle) & (whole[0, 0].cpu().numpy() > 0.5)
    masks["neck"] = _large_pieces(masks["neck"] & skin)
    # Fair hair is told by that it does not hang together with the face.
    below_hair = masks["forehead"] & _reached(skin, middle)
    masks["forehead"] = below_hair if below_hair.any() else _large_pieces(masks["forehead"] & skin)
    masks["lips"] = lips
    ordered = {name: _plane(masks[name]) for name in REGIONS if name != WHOLE}
    lids = _inside(across, down, LIDS) & (down < 0.0) & _beside_eyes(found)
    return Regions(laid, {WHOLE: whole, **ordered}, _plane(across > 0.0), _plane(lids))


def _plane(mask: np.ndarray) -> Tensor:
    return torch.from_numpy(mask.astype(np.float32))[None, None]


def _inside(
    across: np.ndarray, down: np.ndarray, ellipses: tuple[tuple[float, float, float, float], ...]
) -> np.ndarray:
    found = np.zeros(across.shape, bool)
    for x, y, wide, tall in ellipses:
        found |= ((across - x) / wide) ** 2 + ((down - y) / tall) ** 2 <= 1.0
    return found


def _usable(found: Decomposition, whole: Tensor, laid: Placement) -> np.ndarray:
    """Skin without its rim and without what is seen from aside."""
    skin: np.ndarray = whole[0, 0].cpu().numpy() > 0.5
    size = max(1, round(RIM * laid.eye_distance))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
    inner = cv2.erode(skin.astype(np.uint8), disc, borderValue=1).astype(bool)
    if found.normals is not None:
        facing: np.ndarray = found.normals[0, 2].cpu().numpy() > GRAZING
        inner &= facing
    return inner


def _lips(found: Decomposition, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Lips where they can be: networks see some also in red collars, and in creases below a chin."""
    if found.parts is None:
        return np.zeros(across.shape, bool)
    shares = {
        name: share.cpu().numpy() for name, share in zip(PART_NAMES, found.parts[0], strict=True)
    }
    seen = one_mouth(shares, max(across.shape))["lips"] > LEAST_SHARE
    return seen & _mouth(across, down)


def _alike(image: Tensor, sure: np.ndarray) -> np.ndarray:
    """Which pixels of linear (1, 3, H, W) are not far from the colour of those that are surely skin."""
    if int(sure.sum()) < FEWEST_ALIKE:
        return np.ones_like(sure)
    logs = np.log(np.maximum(image[0].numpy(), FLOOR))
    light = np.log(np.maximum(luminance(image)[0, 0].numpy(), FLOOR))
    planes = (logs[0] - logs[1], logs[2] - logs[1], light)
    red, blue, light = (plane - np.median(plane[sure]) for plane in planes)
    found: np.ndarray = (np.hypot(red, blue) < OTHER_COLOUR) & (light > -OTHER_LIGHT)
    return found


def _reached(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The pieces of a mask that seeds lie in."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    found: np.ndarray = np.isin(labels, np.unique(labels[mask & seeds])) & mask
    return found


def _large_pieces(mask: np.ndarray) -> np.ndarray:
    """A region without its small pieces."""
    _, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA].astype(float)
    areas[0] = 0.0
    large = (areas >= SMALLEST_PIECE * areas.max()) & (areas > 0.0)
    found: np.ndarray = large[labels]
    return found


def _beside_eyes(found: Decomposition) -> np.ndarray:
    """Skin that is surely no eye, whatever its colour (lids may be painted); nowhere without parts."""
    if found.parts is None:
        return np.zeros(tuple(found.melanin.shape[2:]), bool)
    skin, eyes = (found.parts[0, part_index(name)].cpu().numpy() for name in ("skin", "eyes"))
    beside: np.ndarray = (skin > 0.5) & (eyes < LID_EDGE)
    return beside


def _lower_lip(lips: np.ndarray, across: np.ndarray, down: np.ndarray) -> float:
    """How far down the lips reach in their middle; as closed ones do where none are seen."""
    middle = down[lips & (np.abs(across) < 0.2)]
    return float(np.quantile(middle, 0.98)) if middle.size >= FEWEST else CLOSED_LIPS


def _filled(mask: np.ndarray) -> np.ndarray:
    """With all that lies within its outline: teeth and tongue are no skin."""
    found = np.zeros(mask.shape, np.uint8)
    if mask.any():
        places = np.argwhere(mask)[:, ::-1].astype(np.int32)
        cv2.fillConvexPoly(found, cv2.convexHull(np.ascontiguousarray(places)), 1)
    return found.astype(bool)
