"""Melanin and haemoglobin of a face: its skin's, and what lips, brows, beard, make-up and lashes add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...system.lasting import kept
from .canvas import spot, texture_places
from .detail import draw_detail
from .draws import Draws
from .features import EYE_X, EYE_Y, MOUTH_Y, beard, smoothstep
from .identity import Identity
from .lips import draw_lips
from .parts import Parts
from .shape import read_texture
from .strokes import beard_noise, draw_brow_hairs, draw_lashes
from .view import View

__all__ = ["Pigments", "draw_pigments"]


UNEVEN = 1.5, 2.2
"""How much more melanin and blood of patches differ on heads of a model than on parametric ones: their skin
is as uneven as in photographs then (`benchmarks.face_statistics`)."""

HAIR_BLOOD = -0.6
"""Map value of hairs on heads of a model."""


@dataclass(frozen=True)
class Pigments:
    """What the skin of all samples is like, each (S, S)."""

    melanin: Tensor
    haemoglobin: Tensor
    """Map values."""
    relief: Tensor
    """Height of pores and lines."""
    oily: Tensor
    """0..1, how much a place shines in those whose skin is oily."""
    hairy: Tensor
    """0..1, how much of it is hair: brows and beard."""
    lips: Tensor
    """0..1"""


def draw_pigments(
    draws: Draws, who: Identity, view: View, parts: Parts, fuzz: Tensor | None = None
) -> Pigments:
    """Draw the skin of a face, of which single hairs at the edge of the head's hide ``fuzz``, 0..1."""
    x, y, _ = view.surface.point
    front = (~view.surface.neck).float()
    lips = parts.lips
    made_up = who.masculine < 0.5 and not who.child and draws.chance(0.55)
    even = draws.uniform(0.25, 0.8) if made_up else 1.0  # foundation hides what is uneven
    uneven = UNEVEN if who.modelled else (1.0, 1.0)
    detail = draw_detail(draws, light=who.light, age=who.age, uneven=uneven)
    painted = torch.stack(
        (
            even * (detail.melanin + _darker_places(draws, who)) + _shadow(draws, made_up=made_up),
            even * (detail.haemoglobin + _redder_places(draws)) + _blush(draws, made_up=made_up),
            detail.relief,
            _oily_places(),
            *draws.field(40, 2)[0],
        )
    )
    of_melanin, of_blood, relief, oily, folds, thick = read_texture(painted[None], x, y)
    marks = even * read_texture(detail.marks, x, y) * front
    fine = draws.grain(x)

    # On the neck and the throat only what is even, and patches.
    melanin = who.melanin + of_melanin * (0.3 + 0.7 * front) + marks[0] + detail.grain[0] * fine
    haemoglobin = who.haemoglobin + of_blood * (0.3 + 0.7 * front) + marks[1]
    haemoglobin = haemoglobin + detail.grain[1] * fine.flip(0)
    haemoglobin = haemoglobin + draws.uniform(0.05, 0.3) * view.surface.ear
    lip_melanin, lip_blood = draw_lips(draws, who, made_up=made_up)
    melanin = melanin + lips * lip_melanin
    if who.modelled:  # the upper lip is darker, most of all that of dark skin
        upper = torch.sigmoid((y - MOUTH_Y) / 0.012)
        melanin = melanin + lips * upper * draws.uniform(0.0, 0.25) * (1.0 - who.light)
    haemoglobin = haemoglobin + lips * (1.0 + 0.12 * folds) * lip_blood

    hairs = _melanin_of_hairs(who)
    hairy = _hairy(draws, who, view, parts, (thick, fine.flip(1)), fuzz)
    melanin = melanin + hairy * (hairs - melanin)
    if who.modelled:  # hairs hold no blood
        haemoglobin = haemoglobin + 0.8 * hairy * (HAIR_BLOOD - haemoglobin)
    else:
        haemoglobin = haemoglobin - 0.25 * hairy
    # Lashes and the shadow of the lid's edge.
    liner = draws.uniform(0.8, 1.3) if made_up else draws.uniform(0.5, 0.8)
    lashes = (liner * parts.lid).clamp(max=1.0)
    if who.modelled:
        lashes = torch.maximum(lashes, draw_lashes(draws, parts.lid, x, y, made_up=made_up))
    melanin = melanin + lashes * (0.88 - melanin)
    melanin = melanin + 0.75 * parts.nostril * (0.9 - melanin)
    return Pigments(
        melanin.clamp(-0.98, 0.98),
        haemoglobin.clamp(-0.98, 0.98),
        (relief + 0.55 * fine.flip((0, 1))) * front * (1.0 - 0.7 * hairy),
        oily.clamp(max=1.0) * front,
        hairy,
        lips,
    )


