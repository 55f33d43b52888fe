"""A second, closer look at what may be a face: whether it is one, and how it is turned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .detector import Seen, look_for_faces

__all__ = ["FACE_IN_PATCH", "PATCH", "Face", "Patches", "Place", "straightened"]

PATCH, FACE_IN_PATCH = 224, 114
"""Sides in pixels of the square in which a face is looked at, and of the detector's box in it."""

LEAST = 0.8
"""Score from which there is a face."""

SURE = 0.91
"""Score from which it is upright without doubt; a face on its head scores up to 0.90."""

HARDLY = 0.3
"""Score from which a face is seen at all while it is turned."""

STARTS = (60.0, -60.0, 120.0, -120.0, 180.0)
"""Turns, in degrees, from which a face is straightened where it is not nearly upright."""

RESPONSE = 0.6
"""The detector draws faces too upright: the slope that it sees of a slope of one degree."""

LEVEL = 2.0
"""Slope, in degrees, that needs no further turn."""

STEPS = 5
"""Turns after which a face must be level."""

SAME_FACE = 0.4
"""Distance, as a share of the larger box, below which two boxes are of one face."""

ASIDE, SMALLER, LARGER = 0.3, 0.5, 2.0
"""How far the face may be from the middle of the square, as a share of it, and how much smaller or larger
than expected; more is another face."""


@dataclass(frozen=True)
class Place:
    """Where a face may be, in pixels of the photo."""

    x: float
    y: float
    side: float
    """Middle and side of the detector's box."""
    angle: float
    """Degrees, clockwise."""

    def to_photo(self) -> np.ndarray:
        """The affine map from places in the square of `PATCH` pixels that is looked at: (2, 3)."""
        turn, scale = math.radians(self.angle), self.side / FACE_IN_PATCH
        across, down = scale * math.cos(turn), scale * math.sin(turn)
        linear = np.array([[across, -down], [down, across]])
        return np.column_stack((linear, (self.x, self.y) - linear @ np.full(2, PATCH / 2)))

    def near(self, other: Place) -> bool:
        """Whether both are of one face."""
        apart = math.hypot(self.x - other.x, self.y - other.y)
        return apart < SAME_FACE * max(self.side, other.side)

    def turned(self, degrees: float) -> Place:
        """The same, turned further."""
        return replace(self, angle=self.angle + degrees)

    def of(self, seen: Seen) -> Place:
        """The place of what was seen in that square: its middle, and turned until it is level."""
        x, y = self.to_photo() @ (*seen.middle, 1.0)
        side = self.side * seen.side / FACE_IN_PATCH
        angle = math.remainder(self.angle + seen.slope / RESPONSE, 360.0)
        return Place(float(x), float(y), side, angle)


@dataclass(frozen=True)
class Face:
    """A face as it was seen, level or nearly so."""

    place: Place
    """Of the square it was seen in."""
    seen: Seen
    """In the pixels of that square."""

    @property
    def level(self) -> Place:
        """Its place, upright."""
        return self.place.of(self.seen)


Patches = Callable[[Place], np.ndarray]
"""The square of a place: (PATCH, PATCH, 3), uint8, blue, green and red."""


def straightened(place: Place, patches: Patches) -> Face | None:
    """The face at a place, looked at upright; None where there is none after all.

    The nearly upright comes first; where it is not sure, the surest of all turns does.
    """
    found = _level(place, patches)
    if found is None or found.seen.score < SURE:
        starts = [place.turned(degrees) for degrees in STARTS]
        glances = [(_glance(patches(start)), start) for start in starts]
        seen = [(glance.score, start) for glance, start in glances if glance is not None]
        for _, start in sorted(seen, key=lambda one: -one[0])[:2]:
            face = _level(start, patches)
            if face is not None and (found is None or face.seen.score > found.seen.score):
                found = face
            if found is not None and found.seen.score >= SURE:
                break
    return found if found is not None and found.seen.score >= LEAST else None


def _level(place: Place, patches: Patches) -> Face | None:
    """The face at a place, turned until it is level or as nearly as it gets."""
    best: Face | None = None
    before: Face | None = None
    for _ in range(STEPS):
        seen = _both_ways(patches(place))
        if seen is None:
            break
        face = Face(place, seen)
        if best is None or abs(seen.slope) < abs(best.seen.slope):
            best = face
        if abs(seen.slope) < LEVEL:
            break
        place = face.level
        if before is not None and before.seen.slope * seen.slope < 0.0:  # in between
            share = seen.slope / (seen.slope - before.seen.slope)
            place = replace(
                place, angle=face.place.angle + share * (before.place.angle - face.place.angle)
            )
        before = face
    return best


def _both_ways(patch: np.ndarray) -> Seen | None:
    """The face in the middle of a square, on average over that and its mirror image.

    The mirror image has the opposite errors.
    """
    one = _glance(patch)
    other = one and _glance(patch[:, ::-1])
    return None if one is None or other is None else one.mean(other.mirrored(PATCH))


def _glance(patch: np.ndarray) -> Seen | None:
    """The face in the middle of a square."""
    middle = np.full(2, PATCH / 2)
    for seen in look_for_faces(patch, HARDLY):
        near = np.linalg.norm(seen.middle - middle) < ASIDE * PATCH
        if near and SMALLER < seen.side / FACE_IN_PATCH < LARGER:
            return seen
    return None
