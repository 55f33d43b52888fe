"""The map values whose spectra come nearest to measured ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..physics.colour import ciede2000, cielab
from ..physics.illuminant import daylight
from ..physics.skin import (
    Skin,
    SkinParameters,
    blood_fraction,
    melanosome_fraction,
    reflectance,
    skin_parameters,
)
from ..physics.spectra import WAVELENGTHS, wavelength_problem
from ..system.brief import Brief
from ..system.device import plain_defaults
from .levenberg_marquardt import Problems, minimise

__all__ = [
    "BandModel",
    "SpectraFit",
    "fit_spectra",
    "nearest",
]

GRID = 48
"""Values of each map that the search begins with."""

STEPS = 25
"""Steps of refinement; most spectra need five."""

CHUNK = 2048
"""Spectra that are fitted together."""

AT_END = 0.999
"""Map values beyond this lie at an end of their axis."""


@dataclass(frozen=True, repr=False)
class SpectraFit(Brief):
    """The nearest spectra that two map values can make, and how near they are."""

    wavelengths: Tensor
    """(K,), nm: the bands compared."""
    measured: Tensor
    """(N, K), read at these bands."""
    melanin: Tensor
    """(N,), map values in [-1, 1]."""
    haemoglobin: Tensor
    """(N,)"""
    modelled: Tensor
    """(N, K)"""
    rms: Tensor
    """(N,), root mean square difference over the bands."""
    rms_scaled: Tensor
    """(N,), the same where scale and offset of the model are free too."""
    colour_difference: Tensor
    """(N,), CIEDE2000 of model and measurement under D65, 1931 2-degree observer."""

    @property
    def at_end(self) -> Tensor:
        """(N,), whether a map value lies at an end of its axis."""
        return (self.melanin.abs() > AT_END) | (self.haemoglobin.abs() > AT_END)


# Fitting -------------------------------------------------------------------------------------


@plain_defaults()
def fit_spectra(
    wavelengths: Tensor,
    reflectances: Tensor,
    skin: Skin = "measured",
    *,
    progress: Callable[[int, int], object] | None = None,
) -> SpectraFit:
    """Find the map values whose spectra are nearest to measured ones.

    A search of a grid of both map values and Levenberg-Marquardt steps from its best.

    Args:
        wavelengths: (L,), nm, ascending, from 430 or less to 670 or more, at most 20 nm apart. Spectra
            are read linearly at those of the model's bands that lie in their range.
        reflectances: (N, L), 0..1.
        skin: ``published``, ``measured`` or other constants.
        progress: called with spectra done and all spectra.

    Raises:
        ValueError: shapes, wavelengths or reflectances are not as said.

    Example:
        >>> found = fit_spectra(wavelengths, reflectances, "measured")  # doctest: +SKIP
        >>> found.rms.median()  # doctest: +SKIP
    """
    wavelengths, reflectances = wavelengths.double(), reflectances.double()
    _check(wavelengths, reflectances)
    model = BandModel(skin_parameters(skin), _bands(wavelengths))
    measured = _read(wavelengths, reflectances, model.wavelengths)
    parts = []
    for start in range(0, len(measured), CHUNK):
        part = measured[start : start + CHUNK]
        plain, scaled = nearest(part, model, scaled=False), nearest(part, model, scaled=True)
        # Scale and offset may only help: where their own search ended in a worse place, take the other.
        parts.append((plain, torch.minimum(_rms(part, plain, model, scaled=True), scaled[:, 2])))
        if progress is not None:
            progress(min(start + CHUNK, len(measured)), len(measured))
    empty = measured.new_zeros(0, 3), measured.new_zeros(0)
    values = torch.cat([plain for plain, _ in parts] or [empty[0]])
    modelled = model(values[:, :2])
    light = daylight(torch.tensor(6504.0, dtype=torch.float64))
    colours = (cielab(spectra, light, model.bands) for spectra in (measured, modelled))
    return SpectraFit(
        wavelengths=model.wavelengths,
        measured=measured,
        melanin=values[:, 0],
        haemoglobin=values[:, 1],
        modelled=modelled,
        rms=values[:, 2],
        rms_scaled=torch.cat([scaled for _, scaled in parts] or [empty[1]]),
        colour_difference=ciede2000(*colours),
    )


def _check(wavelengths: Tensor, reflectances: Tensor) -> None:
    if wavelengths.ndim != 1 or reflectances.ndim != 2:
        raise ValueError(
            f"expected wavelengths (L,) and reflectances (N, L), got {tuple(wavelengths.shape)} and "
            f"{tuple(reflectances.shape)}"
        )
    if reflectances.shape[1] != len(wavelengths):
        raise ValueError(f"{len(wavelengths)} wavelengths but {reflectances.shape[1]} reflectances")
    if problem := wavelength_problem(wavelengths.tolist()):
        raise ValueError(problem)
    if not ((reflectances >= 0.0) & (reflectances <= 1.5)).all():
        raise ValueError("reflectances must lie in 0..1")


def _bands(wavelengths: Tensor) -> slice:
    """Which of the model's bands lie within measured wavelengths."""
    inside = [i for i, nm in enumerate(WAVELENGTHS) if wavelengths[0] <= nm <= wavelengths[-1]]
    return slice(inside[0], inside[-1] + 1)


