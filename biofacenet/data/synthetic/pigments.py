"""Melanin and haemoglobin of a face: its skin's, and what lips, brows, beard, make-up and lashes add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .detail import draw_detail, grain
from .draws import Draws
from .features import EYE_X, EYE_Y, MOUTH_Y, beard
from .identity import Identity
from .parts import Parts
from .shape import read_texture
from .view import View

__all__ = ["Pigments", "draw_pigments"]


@dataclass(frozen=True)
class Pigments:
    """What the skin of all samples is like, each (S, S)."""

    melanin: Tensor
    haemoglobin: Tensor
    """Map values."""
    relief: Tensor
    """Height of pores and lines."""
    hairy: Tensor
    """0..1, how much of it is hair: brows and beard."""
    lips: Tensor
    """0..1"""


@dataclass(frozen=True)
class _Places:
    """Where pigments are painted, each (S, S)."""

    x: Tensor
    y: Tensor
    """Canonical places; on the neck, those of the picture below the chin."""
    ax: Tensor
    """|x|"""
    front: Tensor
    """1 on the head, 0 on the neck."""

    def read(self, texture: Tensor) -> Tensor:
        return read_texture(texture, self.x, self.y)

    def around(self, x: float, y: float, width: float, height: float) -> Tensor:
        """A soft spot on each side, on the head."""
        return self.front * torch.exp(
            -(((self.ax - x) / width) ** 2) - ((self.y - y) / height) ** 2
        )


def draw_pigments(draws: Draws, who: Identity, view: View, parts: Parts) -> Pigments:
    """Draw the skin of a face."""
    x, y, _ = view.surface.point
    at = _Places(x, y, x.abs(), (~view.surface.neck).float())
    lips, brows = parts.lips, parts.brows
    detail = draw_detail(draws, x, y, at.front, light=who.light, age=who.age)
    made_up = who.masculine < 0.5 and not who.child and draws.chance(0.55)
    even = draws.uniform(0.25, 0.8) if made_up else 1.0  # foundation hides what is uneven

    melanin = who.melanin + even * (detail.melanin + _darker_places(draws, who, at))
    haemoglobin = who.haemoglobin + even * (detail.haemoglobin + _redder_places(draws, at))
    haemoglobin = haemoglobin + draws.uniform(0.05, 0.3) * view.surface.ear
    lip_m, lip_h = _lips(draws, at, lips, made_up=made_up)
    melanin, haemoglobin = melanin + lip_m, haemoglobin + lip_h
    if made_up:
        haemoglobin = haemoglobin + draws.uniform(0.0, 0.3) * at.around(0.42, -0.12, 0.16, 0.13)
        melanin = melanin + draws.uniform(0.0, 0.25) * at.around(EYE_X, EYE_Y + 0.07, 0.15, 0.06)

    hairs = float(np.clip(0.75 - 1.6 * who.hair_colour.mean(), 0.15, 0.85))
    hairs = max(hairs, who.melanin + 0.1)
    fine = grain(draws, x)
    strokes = (1.0 + 0.35 * fine).clamp(0.2, 1.6)
    hairy = (brows * draws.uniform(0.45, 0.95) * strokes).clamp(0.0, 1.0)
    grown = _beard(draws, who, view, at, fine) * (1.0 - lips)
    hairy = torch.maximum(hairy, grown)
    melanin = melanin + hairy * (hairs - melanin)
    haemoglobin = haemoglobin - 0.25 * hairy
    # Lashes and the shadow of the lid's edge.
    liner = draws.uniform(0.8, 1.3) if made_up else draws.uniform(0.5, 0.8)
    melanin = melanin + (liner * parts.lid * at.front).clamp(max=1.0) * (0.88 - melanin)
    melanin = melanin + 0.75 * parts.nostril * at.front * (0.9 - melanin)
    return Pigments(
        melanin.clamp(-0.98, 0.98),
        haemoglobin.clamp(-0.98, 0.98),
        detail.relief * (1.0 - 0.7 * hairy),
        hairy,
        lips,
    )


def _lips(draws: Draws, at: _Places, lips: Tensor, *, made_up: bool) -> tuple[Tensor, Tensor]:
    """What lips, bare or painted, add to melanin and haemoglobin."""
    folds = 1.0 + 0.12 * at.read(draws.field(40))[0]
    melanin, haemoglobin = draws.uniform(-0.06, 0.12), draws.uniform(0.25, 0.65)
    if made_up and draws.chance(0.6):
        melanin, haemoglobin = draws.uniform(-0.12, 0.2), draws.uniform(0.5, 1.1)
    return lips * melanin, lips * folds * haemoglobin


def _darker_places(draws: Draws, who: Identity, at: _Places) -> Tensor:
    """Melanin of lids, rings under the eyes, forehead, mouth's surroundings, and lines that the sun left."""
    rings = draws.uniform(0.0, 0.16) * at.around(EYE_X, EYE_Y - 0.02, 0.15, 0.1)
    forehead = draws.gaussian(0.04) * at.around(0.0, 0.55, 0.5, 0.2)
    cheeks = -draws.uniform(0.0, 0.06) * at.around(0.4, -0.12, 0.2, 0.2)
    mouth = draws.uniform(0.0, 0.1) * (1.0 - 0.7 * who.light)
    darker = rings + forehead + cheeks + mouth * at.around(0.0, MOUTH_Y, 0.3, 0.13)
    if draws.chance(0.06):  # of a hat
        edge = draws.uniform(0.38, 0.62) + 0.03 * at.x
        darker = darker - draws.uniform(0.04, 0.12) * torch.sigmoid((at.y - edge) / 0.015)
    if draws.chance(0.05):  # of glasses
        darker = darker - draws.uniform(0.03, 0.1) * at.around(EYE_X, EYE_Y, 0.2, 0.13)
    return darker


