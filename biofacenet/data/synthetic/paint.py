"""Everything in a picture that is not skin: hair, eyes, mouth, clothes and background, as plain colours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .draws import Draws
from .features import EYE_X, EYE_Y
from .identity import Identity
from .light import Shading
from .parts import Parts
from .shape import read_texture
from .view import View

__all__ = ["paint_background", "paint_person"]

EYE_COLOURS = np.array(
    [
        [0.03, 0.014, 0.007],
        [0.09, 0.045, 0.02],
        [0.1, 0.11, 0.05],
        [0.1, 0.16, 0.25],
        [0.15, 0.17, 0.18],
    ]
)
"""Linear RGB of the iris: dark brown, brown, green, blue, grey."""


def paint_person(
    draws: Draws, who: Identity, view: View, parts: Parts, shading: Shading
) -> tuple[Tensor, Tensor]:
    """Linear RGB of clothes, hair, eyes and mouth (3, S, S), and where head or these are (S, S)."""
    x, y, shade = view.x, view.y, shading.unoccluded
    picture = torch.zeros(3, *x.shape)
    shoulders = (y < parts.neck.collar) & (y < -0.98 - 0.35 * (x / 1.1).abs() ** 3)
    cloth = torch.from_numpy(draws.rng.uniform(0.01, 0.5, 3).astype(np.float32))
    cloth = cloth * (0.4 + 0.6 * draws.uniform(0.0, 1.0))
    picture = torch.where(shoulders, cloth[:, None, None] * shade, picture)
    covered = shoulders | view.surface.hit

    colour = torch.from_numpy(who.hair_colour.astype(np.float32))[:, None, None]
    strands = 1.0 + 0.35 * read_texture(draws.field(40), x * 0.8, 0.25 * y)[0]
    gloss = torch.einsum("c,chw->hw", torch.tensor([0.0, 0.55, 0.83]), shading.normal)
    gloss = 0.04 * gloss.clamp(min=0.0) ** 12
    strand_colour = (colour * strands.clamp(0.3, 2.0) + gloss) * (0.3 + 0.7 * shade)
    if not parts.bald:
        behind = _hair_behind(draws, who, view, parts)
        picture = torch.where(behind, 0.75 * strand_colour, picture)
        covered = covered | behind
    picture = torch.where(parts.hair, strand_colour, picture)
    picture = torch.where(parts.eye, _eye_colour(draws, who, view, parts, shade), picture)
    return torch.where(parts.mouth, _mouth_colour(draws, who, view, shade), picture), covered


def _hair_behind(draws: Draws, who: Identity, view: View, parts: Parts) -> Tensor:
    """Samples of hair beside and behind the head, in the picture."""
    volume = draws.uniform(0.02, 0.16)
    wide, tall = who.head.half_width + volume, 1.12 + volume
    shift = float(view.pose[0, 2]) * -0.25
    x, y = view.x - shift, view.y - 0.1
    wave = 0.03 * read_texture(draws.field(12), view.x * 0.7, view.y * 0.7)[0]
    crown = (x / wide).square() + (y / tall).square() < 1.0 + 2.0 * wave
    crown = crown & (y > draws.uniform(-0.2, 0.1))
    if who.masculine < 0.55 and draws.chance(0.75):  # long, down the sides
        length = draws.uniform(-1.3, -0.3)
        flare = wide + 0.12 * (0.1 - y).clamp(0.0, 1.0) + wave
        crown = crown | ((x.abs() < flare) & (y < 0.1) & (view.y > length + 0.1 * wave))
    neck = parts.neck
    return crown & ~view.surface.hit & ~(neck.shown & (view.x - neck.middle).abs().lt(0.3))


def _eye_colour(draws: Draws, who: Identity, view: View, parts: Parts, shade: Tensor) -> Tensor:
    """Sclera, iris, pupil and catch light: (3, S, S)."""
    x, y, _ = view.surface.point
    chosen = int(draws.rng.integers(len(EYE_COLOURS)))
    chosen = chosen if draws.chance(who.light) else 0
    iris = torch.from_numpy(EYE_COLOURS[chosen]).float()
    white = torch.tensor([0.62, 0.56, 0.53])[:, None, None] * (0.35 + 0.4 * shade)
    distance = parts.iris_distance
    eye = torch.where(distance < 1.0, iris[:, None, None] * (0.4 + 0.6 * shade), white)
    eye = torch.where(distance < 0.42, torch.full_like(eye, 0.004), eye)
    glint = ((x.abs() - EYE_X - 0.016).square() + (y - EYE_Y - 0.02).square()).sqrt() < 0.013
    return torch.where(glint, torch.full_like(eye, 0.8), eye)


def _mouth_colour(draws: Draws, who: Identity, view: View, shade: Tensor) -> Tensor:
    """Teeth, in most open mouths, and the dark behind them: (3, S, S)."""
    x, y, _ = view.surface.point
    teeth = draws.chance(0.7)
    low = y < who.mouth.line(x) - (0.3 * who.mouth.opening if teeth else -1.0)
    enamel = torch.tensor([0.4, 0.37, 0.32])[:, None, None] * (0.3 + 0.5 * shade)
    dark = torch.tensor([0.025, 0.006, 0.006])[:, None, None].expand_as(enamel)
    return torch.where(low, dark, enamel)


def paint_background(draws: Draws, view: View) -> Tensor:
    """Two colours blended along a gradient with soft blobs: (3, S, S)."""
    ends = torch.from_numpy(draws.rng.uniform(0.0, 1.0, (2, 3)) ** 2).float()
    ends = ends * draws.uniform(0.05, 0.9)
    if draws.chance(0.8):  # greyish
        ends = 0.3 * ends + 0.7 * ends.mean(dim=1, keepdim=True)
    angle = draws.uniform(0.0, 6.28)
    ramp = 0.5 + 0.4 * (np.cos(angle) * view.x + np.sin(angle) * view.y)
    cells = int(draws.rng.integers(3, 14))
    blobs = read_texture(draws.field(cells), 0.8 * view.x, 0.8 * view.y)[0]
    blend = (ramp + draws.uniform(0.0, 0.35) * blobs).clamp(0.0, 1.0)
    return ends[0][:, None, None] * blend + ends[1][:, None, None] * (1.0 - blend)
