"""Melanin and haemoglobin of a face: its skin's, and what lips, brows, beard and lashes add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .draws import Draws
from .features import EYE_X, EYE_Y, beard
from .identity import Identity
from .parts import Parts
from .shape import read_texture
from .view import View

__all__ = ["draw_pigments"]

USUAL_BLOOD = {"published": -0.16, "measured": 0.4}
"""Middle of the haemoglobin of faces; the measured faces' median is 0.32, of more dark skins."""


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


def draw_pigments(draws: Draws, who: Identity, view: View, parts: Parts) -> tuple[Tensor, Tensor]:
    """Melanin and haemoglobin map values on all samples: two (S, S)."""
    x, y, _ = view.surface.point
    at = _Places(x, y, x.abs(), (~parts.neck.shown).float())
    fields = torch.cat((draws.field(5), draws.field(9), draws.field(5), draws.field(10)), dim=1)
    low_m, high_m, low_h, high_h = at.read(fields)
    lips, brows = parts.lips, parts.brows

    melanin = _skin_melanin(draws, who, at, 0.05 * low_m, 0.025 * high_m)
    haemoglobin = _skin_haemoglobin(draws, who, at, 0.05 * low_h, 0.03 * high_h)
    haemoglobin = haemoglobin + 0.12 * view.surface.ear
    redness = draws.uniform(0.32, 0.7)
    haemoglobin = haemoglobin + redness * lips
    melanin = melanin + lips * draws.uniform(-0.05, 0.12)

    hairs = float(np.clip(0.75 - 1.6 * who.hair_colour.mean(), 0.15, 0.8))
    hairs = max(hairs, who.melanin + 0.08)
    melanin = melanin + brows * draws.uniform(0.55, 0.95) * (hairs - melanin)
    if who.masculine > 0.55 and not who.child and draws.chance(0.5):
        thickness = (0.85 + 0.2 * at.read(draws.field(60))[0]).clamp(0.2, 1.0)
        grown = beard(view.surface.point) * ~view.surface.ear
        density = draws.uniform(0.1, 0.95) * thickness * grown
        density = density * (1.0 - lips) * at.front
        melanin = melanin + density * (hairs - melanin)
        haemoglobin = haemoglobin - 0.2 * density
    # Lashes and the shadow of the lid's edge.
    melanin = melanin + 0.7 * parts.lid * at.front * (0.85 - melanin)
    melanin = melanin + 0.75 * parts.nostril * at.front * (0.9 - melanin)
    return melanin.clamp(-0.98, 0.98), haemoglobin.clamp(-0.98, 0.98)


def _skin_melanin(draws: Draws, who: Identity, at: _Places, low: Tensor, high: Tensor) -> Tensor:
    """Of skin: lighter cheeks, darker lids, freckles and moles; ``low`` and ``high`` vary it."""
    ax, y = at.ax, at.y
    melanin = who.melanin + low + high
    melanin = melanin - 0.05 * torch.exp(-(((ax - 0.4) / 0.2) ** 2) - ((y + 0.12) / 0.2) ** 2)
    melanin = melanin + draws.uniform(0.0, 0.1) * torch.exp(
        -(((ax - EYE_X) / 0.14) ** 2) - ((y - EYE_Y + 0.02) / 0.09) ** 2
    )
    if who.drawn_melanin < 0.0 and draws.chance(0.25):
        freckles = at.read(draws.spots(0.03))[0]
        if who.melanin < 0.0:  # most on nose and cheeks
            where = torch.exp(-(((y + 0.08) / 0.25) ** 2)) * at.front
            melanin = melanin + 0.4 * freckles * where
    if draws.chance(0.3):  # moles
        melanin = melanin + 0.7 * at.read(draws.spots(0.0006))[0] * at.front
    return melanin


def _skin_haemoglobin(
    draws: Draws, who: Identity, at: _Places, low: Tensor, high: Tensor
) -> Tensor:
    """Of skin: flushed places, blemishes and rings under the eyes; ``low`` and ``high`` vary it."""
    ax, y = at.ax, at.y
    haemoglobin = (
        USUAL_BLOOD[who.skin]
        + draws.uniform(-0.18, 0.18)
        - 0.1 * max(who.melanin, 0.0)
        + low
        + high
        + draws.uniform(0.02, 0.2) * _flush(ax, y) * at.front
    )
    if draws.chance(0.25):  # blemishes
        haemoglobin = haemoglobin + 0.3 * at.read(draws.spots(0.004))[0] * at.front
    under_eyes = torch.exp(-(((ax - EYE_X) / 0.11) ** 2) - ((y - EYE_Y + 0.11) / 0.04) ** 2)
    return haemoglobin + draws.uniform(0.0, 0.12) * under_eyes * at.front


def _flush(ax: Tensor, y: Tensor) -> Tensor:
    """Places that blush: cheeks, tip of the nose, chin."""
    cheeks = torch.exp(-(((ax - 0.4) / 0.17) ** 2) - ((y + 0.2) / 0.16) ** 2)
    nose = torch.exp(-((ax / 0.12) ** 2) - ((y + 0.27) / 0.11) ** 2)
    chin = 0.5 * torch.exp(-((ax / 0.15) ** 2) - ((y + 0.85) / 0.1) ** 2)
    return cheeks + nose + chin
