"""What skin shows from near: patches at several scales, marks, vessels, and the relief of pores and lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .canvas import spot, texture_places
from .draws import Draws
from .features import EYE_X, EYE_Y
from .spots import spots_at, stroke

__all__ = ["Detail", "draw_detail"]


@dataclass(frozen=True)
class Detail:
    """What is added to the even skin of a face, as textures over the canonical area."""

    melanin: Tensor
    haemoglobin: Tensor
    relief: Tensor
    """Height of bumps and lines, about 1 in the deepest."""
    marks: Tensor
    """Small marks of melanin and of haemoglobin, (1, 2, *FINE)."""
    grain: tuple[float, float]
    """How much melanin and haemoglobin vary from one sample to the next."""


def draw_detail(
    draws: Draws, *, light: float, age: float, uneven: tuple[float, float] = (1.0, 1.0)
) -> Detail:
    """Draw the marks and patches of a face.

    Args:
        draws: of this face.
        light: how light the skin is, 0 to 1; freckles are seen on light skin.
        age: 0 for the young to 1 for the old.
        uneven: how much more melanin and haemoglobin of patches differ than on parametric heads.
    """
    even = draws.uniform(0.5, 1.3)  # how uneven this skin is
    scales = zip(
        (4, 9, 22, 48), (0.035, 0.022, 0.016, 0.014), (0.07, 0.06, 0.05, 0.045), strict=True
    )
    melanin, haemoglobin = torch.zeros(()), torch.zeros(())
    for cells, of_melanin, of_blood in scales:
        patches = draws.field(cells, 3)[0]
        melanin = melanin + even * uneven[0] * of_melanin * patches[0]
        haemoglobin = haemoglobin + even * uneven[1] * of_blood * patches[1]
    relief = 0.35 * patches[2]
    if draws.chance(0.12 + 0.2 * age):  # small vessels of cheeks and nose
        lines = torch.exp(-((patches[1] / 0.13) ** 2))
        places = spot(0.38, -0.2, 0.2, 0.17) + spot(0.0, -0.28, 0.12, 0.1)
        haemoglobin = haemoglobin + draws.uniform(0.08, 0.22) * lines * places
    relief = relief + _lines(draws, age)
    marks = torch.cat(_marks(draws, light, age), dim=1)
    return Detail(melanin, haemoglobin, relief, marks, (0.022 * even, 0.05 * even))


def _marks(draws: Draws, light: float, age: float) -> tuple[Tensor, Tensor]:
    """Freckles, moles, lentigines, blemishes and scars, of melanin and of haemoglobin."""
    moles = int(draws.rng.integers(0, 5))
    melanin = _scattered(draws, moles, (0.006, 0.014), (0.1, 0.6))
    if draws.chance(0.35 * light):
        amount = draws.uniform(0.04, 0.18)
        places = draws.rng.normal(0.0, (0.36, 0.26), (int(draws.rng.integers(80, 400)), 2))
        sizes = draws.rng.uniform(0.005, 0.014, len(places))
        amounts = amount * draws.rng.uniform(0.2, 1.2, len(places))
        melanin = melanin + spots_at(places, sizes, amounts)
    if draws.chance(0.1 + 0.6 * age):
        count = int(draws.rng.integers(3, 22))
        melanin = melanin + _scattered(draws, count, (0.012, 0.03), (0.04, 0.15))
    haemoglobin = _scattered(draws, 1, (0.01, 0.02), (0.0, 0.3))
    if draws.chance(0.4 - 0.25 * age):
        count = int(draws.rng.integers(2, 30))
        haemoglobin = haemoglobin + _scattered(draws, count, (0.008, 0.022), (0.08, 0.4))
        if draws.chance(0.4):  # and what they leave
            count = int(draws.rng.integers(2, 20))
            melanin = melanin + _scattered(draws, count, (0.008, 0.02), (0.02, 0.1))
    if draws.chance(0.07):
        start = draws.rng.uniform((-0.55, -0.8), (0.55, 0.55))
        angle, length = draws.uniform(0.0, 2.0 * math.pi), draws.uniform(0.08, 0.25)
        end = start + length * np.array([math.cos(angle), math.sin(angle)])
        scar = stroke(start, end, draws.uniform(0.007, 0.014), draws.uniform(-0.2, 0.2))
        melanin = melanin - draws.uniform(0.0, 0.1) * scar
        haemoglobin = haemoglobin + draws.uniform(-0.15, 0.3) * scar
    return melanin, haemoglobin


def _scattered(
    draws: Draws, count: int, radii: tuple[float, float], amounts: tuple[float, float]
) -> Tensor:
    """Spots anywhere on the face."""
    places = draws.rng.uniform((-0.75, -1.0), (0.75, 0.65), (count, 2))
    return spots_at(places, draws.rng.uniform(*radii, count), draws.rng.uniform(*amounts, count))


def _lines(draws: Draws, age: float) -> Tensor:
    """Lines across the forehead and beside the eyes, deeper with age, as a texture."""
    depth = age * draws.uniform(0.5, 2.0)
    phase, pitch = draws.uniform(0.0, 6.0), draws.uniform(50.0, 75.0)
    if depth < 0.1:
        return torch.zeros(())
    x, rows = texture_places()
    y = rows[:, None]
    folds = torch.sin((y + 0.02 * torch.sin(7.0 * x + phase)) * pitch).clamp(min=0.0) ** 4
    away = ((x.abs() - EYE_X - 0.1) / 0.12).clamp(0.0, 1.0)
    fan = torch.sin((y - EYE_Y) / (0.1 + 0.5 * away) * 24.0).clamp(min=0.0) ** 4
    beside = fan * away * spot(0.52, EYE_Y - 0.02, 0.08, 0.12)
    return -depth * (folds * spot(0.0, 0.52, 0.38, 0.14) + 0.8 * beside)
