"""Glasses, hats and scarves: what covers parts of a head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .colours import any_colour
from .draws import Draws
from .features import EYE_X, EYE_Y
from .identity import Identity
from .parts import Parts
from .view import View
from .worn import Worn, draw_worn

__all__ = ["Covers", "cloth_of", "draw_covers"]

EYES_TO_GLASSES = 0.14
"""How far the front of a pair of glasses is from the corners of the eyes, in canonical units."""

FRAME_COLOURS = np.array(
    [[0.01, 0.01, 0.01], [0.05, 0.02, 0.01], [0.2, 0.2, 0.2], [0.3, 0.22, 0.1], [0.15, 0.02, 0.02]]
)
"""Linear RGB: black, tortoise, steel, gold, red."""


@dataclass(frozen=True)
class Covers:
    """What lies over the head; all (S, S) or (3, S, S)."""

    glasses: Tensor
    """bool"""
    glasses_colour: Tensor
    """Linear RGB as a part of the light; glare has more than 1."""
    cloth: Tensor
    """bool, hat or scarf."""
    worn: Worn | None = None
    """On a head of a model."""

    def over(self, parts: Parts) -> Parts:
        """What is left of the parts below."""
        covered = self.glasses | self.cloth
        return replace(
            parts,
            hair=parts.hair & ~covered,
            eye=parts.eye & ~covered,
            mouth=parts.mouth & ~covered,
            teeth=parts.teeth & ~covered,
            face_skin=parts.face_skin & ~covered,
            skin=parts.skin & ~covered,
            cloth=(parts.cloth | self.cloth) & ~self.glasses,
        )


def draw_covers(draws: Draws, who: Identity, view: View) -> Covers:
    """Draw whether a person wears glasses, a hat or a scarf."""
    nothing = torch.zeros_like(view.surface.hit)
    colour = torch.zeros(3, *nothing.shape)
    glasses, cloth = nothing, nothing
    if draws.chance(0.04 if who.child else 0.14 + 0.2 * who.age):
        glasses, colour = _glasses(draws, view, modelled=who.modelled)
    if who.modelled:
        worn = draw_worn(draws, who, view)
        cloth = nothing if worn is None else worn.cloth
        return Covers(glasses & ~cloth, colour, cloth, worn)
    if draws.chance(0.08):
        cloth = _hat(draws, view)
    elif who.masculine < 0.5 and draws.chance(0.12):
        cloth = _scarf(draws, view)
    return Covers(glasses & ~cloth, colour, cloth)


def _glasses(draws: Draws, view: View, *, modelled: bool) -> tuple[Tensor, Tensor]:
    """Two rims, a bridge, and arms on the sides of the head, which on heads of a model have no gaps."""
    x, y, z = view.surface.point
    # A flat front before the eyes, wherever they are in this head.
    eyes = view.landmarks[36:48].reshape(2, 6, 3).mean(dim=1) @ view.pose
    apart, level = 0.5 * float((eyes[1, 0] - eyes[0, 0]).abs()), float(eyes[:, 1].mean())
    depth = float(eyes[:, 2].mean()) + EYES_TO_GLASSES
    along = view.pose.T[:, 2]  # of the viewing rays, in the head's coordinates
    start = torch.einsum("ij,jhw->ihw", view.pose.T[:, :2], torch.stack((view.x, view.y)))
    ahead = (depth - start[2]) / along[2].clamp(min=0.3)
    px, py = start[0] + along[0] * ahead, start[1] + along[1] * ahead - level
    width, height = draws.uniform(0.17, 0.23), draws.uniform(0.11, 0.18)
    thin, thick = (0.014, 0.026) if modelled else (0.008, 0.032)
    power, rim = draws.uniform(2.0, 5.0), draws.uniform(thin, thick)
    dx, dy = px.abs() - apart - 0.01, py + 0.02
    reach = ((dx.abs() / width) ** power + (dy.abs() / height) ** power) ** (1.0 / power)
    edge = (reach - 1.0) * min(width, height)
    frame = edge.abs() < 0.5 * rim
    frame = frame & ((dy > 0.0) | torch.tensor(draws.chance(0.85)))  # some have no lower rim
    bridge = (px.abs() < apart - width + 0.02) & ((py - 0.03).abs() < 0.5 * rim + 0.004)
    arms = view.surface.hit & (x.abs() > EYE_X + width - 0.03 * modelled)
    arms = arms & (z > -0.1) & (z < (1.0 if modelled else 0.6))
    arms = arms & ((y - EYE_Y - 0.04).abs() < 0.5 * rim + 0.006) & ~view.surface.ear
    lens = edge < 0.0
    metal = torch.from_numpy(FRAME_COLOURS[int(draws.rng.integers(len(FRAME_COLOURS)))]).float()
    colour = (metal * draws.uniform(0.7, 1.3))[:, None, None].expand(3, *x.shape)
    shown = frame | bridge | arms
    if draws.chance(0.12):  # sunglasses
        dark = torch.tensor([0.012, 0.011, 0.01])[:, None, None]
        colour = torch.where(lens & ~frame, dark * (1.0 + 2.0 * py.clamp(min=0.0)), colour)
        return shown | lens, colour
    if draws.chance(0.0 if modelled else 0.35):  # the image of a window or lamp in the lenses
        slope, place = draws.uniform(-1.5, 1.5), draws.uniform(-0.08, 0.08)
        band = lens & ((dy - slope * dx - place).abs() < draws.uniform(0.01, 0.05))
        colour = torch.where(
            band & ~frame, torch.full_like(colour, draws.uniform(0.4, 1.2)), colour
        )
        shown = shown | band
    return shown, colour


def _hat(draws: Draws, view: View) -> Tensor:
    """A cap, beanie or brimmed hat: all above a line around the head."""
    _, y, _ = view.surface.point
    head = view.surface.hit & ~view.surface.neck
    line, volume = draws.uniform(0.42, 0.62), draws.uniform(0.03, 0.14)
    shift, tilt = float(view.pose[0, 2]) * -0.2, float(view.pose[1, 0])
    x = view.x - shift
    level = view.y - tilt * view.x
    crown = (x / (0.74 + volume)).square() + ((view.y - 0.15) / (1.0 + volume)).square() < 1.0
    hat = torch.where(head, y > line, crown & (level > line))
    if draws.chance(0.4):
        wide, deep = draws.uniform(0.85, 1.25), draws.uniform(0.03, 0.09)
        hat = hat | ((x / wide).square() + ((level - line) / deep).square() < 1.0)
    return hat


def _scarf(draws: Draws, view: View) -> Tensor:
    """A scarf around head and neck that leaves an oval of the face."""
    x, y, z = view.surface.point
    wide, tall = draws.uniform(0.54, 0.64), draws.uniform(0.72, 0.82)
    oval = (x / wide).square() + ((y + 0.24) / tall).square() < 1.0
    shift = float(view.pose[0, 2]) * -0.2
    out = draws.uniform(0.05, 0.14)
    around = ((view.x - shift) / (0.73 + out)).square() + ((view.y - 0.1) / (1.08 + out)).square()
    falls = (view.y < 0.1) & ((view.x - shift).abs() < 0.75 + out - 0.25 * (view.y + 0.4))
    head = view.surface.hit & ~view.surface.neck
    return torch.where(head, ~(oval & (z > 0.0)), (around < 1.0) | falls)


def cloth_of(draws: Draws, view: View, rows: slice, *, varied: bool = False) -> Tensor:
    """Reflectance of a piece of cloth on rows of samples: plain, striped, chequered or knitted: (3, R, S).

    With ``varied``, of any colour from black to white.
    """
    x, y = view.x[rows], view.y[rows]
    kind = draws.uniform(0.0, 1.0)
    if kind < 0.2:  # white
        base = torch.full((3,), draws.uniform(0.6, 0.9))
    elif kind < 0.45:  # dark
        base = torch.from_numpy(draws.rng.uniform(0.005, 0.05, 3)).float()
    else:
        base = torch.from_numpy(draws.rng.uniform(0.02, 0.6, 3) ** 1.5).float()
    other = torch.from_numpy(draws.rng.uniform(0.02, 0.8, 3)).float()
    if varied and draws.chance(0.7):
        base, other = any_colour(draws), any_colour(draws)
    pattern = torch.zeros_like(x)
    chosen, pitch = draws.uniform(0.0, 1.0), draws.uniform(8.0, 50.0)
    if varied:  # patterns less often, and most of two shades of one colour
        chosen = chosen + 0.12
        other = other if draws.chance(0.3) else base * draws.uniform(0.5, 1.6)
    if chosen < 0.15:
        pattern = (torch.sin(pitch * (y + 0.15 * x.square())) > 0.3).float()
    elif chosen < 0.22:
        pattern = 0.5 * (torch.sin(pitch * x) > 0.4).float() + 0.5 * (torch.sin(pitch * y) > 0.4)
    elif chosen < 0.35:
        pattern = 0.25 + 0.25 * torch.sin(3.0 * pitch * x) * torch.sin(3.0 * pitch * y)
    return base[:, None, None] + pattern * (other - base)[:, None, None]