def _read(wavelengths: Tensor, reflectances: Tensor, at: Tensor) -> Tensor:
    """Linear interpolation along the last axis."""
    upper = torch.searchsorted(wavelengths, at).clamp(1, len(wavelengths) - 1)
    share = (at - wavelengths[upper - 1]) / (wavelengths[upper] - wavelengths[upper - 1])
    return torch.lerp(reflectances[:, upper - 1], reflectances[:, upper], share)


class BandModel:
    """Spectra of map values (N, 2), melanin and haemoglobin, at some of the bands."""

    def __init__(self, parameters: SkinParameters, bands: slice) -> None:
        self.parameters, self.bands = parameters, bands
        self.wavelengths = torch.tensor(WAVELENGTHS[bands], dtype=torch.float64)

    def __call__(self, values: Tensor) -> Tensor:
        p = self.parameters
        melanosomes = melanosome_fraction(values[:, 0], p)
        return reflectance(melanosomes, blood_fraction(values[:, 1], p), p)[:, self.bands]


def _residual(measured: Tensor, modelled: Tensor, *, scaled: bool) -> Tensor:
    """Model minus measurement; if scaled, after the best scale (not below 0) and offset."""
    if not scaled:
        return modelled - measured
    a = measured - measured.mean(dim=1, keepdim=True)
    b = modelled - modelled.mean(dim=1, keepdim=True)
    scale = (a * b).sum(dim=1, keepdim=True) / b.square().sum(dim=1, keepdim=True).clamp(min=1e-12)
    return scale.clamp(min=0.0) * b - a


def _rms(measured: Tensor, values: Tensor, model: BandModel, *, scaled: bool) -> Tensor:
    residual = _residual(measured, model(values[:, :2]), scaled=scaled)
    return residual.square().mean(dim=1).sqrt()


def nearest(
    measured: Tensor,
    model: BandModel,
    *,
    scaled: bool = False,
    start: Tensor | None = None,
    steps: int = STEPS,
) -> Tensor:
    """Map values and the root mean square difference that is left: (N, 3).

    Args:
        measured: (N, K), at the model's bands.
        model: what is to come near.
        scaled: with a free scale and offset.
        start: (N, 2), map values to begin with; the best of a grid when not given.
        steps: of refinement.
    """
    problems = Problems(
        lambda values, which: _residual(measured[which], model(values), scaled=scaled),
        low=measured.new_full((2,), -1.0),
        high=measured.new_full((2,), 1.0),
    )
    if start is None:
        start = _search(measured, model, scaled=scaled)
    found = minimise(problems, start, steps=steps)
    rms = (found.error / measured.shape[1]).sqrt()
    return torch.cat((found.unknowns, rms.unsqueeze(1)), dim=1)


def _search(measured: Tensor, model: BandModel, *, scaled: bool) -> Tensor:
    """The best of a grid of map values: (N, 2)."""
    line = torch.linspace(-1.0, 1.0, GRID, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    known = model(grid)
    if scaled:  # the best scale and offset leave least where the correlation is highest
        measured, known = (x - x.mean(dim=1, keepdim=True) for x in (measured, known))
        known = known / known.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return grid[(measured @ known.T).argmax(dim=1)]
    return grid[torch.cdist(measured, known).argmin(dim=1)]