def _darker_places(draws: Draws, who: Identity) -> Tensor:
    """Melanin of lids, rings under the eyes, forehead, mouth's surroundings, and lines that the sun left."""
    rings = draws.uniform(0.0, 0.16) * spot(EYE_X, EYE_Y - 0.02, 0.15, 0.1)
    forehead = draws.gaussian(0.04) * spot(0.0, 0.55, 0.5, 0.2)
    cheeks = draws.uniform(0.0, 0.06) * spot(0.4, -0.12, 0.2, 0.2)
    mouth = draws.uniform(0.0, 0.1) * (1.0 - 0.7 * who.light) * spot(0.0, MOUTH_Y, 0.3, 0.13)
    if who.modelled:  # those of light skin are darker than the forehead
        cheeks = (1.0 - 2.0 * who.light) * cheeks
    darker = rings + forehead - cheeks + mouth
    if who.modelled:
        sides = spot(0.66, 0.1, 0.14, 0.3) + spot(0.5, -0.62, 0.14, 0.16)
        lids = spot(EYE_X, EYE_Y + 0.06, 0.13, 0.05)
        darker = 1.4 * darker + draws.uniform(0.0, 0.16) * sides + draws.uniform(0.0, 0.14) * lids
    if draws.chance(0.06):  # of a hat
        x, y = texture_places()
        edge = draws.uniform(0.38, 0.62) + 0.03 * x
        darker = darker - draws.uniform(0.04, 0.12) * torch.sigmoid((y[:, None] - edge) / 0.02)
    if draws.chance(0.05):  # of glasses
        darker = darker - draws.uniform(0.03, 0.1) * spot(EYE_X, EYE_Y, 0.2, 0.13)
    return darker


def _redder_places(draws: Draws) -> Tensor:
    """Haemoglobin of cheeks, nose, chin and lids, and the pallor of some foreheads."""
    flushed = draws.uniform(0.0, 0.3)
    cheeks = draws.uniform(0.4, 1.2) * spot(0.4, -0.2, 0.18, 0.17)
    nose = draws.uniform(0.4, 1.4) * spot(0.0, -0.27, 0.13, 0.11)
    chin = draws.uniform(0.0, 1.0) * spot(0.0, -0.85, 0.16, 0.1)
    lids = draws.uniform(0.0, 0.14) * spot(EYE_X, EYE_Y - 0.08, 0.13, 0.06)
    wings = draws.uniform(0.0, 0.2) * spot(0.12, -0.33, 0.05, 0.06)
    pale = draws.uniform(-0.05, 0.12) * spot(0.0, 0.5, 0.5, 0.2)
    return flushed * (cheeks + nose + chin) + lids + wings - pale


def _shadow(draws: Draws, *, made_up: bool) -> Tensor:
    """Melanin of what is painted on the lids."""
    return made_up * draws.uniform(0.0, 0.25) * spot(EYE_X, EYE_Y + 0.07, 0.15, 0.06)


def _blush(draws: Draws, *, made_up: bool) -> Tensor:
    """Haemoglobin of what is painted on the cheeks."""
    return made_up * draws.uniform(0.0, 0.3) * spot(0.42, -0.12, 0.16, 0.13)


