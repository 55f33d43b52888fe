"""Where skin, lips, eyes and hair are in a photo, with soft edges, also beyond the square of the face.

A network tells the parts of the square, coarsely. The photo's own colours say where their edges are, fill
what a highlight or a shadow made a hole of, and carry the skin on over the neck and the ears, where it
fades with the distance from the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition.parts import part_index
from ..photos.boxes import Box, Part
from ..photos.framing import cut
from ..photos.matting import grown, guided, smooth_step, with_holes_filled
from ..photos.reading import Photo
from ..physics.colour import linear_to_srgb, luminance
from ..system.device import plain_defaults
from .face_places import places
from .features import (
    EDGE,
    SOFTNESS,
    beard,
    brows,
    eroded,
    share_of_light,
    skin_between_hairs,
    skin_light,
    upper,
)
from .mouths import mouth, one_mouth
from .skin_colours import brighter, oddness, yellower
from .spectacles import spectacles

__all__ = ["MARGIN", "Areas", "Frame", "areas_of", "frame_of", "skin_seen", "within"]

MARGIN = 0.45
"""How far skin is followed beyond the square, in sides of it."""

FADING = (0.62, 0.9)
"""Distance from the square's middle at which skin begins to fade, and has faded, in sides of it."""

LOW = 160
"""Longer side of the square while skin is grown."""

COUNTED = 128
"""Longer side at which skin is sought for numbers and sheets: a little more than networks see."""

BODY = ("skin", "lips", "brows", "eyes", "teeth", "glasses")
"""Parts of which the mask of a face has no holes."""

SURE, NEVER = 0.85, 0.25
"""Share of these parts from which a pixel certainly belongs to the face, and up to which it does not."""

DEEP = 0.1
"""Distance from the face's outline from which it is skin whatever its colour, in sides of the square."""

HAIRLINE = -0.16
"""Down from the square's middle, in sides, to where a hairline may be."""

ALIKE, ODD = 3.0, 3.0
"""Deviations of colour up to which skin is sure, and from which it is not skin in shadow."""

BORDER = 0.12
"""Width over which what is known within the square gives way to what goes on beyond it, in sides."""

BELOW_HAIR, BESIDE_CHEEKS = 0.15, 0.28
"""From the square's middle down and to the side, in sides, from where on what is yellower than skin is no
hair, and is no cheek."""


