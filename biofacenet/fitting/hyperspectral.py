"""Skin, shading and highlight of each pixel of a spectral image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..physics.spectra import BANDS
from ..physics.tables import Tables
from ..system.brief import Brief
from ..system.device import plain_defaults
from .levenberg_marquardt import Problems, minimise

__all__ = ["LEAST_DIFFUSE", "LEAST_SPECULAR", "Inversion", "invert"]

GRID = 32
"""Steps along each axis of the table that the search tries."""

STEPS = 30

CHUNK = 2048
"""Pixels that are searched for at once."""

LEAST_DIFFUSE, LEAST_SPECULAR = 1e-4, 1e-4

# Inverting the skin model --------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Inversion(Brief):
    """What the skin model makes of reflectances: each (1, 1, H, W)."""

    melanin: Tensor
    haemoglobin: Tensor
    diffuse: Tensor
    """Factor on the model's reflectance, >= 0."""
    specular: Tensor
    """Added to it, the same at all wavelengths, >= 0."""
    error: Tensor
    """Root mean square difference of what the model gives to the reflectance."""


@plain_defaults()
def invert(
    reflectance: Tensor,
    *,
    skin: Tensor | None = None,
    tick: Callable[[int], object] = lambda _: None,
) -> Inversion:
    """The skin, shading and highlight of each pixel's spectrum: r = diffuse * R(m, h) + specular.

    The table is searched on a grid, with the best diffuse and specular in closed form for each of its
    entries, and the best one is refined by steps of Levenberg and Marquardt.

    Args:
        reflectance: (33, H, W).
        skin: table (256, 256, 33), rows haemoglobin and columns melanin; the published one when not
            given.
        tick: told of how many pixels are done.

    Example:
        >>> found = invert(read_scene("face.mat").reflectance())  # doctest: +SKIP
    """
    if reflectance.ndim != 3 or len(reflectance) != BANDS:
        raise ValueError(
            f"reflectance must have shape ({BANDS}, H, W), got {tuple(reflectance.shape)}"
        )
    height, width = reflectance.shape[1:]
    table = (Tables.computed().skin if skin is None else skin).double()
    spectra = reflectance.double().flatten(1).T
    parts = []
    for part in torch.split(spectra, CHUNK):
        parts.append(_refined(_searched(part, table), part, table))
        tick(len(part))
    unknowns = torch.cat(parts)
    error = (_model(unknowns, table) - spectra).square().mean(dim=1).sqrt()
    planes = torch.cat((unknowns, error[:, None]), dim=1).T.reshape(5, 1, 1, height, width)
    return Inversion(*planes.float().unbind())


def _searched(spectra: Tensor, table: Tensor) -> Tensor:
    """The best entry of a grid for each spectrum (N, 33): melanin, haemoglobin, diffuse, specular."""
    line = torch.linspace(-1.0, 1.0, GRID, dtype=torch.float64)
    pigments = torch.cartesian_prod(line, line)
    known, _ = _read(table, pigments)
    mean, level = known.mean(dim=1), spectra.mean(dim=1, keepdim=True)
    shape = known - mean[:, None]
    # With a free constant, only what deviates from the mean matters; without, all of it.
    square = shape.square().sum(dim=1).clamp(min=1e-12)
    free = (spectra @ shape.T / square).clamp(min=0.0)
    constant = level - free * mean
    whole = known.square().sum(dim=1)
    alone = (spectra @ known.T / whole).clamp(min=0.0)
    total = spectra.square().sum(dim=1, keepdim=True)
    deviation = total - BANDS * level.square()
    error = torch.where(
        constant >= 0.0,
        deviation - 2.0 * free * (spectra @ shape.T) + free.square() * square,
        total - 2.0 * alone * (spectra @ known.T) + alone.square() * whole,
    )
    best = error.argmin(dim=1, keepdim=True)
    positive = constant.gather(1, best) >= 0.0
    diffuse = torch.where(positive, free.gather(1, best), alone.gather(1, best))
    specular = constant.gather(1, best).clamp(min=0.0)
    return torch.cat((pigments[best[:, 0]], diffuse, specular), dim=1)


def _read(table: Tensor, unknowns: Tensor) -> tuple[Tensor, Tensor]:
    """Skin (N, 33) of melanin and haemoglobin (N, 2 or more), and its derivatives (N, 33, 2).

    The bilinear read of `skin.look_up`, where a table's cell has its own slopes.
    """
    last = len(table) - 1
    place = (unknowns[:, :2] + 1.0) / 2.0 * last
    low = place.floor().clamp(0, last - 1).long()
    column, row = low.unbind(dim=1)
    x, y = (place - low).unsqueeze(2).unbind(dim=1)
    corners = [table[row + i, column + j] for i in (0, 1) for j in (0, 1)]
    upper, lower = torch.lerp(corners[0], corners[1], x), torch.lerp(corners[2], corners[3], x)
    along = torch.lerp(corners[1] - corners[0], corners[3] - corners[2], y)
    slopes = torch.stack((along, lower - upper), dim=2) * (last / 2.0)
    return torch.lerp(upper, lower, y), slopes


def _model(unknowns: Tensor, table: Tensor) -> Tensor:
    """Spectra (N, 33) of melanin, haemoglobin, diffuse and specular (N, 4)."""
    return unknowns[:, 2:3] * _read(table, unknowns)[0] + unknowns[:, 3:]


def _slopes(unknowns: Tensor, table: Tensor) -> Tensor:
    """Derivatives of `_model`: (N, 33, 4)."""
    skin, along_pigments = _read(table, unknowns)
    along_diffuse = skin.unsqueeze(2)
    return torch.cat(
        (
            unknowns[:, 2, None, None] * along_pigments,
            along_diffuse,
            torch.ones_like(along_diffuse),
        ),
        dim=2,
    )


def _refined(unknowns: Tensor, spectra: Tensor, table: Tensor) -> Tensor:
    """The best unknowns (N, 4) near some, within their ranges."""
    problems = Problems(
        lambda unknowns, which: _model(unknowns, table) - spectra[which],
        low=spectra.new_tensor([-1.0, -1.0, LEAST_DIFFUSE, 0.0]),
        high=spectra.new_tensor([1.0, 1.0, torch.inf, torch.inf]),
        slopes=lambda unknowns, _: _slopes(unknowns, table),
    )
    return minimise(problems, unknowns, steps=STEPS).unknowns
