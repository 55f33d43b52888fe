"""Mouth, eyes, brows and beard: their measures, and the places of the face that they cover.

All places are canonical x and y of shape (S, S).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .surface import Features, Surface

__all__ = [
    "EYE_X",
    "EYE_Y",
    "MOUTH_Y",
    "Brows",
    "Eyes",
    "Mouth",
    "beard",
    "see_features",
    "smoothstep",
]

MOUTH_Y, EYE_X, EYE_Y = -0.56, 0.28, 0.1

IRIS_RADIUS = 0.055

LOWER_LIP = 0.05, 0.085
"""Least and most thickness of lower lips, in canonical units."""


def smoothstep(low: float, high: float, value: Tensor) -> Tensor:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True)
class Mouth:
    """A mouth, in canonical units."""

    smile: float
    """0 to 1."""
    opening: float
    """Half its height in the middle."""
    width: float
    """Half of it."""
    upper: float
    lower: float
    """Thickness of the lips."""

    @classmethod
    def draw(cls, draws: Draws) -> Mouth:
        smile = max(0.0, draws.uniform(-0.5, 1.0))
        return cls(
            smile=smile,
            opening=draws.uniform(0.02, 0.075) if draws.chance(0.3) else 0.0,
            width=draws.uniform(0.2, 0.26) + 0.05 * smile,
            upper=draws.uniform(0.035, 0.06),
            lower=draws.uniform(*LOWER_LIP),
        )

    @property
    def thinness(self) -> float:
        """Of the lips, from 0 for full to 1 for thin ones."""
        full, thin = LOWER_LIP[1], LOWER_LIP[0]
        return (full - self.lower) / (full - thin)

    def line(self, x: Tensor) -> Tensor:
        """Height of the closed mouth: the corners rise with a smile."""
        return MOUTH_Y + (0.25 + 1.0 * self.smile) * x.square() - 0.02 * self.smile

    def gap(self, x: Tensor) -> Tensor:
        """Half the height of an open mouth."""
        return self.opening * (1.0 - (x / (0.85 * self.width)).square()).clamp(min=0.0)

    def edges(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Height of the upper lip's and depth of the lower lip's outline, from the line."""
        arch = (1.0 - (x / self.width).square()).clamp(min=0.0)
        bow = 1.0 - 0.3 * torch.exp(-((x / 0.035) ** 2))
        upper = (self.opening + self.upper * bow) * arch**0.75
        return upper, (self.opening + self.lower) * arch**0.6

    def inside(self, x: Tensor, y: Tensor) -> Tensor:
        """Where an open mouth shows teeth or dark: bool."""
        return (y - self.line(x)).abs() < self.gap(x)

    def lips(self, x: Tensor, y: Tensor) -> Tensor:
        """Softly bounded lips, 0..1."""
        dy = y - self.line(x)
        upper, lower = self.edges(x)
        softness = 0.012
        return (
            torch.sigmoid((upper - dy) / softness)
            * torch.sigmoid((dy + lower) / softness)
            * (x.abs() < self.width)
        )


@dataclass(frozen=True)
class Eyes:
    """A pair of eyes, in canonical units."""

    width: float
    """Half of it."""
    opening: float
    """From the middle to the upper lid."""
    tilt: float
    """Rise of the outer corner by width."""

    @classmethod
    def draw(cls, draws: Draws) -> Eyes:
        return cls(
            width=draws.uniform(0.105, 0.13),
            opening=0.002 if draws.chance(0.03) else draws.uniform(0.035, 0.058),
            tilt=draws.gaussian(0.06),
        )

    def edges(self, dx: Tensor) -> tuple[Tensor, Tensor]:
        """Height of the upper and the lower lid over the eye's axis, at -1 (inner corner) to 1."""
        arch = (1.0 - dx.square()).clamp(min=0.0)
        return self.opening * arch**0.8, -0.8 * self.opening * arch

    def places(self, x: Tensor, y: Tensor, gaze: float) -> tuple[Tensor, Tensor, Tensor]:
        """Almond openings, distance from the iris's middle in its radius, nearness of the lid."""
        side = torch.where(x < 0.0, -1.0, 1.0)
        dx = (x.abs() - EYE_X) / self.width
        dy = y - EYE_Y - self.tilt * dx * self.width
        upper, lower = self.edges(dx)
        inside = (dy < upper) & (dy > lower) & (dx.abs() < 1.0)
        middle = x.abs() - EYE_X - gaze * side
        iris = (middle.square() + (dy - 0.004).square()).sqrt() / IRIS_RADIUS
        lid = torch.exp(-((dy - upper - 0.004) / 0.011).square()) * (dx.abs() < 1.08)
        return inside, iris, lid


