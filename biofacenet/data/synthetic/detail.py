"""What skin shows from near: patches at several scales, marks, vessels, and the relief of pores and lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws
from .features import EYE_X, EYE_Y
from .shape import read_texture
from .spots import spots_at, stroke

__all__ = ["Detail", "draw_detail", "grain"]


@dataclass(frozen=True)
class Detail:
    """What is added to the even skin of a face, each (S, S)."""

    melanin: Tensor
    haemoglobin: Tensor
    relief: Tensor
    """Height of pores, bumps and lines, about 1 in the deepest."""


def grain(draws: Draws, like: Tensor) -> Tensor:
    """Noise of unit variance as fine as the samples and twice as fine as the pixels: (S, S)."""
    rows, columns = like.shape
    noise = torch.from_numpy(draws.rng.standard_normal((rows, columns), dtype=np.float32))
    return 1.6 * F.avg_pool2d(noise[None, None], 3, 1, 1)[0, 0] + 0.5 * noise


def draw_detail(
    draws: Draws, x: Tensor, y: Tensor, front: Tensor, *, light: float, age: float
) -> Detail:
    """Draw the marks and patches of a face.

    Args:
        draws: of this face.
        x: canonical places of the samples, (S, S).
        y: the same, up.
        front: 1 on the head, 0 on the neck, (S, S).
        light: how light the skin is, 0 to 1; freckles are seen on light skin.
        age: 0 for the young to 1 for the old.
    """
    even = draws.uniform(0.5, 1.3)  # how uneven this skin is
    fields = [draws.field(cells) for cells in (4, 9, 22, 48, 4, 9, 22, 48)]
    marks_m, marks_h = _marks(draws, light, age)
    read = read_texture(torch.cat(fields, dim=1), x, y)
    spots = read_texture(torch.cat((marks_m, marks_h), dim=1), x, y) * front
    scales_m = torch.tensor([0.035, 0.022, 0.016, 0.014])[:, None, None]
    scales_h = torch.tensor([0.07, 0.06, 0.05, 0.045])[:, None, None]
    fine = grain(draws, x)
    melanin = even * (scales_m * read[:4]).sum(dim=0) + 0.012 * even * fine
    haemoglobin = even * (scales_h * read[4:]).sum(dim=0) + 0.03 * even * fine.flip(0)
    if draws.chance(0.12 + 0.2 * age):  # small vessels of cheeks and nose
        lines = torch.exp(-(((read[6] + 0.6 * read[7]) / 0.13) ** 2))
        haemoglobin = haemoglobin + draws.uniform(0.08, 0.22) * lines * _cheeks_and_nose(x, y)
    relief = 0.55 * grain(draws, x) + 0.35 * read[3] + _lines(draws, x, y, age)
    return Detail(melanin + spots[0], haemoglobin + spots[1], relief * front)


def _marks(draws: Draws, light: float, age: float) -> tuple[Tensor, Tensor]:
    """Freckles, moles, lentigines, blemishes and scars, of melanin and of haemoglobin."""
    melanin = _scattered(draws, 1 + int(draws.rng.integers(0, 7)), (0.008, 0.02), (0.15, 0.6))
    if draws.chance(0.4):
        melanin = 0.3 * melanin
    if draws.chance(0.4 * light):
        amount = draws.uniform(0.06, 0.28)
        places = draws.rng.normal(0.0, 1.0, (int(draws.rng.integers(60, 350)), 2))
        places = places * (0.36, 0.26) + (0.0, 0.0)
        sizes = draws.rng.uniform(0.007, 0.02, len(places))
        melanin = melanin + spots_at(
            places, sizes, amount * draws.rng.uniform(0.3, 1.2, len(places))
        )
    if draws.chance(0.1 + 0.6 * age):
        count = int(draws.rng.integers(3, 22))
        melanin = melanin + _scattered(draws, count, (0.015, 0.03), (0.05, 0.18))
    haemoglobin = _scattered(draws, 1, (0.01, 0.02), (0.0, 0.3))
    if draws.chance(0.4 - 0.25 * age):
        count = int(draws.rng.integers(2, 30))
        haemoglobin = haemoglobin + _scattered(draws, count, (0.01, 0.028), (0.08, 0.45))
        if draws.chance(0.4):  # and what they leave
            count = int(draws.rng.integers(2, 20))
            melanin = melanin + _scattered(draws, count, (0.01, 0.025), (0.03, 0.15))
    if draws.chance(0.07):
        start = draws.rng.uniform((-0.55, -0.8), (0.55, 0.55))
        angle, length = draws.uniform(0.0, 6.28), draws.uniform(0.08, 0.25)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
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


def _cheeks_and_nose(x: Tensor, y: Tensor) -> Tensor:
    cheeks = torch.exp(-(((x.abs() - 0.38) / 0.2) ** 2) - ((y + 0.2) / 0.17) ** 2)
    return cheeks + torch.exp(-((x / 0.12) ** 2) - ((y + 0.28) / 0.1) ** 2)


def _lines(draws: Draws, x: Tensor, y: Tensor, age: float) -> Tensor:
    """Lines across the forehead, beside the eyes and from nose to mouth, deeper with age: (S, S)."""
    depth = age * draws.uniform(0.5, 2.0)
    waves = 0.02 * torch.sin(7.0 * x + draws.uniform(0.0, 6.0))
    rows = torch.sin((y + waves) * draws.uniform(60.0, 90.0)).clamp(min=0.0) ** 4
    forehead = rows * torch.exp(-((x / 0.38) ** 2) - ((y - 0.52) / 0.14) ** 2)
    away = ((x.abs() - EYE_X - 0.1) / 0.12).clamp(0.0, 1.0)
    fan = torch.sin((y - EYE_Y) / (0.1 + 0.5 * away) * 24.0).clamp(min=0.0) ** 4
    crows = (
        fan * away * torch.exp(-(((x.abs() - 0.52) / 0.08) ** 2) - ((y - EYE_Y + 0.02) / 0.12) ** 2)
    )
    return -depth * (forehead + 0.8 * crows)