def _redder_places(draws: Draws, at: _Places) -> Tensor:
    """Haemoglobin of cheeks, nose, chin and lids, and the pallor of some foreheads."""
    flushed = draws.uniform(0.0, 0.3)
    cheeks = draws.uniform(0.4, 1.2) * at.around(0.4, -0.2, 0.18, 0.17)
    nose = draws.uniform(0.4, 1.4) * at.around(0.0, -0.27, 0.13, 0.11)
    chin = draws.uniform(0.0, 1.0) * at.around(0.0, -0.85, 0.16, 0.1)
    lids = draws.uniform(0.0, 0.14) * at.around(EYE_X, EYE_Y - 0.08, 0.13, 0.06)
    wings = draws.uniform(0.0, 0.2) * at.around(0.12, -0.33, 0.05, 0.06)
    pale = draws.uniform(-0.05, 0.12) * at.around(0.0, 0.5, 0.5, 0.2)
    return flushed * (cheeks + nose + chin) + lids + wings - pale


def _beard(draws: Draws, who: Identity, view: View, at: _Places, fine: Tensor) -> Tensor:
    """Where beard hides the skin, 0..1: a shadow, stubble or grown; whole or of mouth and chin alone."""
    none = torch.zeros_like(at.x)
    if who.masculine < 0.55 or who.child or draws.chance(0.25):
        return none
    thickness = (0.8 + 0.25 * at.read(draws.field(30))[0]).clamp(0.1, 1.2)
    grown = beard(view.surface.point) * ~view.surface.ear * at.front
    if draws.chance(0.3):  # moustache and chin
        grown = grown * torch.sigmoid((draws.uniform(0.16, 0.3) - at.ax) / 0.03)
    kind = draws.uniform(0.0, 1.0)
    if kind < 0.5:  # shaved: hairs below the surface
        density, rough = draws.uniform(0.05, 0.3), 0.3
    elif kind < 0.8:
        density, rough = draws.uniform(0.25, 0.6), 0.6
    else:
        density, rough = draws.uniform(0.65, 1.0), 0.3
    return (density * thickness * grown * (1.0 + rough * fine)).clamp(0.0, 1.0)
