"""Correlated colour temperature of any spectrum, and its distance from the Planckian locus.

Source: CIE 15:2018, section 9.5 (nearest Planckian radiator in the CIE 1960 uv diagram); the sign of
Duv after ANSI C78.377: above the locus, toward green, is positive.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..system.lasting import kept
from .colour import observer
from .spectra import WAVELENGTHS

__all__ = [
    "correlated_temperature",
]

SECOND_RADIATION = 1.4388e-2
"""c2 of Planck's law, m K, as the temperatures of CIE illuminants are defined."""

LOWEST, HIGHEST = 1000.0, 100_000.0

NODES = 4000


def _uv(spectra: Tensor) -> Tensor:
    """CIE 1960 u, v of spectra (..., 33): (..., 2)."""
    x, y, z = (spectra @ observer().to(spectra).T).unbind(dim=-1)
    whole = x + 15.0 * y + 3.0 * z
    return torch.stack((4.0 * x / whole, 6.0 * y / whole), dim=-1)


@kept
def _locus() -> tuple[Tensor, Tensor]:
    """Temperatures at even steps of their reciprocal, and u, v of the Planckian radiators there."""
    reciprocal = torch.linspace(1.0 / HIGHEST, 1.0 / LOWEST, NODES, dtype=torch.float64)
    metres = 1e-9 * torch.tensor(list(WAVELENGTHS), dtype=torch.float64)
    power = metres**-5 / torch.expm1(SECOND_RADIATION / metres * reciprocal[:, None])
    return 1.0 / reciprocal, _uv(power / power.sum(dim=1, keepdim=True))


def correlated_temperature(spectra: Tensor) -> tuple[Tensor, Tensor]:
    """Temperature of the Planckian radiator of the nearest colour, and the distance to it.

    Where the distance (Duv) is beyond 0.05 the temperature says little. Bands of 10 nm miss lines of
    fluorescent lamps: F11 reads 3522 K here, where its full spectrum has 4000 K.

    Args:
        spectra: (B, 33), power at 400, 410, .. 720 nm, in any unit.

    Returns:
        Kelvin, 1000..100000, and Duv: (B,) each.
    """
    kelvin, locus = _locus()
    places = _uv(spectra.detach().double().cpu())
    # Between the nodes: the foot of the perpendicular on the nearer pieces of the polygon.
    start, along = locus[:-1], locus[1:] - locus[:-1]
    share = ((places[:, None] - start) * along).sum(dim=2) / along.square().sum(dim=1)
    feet = start + share.clamp(0.0, 1.0)[..., None] * along
    distance = (places[:, None] - feet).norm(dim=2)
    nearest = distance.argmin(dim=1)
    rows = torch.arange(len(places))
    fraction = share[rows, nearest].clamp(0.0, 1.0)
    inverse = torch.lerp(1.0 / kelvin[nearest], 1.0 / kelvin[nearest + 1], fraction)
    above = places[:, 1] > feet[rows, nearest, 1]
    duv = torch.where(above, 1.0, -1.0) * distance[rows, nearest]
    return (1.0 / inverse).to(spectra), duv.to(spectra)
