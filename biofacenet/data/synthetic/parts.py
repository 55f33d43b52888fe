"""What each sample of a picture shows: hair, eye, mouth, skin of the face, neck."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws
from .identity import Identity
from .shape import read_texture
from .view import View

__all__ = ["Neck", "Parts", "divide_into_parts"]


@dataclass(frozen=True)
class Neck:
    """The neck below the head, in the picture."""

    shown: Tensor
    """(S, S), bool."""
    middle: float
    width: float
    """Half of it."""
    collar: Tensor
    """(S, S), height at which clothes begin."""


@dataclass(frozen=True)
class Parts:
    """Labels of the samples, each (S, S) and, unless said, bool; on the head but for the neck."""

    bald: bool
    """Whether hair grows on the sides of the head alone."""
    hair: Tensor
    eye: Tensor
    mouth: Tensor
    """Where an open mouth shows teeth or dark."""
    iris_distance: Tensor
    """From the iris's middle, in its radius."""
    lid: Tensor
    """Nearness of the upper lid's edge, 0..1."""
    nostril: Tensor
    """Nearness of a nostril, 0..1."""
    neck: Neck
    face_skin: Tensor
    """Without the throat."""
    skin: Tensor
    """Of face, throat and neck."""


def divide_into_parts(draws: Draws, who: Identity, view: View) -> Parts:
    """Label every sample."""
    x, y, z = view.surface.point
    hit = view.surface.hit
    bald = who.masculine > 0.6 and draws.chance(0.15)
    hair = hit & _hair(draws, view, bald)
    eye, iris_distance, lid = who.eyes.places(x, y, draws.gaussian(0.015))
    mouth = who.mouth.inside(x, y)
    opening = hit & (z > 0.0) & (eye | mouth) & ~hair
    eye, mouth = opening & eye, opening & mouth
    nostril = torch.exp(-((x.abs() - 0.06) / 0.028).square() - ((y + 0.372) / 0.018).square())
    neck = _neck(draws, who, view)
    face_skin = hit & ~hair & ~eye & ~mouth & (y > -1.05)
    throat = hit & ~hair & (y <= -1.05)
    return Parts(
        bald=bald,
        hair=hair,
        eye=eye,
        mouth=mouth,
        iris_distance=iris_distance,
        lid=lid,
        nostril=nostril,
        neck=neck,
        face_skin=face_skin,
        skin=face_skin | neck.shown | throat,
    )


def _hair(draws: Draws, view: View, bald: bool) -> Tensor:
    """Above a hairline that falls toward the temples, and all behind the ears."""
    x, y, z = view.surface.point
    ax, ear = x.abs(), view.surface.ear
    strands = read_texture(draws.field(24), x, y)[0]
    crest = draws.uniform(0.6, 0.78)
    line = crest - (ax / 0.72) ** 3 * draws.uniform(0.25, 0.5) + 0.03 * strands
    if not bald and draws.chance(0.25):  # a fringe
        line = line - draws.uniform(0.1, 0.32) * (1.0 - 0.5 * (ax / 0.7) ** 2)
    # The front edge draws back behind the ear toward its lower end: a sideburn has a tip.
    tip = ((draws.uniform(-0.35, 0.1) + 0.2 - y) / 0.2).clamp(min=0.0)
    if bald:
        return (z < -0.05) & (y > -0.2) & (y < 0.55) & ~ear
    sides = (z < 0.08 + 0.04 * strands - 0.22 * tip) & (y > -0.7) & ~ear
    return (y > line) | sides


def _neck(draws: Draws, who: Identity, view: View) -> Neck:
    middle = float(view.pose[0, 1]) * -0.9
    width = draws.uniform(0.36, 0.42) + 0.08 * who.masculine
    flare = 0.12 * ((-1.0 - view.y) / 0.3).clamp(min=0.0).square()
    inside = (view.x - middle).abs() < width + flare
    collar = -1.12 - 0.22 * (1.0 - ((view.x - middle) / 0.5).square()).clamp(0.0)
    below = inside & (view.y < -0.4) & (view.y > collar)
    return Neck(~view.surface.hit & below, middle, width, collar)