@kept
def _oily_places() -> Tensor:
    """Forehead, bridge and tip of the nose, cheek bones, chin and lower lip."""
    return (
        spot(0.0, 0.5, 0.32, 0.18)
        + spot(0.0, -0.12, 0.09, 0.24)
        + 0.6 * spot(0.4, -0.02, 0.16, 0.12)
        + 0.5 * spot(0.0, -0.85, 0.12, 0.09)
        + 0.6 * spot(0.0, MOUTH_Y - 0.05, 0.14, 0.03)
    )


def _melanin_of_hairs(who: Identity) -> float:
    """Map value of the hairs of brows and beard: on heads of a model dark as that of the head or darker."""
    light = float(who.hair_colour.mean())
    most = (0.97, 1.4) if who.modelled else (0.75, 1.6)
    found = float(np.clip(most[0] - most[1] * light, 0.15, 0.95 if who.modelled else 0.85))
    return max(found, who.melanin + 0.1)


def _hairy(
    draws: Draws,
    who: Identity,
    view: View,
    parts: Parts,
    noise: tuple[Tensor, Tensor],
    fuzz: Tensor | None,
) -> Tensor:
    """How much of the skin brows, beard and hairs at the edge of the head's, ``fuzz``, hide, 0..1: (S, S).

    ``noise`` is that of a beard's thickness, and fine.
    """
    front = (~view.surface.neck).float()
    hairy, grain = _brow_hairs(draws, who, view, parts.brows, noise[1])
    grown = _beard(draws, who, view, noise[0], grain)
    if grown is not None:
        y = view.surface.point[1]
        below = smoothstep(-1.45, -1.0, y) if who.modelled else 0.0  # the throat
        where = torch.where(front > 0.0, front, below) * (1.0 - parts.lips)
        hairy = torch.maximum(hairy, grown * where)
    if fuzz is not None:  # less is seen of fair hairs
        hairy = torch.maximum(
            hairy, fuzz * min(1.0, max(0.15, 1.1 - 6.0 * float(who.hair_colour.mean())))
        )
    return hairy


def _brow_hairs(
    draws: Draws, who: Identity, view: View, brows: Tensor, fine: Tensor
) -> tuple[Tensor, Tensor]:
    """How much of the skin brows hide, 0..1, and a beard's noise; of single hairs on heads of a model."""
    x, y, _ = view.surface.point
    if who.modelled:
        return draw_brow_hairs(draws, brows, x, y), beard_noise(view.surface.point)
    strokes = (1.0 + 0.35 * fine).clamp(0.2, 1.6)
    return (brows * draws.uniform(0.45, 0.95) * strokes).clamp(0.0, 1.0), fine


def _beard(draws: Draws, who: Identity, view: View, thick: Tensor, fine: Tensor) -> Tensor | None:
    """Where beard hides the skin, 0..1: a shadow, stubble or grown; whole or of mouth and chin alone."""
    if who.masculine < 0.55 or who.child or draws.chance(0.25):
        return None
    soft = (0.06, 0.02 * thick) if who.modelled else (0.035, 0.0)
    grown = beard(view.surface.point, *soft)
    grown = grown * ~view.surface.ear
    if draws.chance(0.15 if who.modelled else 0.3):  # moustache and chin
        edge = draws.uniform(0.16, 0.3)
        side = 0.05 if who.modelled else 0.03
        grown = grown * torch.sigmoid((edge - view.surface.point[0].abs()) / side)
    kind = draws.uniform(0.0, 1.0)
    if kind < 0.5:  # shaved: hairs below the surface
        density, rough = draws.uniform(0.05, 0.3), 0.3
    elif kind < 0.8:
        density, rough = draws.uniform(0.25, 0.6), 0.35 if who.modelled else 0.6
    else:
        density, rough = draws.uniform(0.65, 1.0), 0.3
    thickness = 0.9 + 0.12 * thick if who.modelled else (0.8 + 0.25 * thick).clamp(0.1, 1.2)
    return (density * thickness * grown * (1.0 + rough * fine)).clamp(0.0, 1.0)