@dataclass(frozen=True)
class Frame:
    """A part of a photo with room around it, in pixels of the size of the part's maps."""

    box: Box
    """In the photo."""
    picture: Tensor
    """(1, 3, H, W), linear sRGB."""
    rows: slice
    columns: slice
    """Where the part itself lies."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.picture.shape[2], self.picture.shape[3]

    @property
    def side(self) -> int:
        """Longer side of the part, in pixels of the frame."""
        return max(self.rows.stop - self.rows.start, self.columns.stop - self.columns.start)

    def on(self, photo: Photo) -> tuple[slice, slice]:
        """Rows and columns that lie on a photo, by the frame's middle lines; the part's if none do."""
        height, width = self.size
        matrix = self.box.to_photo(height, width)
        middle = np.array((width / 2, height / 2))
        found = []
        for axis, (count, part) in enumerate(((width, self.columns), (height, self.rows))):
            places = np.tile(middle, (count, 1))
            places[:, axis] = np.arange(count) + 0.5
            x, y = matrix[:, :2] @ places.T + matrix[:, 2:]
            there = np.flatnonzero((x > 0) & (x < photo.width) & (y > 0) & (y < photo.height))
            found.append(slice(int(there[0]), int(there[-1]) + 1) if len(there) else part)
        return found[1], found[0]

    def placed(self, values: Tensor) -> Tensor:
        """Planes (1, C, h, w) of the part in the frame: (1, C, H, W), 0 around it."""
        found = values.new_zeros(1, values.shape[1], *self.size)
        found[:, :, self.rows, self.columns] = values
        return found


@plain_defaults()
def frame_of(photo: Photo, part: Part, height: int, width: int, *, margin: float = MARGIN) -> Frame:
    """The frame of a part whose maps have a height and a width, with a margin in sides of the part."""
    box = part.box
    longer = max(box.width, box.height)
    room = 0 if part.kind == "whole" else round(margin * longer)
    around = round(room * max(height, width) / longer)
    wide = Box(
        box.left - room, box.top - room, box.width + 2 * room, box.angle, box.height + 2 * room
    )
    tall, across = height + 2 * around, width + 2 * around
    picture = cut(photo, wide, max(tall, across))
    if picture.shape[2:] != (tall, across):  # a side that is rounded the other way
        picture = F.interpolate(picture, size=(tall, across), mode="bilinear")
    rows, columns = slice(around, around + height), slice(around, around + width)
    return Frame(wide, picture, rows, columns)


@dataclass(frozen=True)
class Areas:
    """Weights (1, 1, H, W), 0..1, of the pixels of a frame."""

    skin: Tensor
    """Without lips, brows, eyes, teeth and glasses."""
    lips: Tensor
    brows: Tensor
    eyes: Tensor
    teeth: Tensor
    hair: Tensor
    glasses: Tensor
    head: Tensor
    """All of it, hair and features included."""
    cheeks: Tensor
    forehead: Tensor
    nose: Tensor
    chin: Tensor
    neck: Tensor
    """Parts of the skin; what is left of it belongs to none of them."""

    def within(self, frame: Frame, smaller: Frame) -> Areas:
        """The same in another frame of the same part, with less room around it."""
        top = frame.rows.start - smaller.rows.start
        left = frame.columns.start - smaller.columns.start
        height, width = smaller.size
        here = (..., slice(top, top + height), slice(left, left + width))
        return Areas(**{name: plane[here].clone() for name, plane in vars(self).items()})


@plain_defaults()
def areas_of(
    frame: Frame, parts: Tensor, photo: Photo | None = None, others: Sequence[Box] = ()
) -> Areas:
    """Where what is in a frame.

    Args:
        frame: from `frame_of`.
        parts: (1, 9, h, w), probabilities of parts in the square, of any size.
        photo: that the frame was cut from; beyond its border is nothing.
        others: squares of other faces in the photo, whose skin is theirs.
    """
    shares = {name: _plane(frame, parts, name) for name in (*BODY, "hair", "cloth", "background")}
    shares |= one_mouth(shares, frame.side)
    picture = linear_to_srgb(frame.picture[0].clamp(0.0, 1.0)).permute(1, 2, 0).cpu().numpy()
    light = luminance(frame.picture)[0, 0].cpu().numpy()
    whole = _whole(frame, shares, picture)
    radius = max(1, round(EDGE * frame.side))
    body = guided(picture, whole, radius, SOFTNESS)
    usual = skin_light(light, body)
    relative = light / np.maximum(usual, 1e-3)
    border = within(frame)
    thin = border * skin_between_hairs(body, shares["skin"], relative, frame.side)
    near = _nearness(frame, photo, others)
    lit = share_of_light(np.maximum(body, thin), light, usual) * near
    body = body * near
    above = upper(shares["eyes"], shares["lips"])
    eyes, glasses = (smooth_step(shares[name], 0.2, 0.6) for name in ("eyes", "glasses"))
    eyes = eyes * above
    linear = frame.picture[0].cpu().numpy()
    told = spectacles(shares, body, linear, relative, frame.side) * (1.0 - eyes)
    glasses = np.maximum(glasses, told)
    lips, teeth = mouth(shares, body, picture, radius, frame.side)
    white = beard(body, shares["skin"], np.maximum(lips, teeth), linear, frame.side)
    hairs = brows(shares["brows"] * above, body, light, radius)
    kept = np.ones_like(body)
    for plane in (eyes, teeth, glasses, hairs, white):
        kept *= 1.0 - plane
    skin = lit * kept * (1.0 - lips)
    inside = 1.0 - shares["background"] - shares["cloth"]
    head = np.maximum(body, guided(picture, inside, radius, SOFTNESS) * border)
    loose = np.clip(head - body, 0.0, 1.0) * smooth_step(shares["hair"], 0.1, 0.5)
    return Areas(
        skin=_tensor(skin),
        lips=_tensor(lips * kept * body),
        brows=_tensor(hairs),
        eyes=_tensor(eyes),
        teeth=_tensor(teeth),
        hair=_tensor(np.maximum(loose, white)),
        glasses=_tensor(glasses),
        head=_tensor(head),
        **{name: _tensor(plane * skin) for name, plane in places(shares, frame.side).items()},
    )


@plain_defaults()
def skin_seen(image: Tensor, parts: Tensor) -> Tensor:
    """Where skin is in the square of a face as edits have it: no blond hair, no teeth.

    Args:
        image: (1, 3, H, W), linear sRGB, the square.
        parts: (1, 9, h, w), probabilities of parts, of any size.

    Returns:
        (1, 1, H, W), 0 or 1.
    """
    height, width = image.shape[2:]
    scale = min(1.0, COUNTED / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    picture = F.interpolate(image[:1].detach().float().cpu(), size=size, mode="area")
    box = Box(0, 0, size[1], tall=None if size[0] == size[1] else size[0])
    frame = Frame(box, picture, slice(0, size[0]), slice(0, size[1]))
    skin = areas_of(frame, parts).skin
    wide = F.interpolate(skin, size=(height, width), mode="bilinear", align_corners=False)
    return (wide > 0.5).float()


def _tensor(plane: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None, None]


def _plane(frame: Frame, parts: Tensor, name: str) -> np.ndarray:
    """The share of a part in the frame, 0 beyond the square."""
    number = part_index(name)
    height, width = frame.rows.stop - frame.rows.start, frame.columns.stop - frame.columns.start
    share = parts[0, number].detach().float().cpu().numpy()
    found = np.zeros(frame.size, np.float32)
    found[frame.rows, frame.columns] = cv2.resize(
        share, (width, height), interpolation=cv2.INTER_LINEAR
    )
    return found


def within(frame: Frame) -> np.ndarray:
    """1 within the square, falling to 0 towards its border: (H, W)."""
    inside = np.zeros(frame.size, np.uint8)
    inside[frame.rows, frame.columns] = 1
    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    far = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return smooth_step(far, 1.0, BORDER * frame.side)


def _nearness(frame: Frame, photo: Photo | None, others: Sequence[Box]) -> np.ndarray:
    """1 on the face, fading over the neck; 0 beyond the photo, and where another face is nearer."""
    height, width = frame.size
    down, across = np.mgrid[:height, :width].astype(np.float32) + 0.5
    x, y = (across - width / 2) / frame.side, (down - height / 2) / frame.side
    away = np.hypot(x, y)
    found = smooth_step(away, FADING[1], FADING[0]) if frame.box.width else away
    matrix = frame.box.to_photo(height, width)
    there = [row[0] * across + row[1] * down + row[2] for row in matrix]
    if photo is not None:
        inside = (there[0] > 0) & (there[0] < photo.width)
        found = found * (inside & (there[1] > 0) & (there[1] < photo.height))
    for box in others:
        middle = box.left + box.width / 2, box.top + box.height / 2
        other = np.hypot(there[0] - middle[0], there[1] - middle[1]) / max(box.width, box.height)
        found = found * smooth_step(other - away, 0.0, 0.05)
    return found.astype(np.float32)


def _whole(frame: Frame, shares: dict[str, np.ndarray], picture: np.ndarray) -> np.ndarray:
    """The face and the skin that goes on from it, without holes: (H, W), 0 or 1, coarse."""
    scale = min(1.0, LOW / frame.side)
    height, width = frame.size
    low = (max(8, round(width * scale)), max(8, round(height * scale)))

    def small(plane: np.ndarray) -> np.ndarray:
        return cv2.resize(plane, low, interpolation=cv2.INTER_AREA)

    body = small(sum(shares[name] for name in BODY))  # type: ignore[arg-type]
    inside, picture = small(_square(frame)) > 0.5, small(picture)
    face = with_holes_filled(_largest(body > 0.5))
    side = frame.side * scale
    odd = oddness(picture, body * (small(_square(frame)) > 0.5))
    core = eroded(body, max(1, round(0.02 * side))) * (odd < ALIKE)
    sure = (core > SURE) | (eroded(face, round(DEEP * side)) > 0.5)
    stubble = small(shares["hair"]) * _chin_region(low, side)
    # Of what is taken for background some is skin in shadow, which its colour tells.
    else_where = (small(shares["hair"]) > 0.5) | (odd > ODD)
    never = inside & (body + stubble < NEVER) & (face < 0.5) & else_where
    down = (np.arange(low[1])[:, None] - low[1] / 2) / side
    never |= ~inside & ((down < 0.0) | ((odd > ODD) & brighter(picture, body * inside)))
    sure &= down > HAIRLINE  # above, networks take blond hair for skin
    across = np.abs(np.arange(low[0])[None, :] - low[0] / 2) / side
    forehead = np.hypot(across / 0.22, (down - 0.05) / 0.25) <= 1.0
    beside = ((down < 0.0) & ~forehead) | ((down < BELOW_HAIR) & (across > BESIDE_CHEEKS))
    never |= yellower(picture, body * inside) & beside
    likely = (face > 0.5) | (body > 0.5) | (~inside & (odd < ALIKE) & (down > BELOW_HAIR))
    found = grown(picture, likely, sure, never)
    filled = with_holes_filled(found)
    return cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)


def _square(frame: Frame) -> np.ndarray:
    found = np.zeros(frame.size, np.float32)
    found[frame.rows, frame.columns] = 1.0
    return found


def _chin_region(low: tuple[int, int], side: float) -> np.ndarray:
    """Where a beard would be: below the middle of the square, near its axis."""
    down, across = np.mgrid[: low[1], : low[0]].astype(np.float32)
    x, y = (across - low[0] / 2) / side, (down - low[1] / 2) / side
    return ((np.abs(x) < 0.25) & (y > 0.05)).astype(np.float32)


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask."""
    number, pieces, about, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if number < 2:
        return mask
    return pieces == 1 + int(np.argmax(about[1:, cv2.CC_STAT_AREA]))