@dataclass(frozen=True)
class Brows:
    """A pair of eyebrows, in canonical units."""

    height: float
    thickness: float
    begin: float = 0.04
    """Distance of their inner ends from the middle."""
    end: float = 0.5
    """And of their outer ones."""
    peak: float = 0.31
    """And of where they are highest."""
    bent: float = 1.1
    """How much they fall from there, by the square of the distance."""
    taper: float = 0.9
    """How much thinner they become to their outer ends."""

    @classmethod
    def draw(cls, draws: Draws, masculine: float, *, modelled: bool = False) -> Brows:
        """Draw brows; those on heads of a model lie as in the photographs of the London set."""
        height, thickness = draws.gaussian(0.015), draws.uniform(0.014, 0.034)
        if modelled:
            return cls(
                0.273 + height - 0.015 * masculine,
                0.85 * thickness + 0.006 * masculine,
                begin=0.052 + draws.gaussian(0.02),
                end=0.51 + draws.gaussian(0.025),
                peak=0.47 + draws.gaussian(0.03),
                bent=draws.uniform(0.5, 1.5),
                taper=0.7,
            )
        return cls(0.29 + height, thickness + 0.012 * masculine)

    def arch(self, ax: Tensor) -> Tensor:
        """Height of their middle at |x|."""
        return self.height + 0.035 - self.bent * (ax - self.peak).square()

    def places(self, x: Tensor, y: Tensor, softness: float = 0.008) -> Tensor:
        """Softly bounded eyebrows, 0..1."""
        ax = x.abs()
        arch = self.arch(ax)
        thickness = self.thickness * (1.15 - self.taper * ((ax - 0.12) / 0.4).clamp(0.0, 1.0))
        inside = torch.sigmoid((thickness - (y - arch).abs()) / softness)
        return (
            inside
            * smoothstep(self.begin + 0.03, self.begin + 10.0 * softness, ax)
            * (1.0 - smoothstep(self.end - 0.06, self.end, ax))
        )


def beard(point: Tensor, softness: float = 0.035, uneven: Tensor | float = 0.0) -> Tensor:
    """Where a beard grows, 0..1: moustache, chin, jaw, and a strip up to the ear, of (3, S, S).

    Args:
        point: canonical places.
        softness: of its upper edge on the jaw.
        uneven: how far its edges are moved, (S, S), in canonical units.
    """
    x, y, z = point
    ax, y = x.abs(), y + uneven
    # By depth, since the side of a head has one x and many z: the cheek stays bare, and the
    # edge climbs only where the sideburn is.
    back = ((0.55 - z) / 0.5).clamp(0.0, 1.0)
    edge = MOUTH_Y - 0.02 + 0.6 * back**4
    # Where the edge climbs, a wider transition in y keeps the same one across it.
    jaw = torch.sigmoid((edge - y) / (softness + 0.1 * back**2))
    jaw = jaw * smoothstep(0.12, 0.24, ax + (y < -0.64) * 0.3)
    moustache = torch.exp(-((y - MOUTH_Y - 0.095) / 0.035).square()) * (
        1.0 - smoothstep(0.2, 0.27, ax)
    )
    return torch.maximum(jaw, moustache)


def see_features(mouth: Mouth, eyes: Eyes, brows: Brows, surface: Surface, gaze: float) -> Features:
    """The features painted on a parametric head, as the samples of a picture show them.

    Args:
        mouth: and
        eyes: and
        brows: of the face.
        surface: what the samples see.
        gaze: how far the eyes look to the right, in canonical units.
    """
    x, y, z = surface.point
    face = surface.hit & ~surface.neck
    front = face & (z > 0.0)
    eye, iris, lid = eyes.places(x, y, gaze)
    inside = mouth.inside(x, y) & front
    teeth = y > mouth.line(x) - 0.3 * mouth.opening
    nostril = torch.exp(-((x.abs() - 0.06) / 0.028).square() - ((y + 0.372) / 0.018).square())
    return Features(
        eye=eye & front,
        mouth=inside,
        teeth=inside & teeth,
        lips=mouth.lips(x, y) * front,
        brows=brows.places(x, y) * front,
        iris=iris,
        lid=lid * front,
        nostril=nostril * front,
    )
