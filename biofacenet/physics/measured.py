"""Measured lights and cameras: spectra of any sampling, from numbers, from files, from other libraries.

    wavelength_nm, power            wavelength_nm, R, G, B
    380,           0.021            400,           0.01, 0.02, 0.31
    385,           0.025            410,           0.01, 0.03, 0.52
    ...                             ...

Nothing here imports torch, so that command lines and settings can hold them and mistakes answer at
once. How samples become the 33 bands is `biofacenet.physics.spectra.band_weights`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..system.columns import read_columns
from .sampling import BAND_STEP, WAVELENGTHS, wavelength_problem

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["CameraCurves", "Spectrum"]

NOISE = 0.01
"""Share of the peak by which a value may lie below 0, as dark noise does; it counts as 0."""

CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Spectrum:
    """Spectral power of a light, sampled at any wavelengths that cover 430 to 670 nm.

    Raises:
        ValueError: wavelengths do not ascend, miss a part or leave gaps over 20 nm; a value is negative
            or no number; there is no light between 400 and 720 nm.

    Example:
        >>> Spectrum(tuple(range(380, 781, 5)), (1.0,) * 81, name="equal energy").bands().shape
        torch.Size([33])
        >>> Spectrum((400.0, 720.0), (1.0, 1.0))
        Traceback (most recent call last):
        ...
        ValueError: wavelengths are up to 320 nm apart; expected at most 20 nm
    """

    wavelengths: tuple[float, ...]
    """(L,), nm, ascending."""
    values: tuple[float, ...]
    """(L,), power per nanometre, in any unit."""
    name: str = ""
    """For people, such as the name of a file."""

    def __post_init__(self) -> None:
        wavelengths, values = _numbers(self.wavelengths), _numbers(self.values)
        _check_sampling(wavelengths, [values])
        object.__setattr__(self, "wavelengths", wavelengths)
        object.__setattr__(self, "values", _positive(wavelengths, values, "the light"))

    def __str__(self) -> str:
        return self.name or f"a spectrum of {len(self.values)} samples"

    @classmethod
    def of(cls, source: Any, name: str = "") -> Spectrum:
        """A light from what other libraries have.

        Args:
            source: a pair (wavelengths, values) of sequences, arrays or tensors; or an object with
                ``wavelengths`` and ``values``, such as a ``SpectralDistribution`` of colour-science.
            name: for people; that of the object when not given.

        Raises:
            TypeError: it is something else.
            ValueError: see the class.
        """
        if isinstance(source, cls):
            return source
        wavelengths, values, _, found = _samples(source, "a light")
        return cls(*_ascending(wavelengths, values), name=name or found)

    @classmethod
    def from_csv(cls, path: str | Path) -> Spectrum:
        """A light from a file of two columns, wavelength in nanometres and power; see the module's head.

        Raises:
            DataError: the file is missing or not of this form, or the spectrum is none; see the class.
        """
        columns = read_columns(path, what="the spectrum of a light")
        if len(columns.rows[0]) != 2:
            raise DataError(
                f"{path}: {len(columns.rows[0])} columns; expected two, wavelength and power"
            )
        wavelengths, values = zip(*sorted(columns.rows), strict=True)
        try:
            return cls(wavelengths, values, name=Path(path).name)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error

    def bands(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """The spectrum at the package's bands: (33,), of unit sum, float64 unless a dtype is given."""
        return _bands(self.wavelengths, self.values).to(device=device, dtype=dtype)


@dataclass(frozen=True)
class CameraCurves:
    """Spectral sensitivities of a camera, sampled at any wavelengths that cover 430 to 670 nm.

    Raises:
        ValueError: as for `Spectrum`, for each channel; or there are not three channels.
    """

    wavelengths: tuple[float, ...]
    """(L,), nm, ascending."""
    values: tuple[tuple[float, ...], ...]
    """(3, L), of R, G and B, each in any unit: gains are set by white balance."""
    name: str = ""
    """For people, such as the name of a file."""

    def __post_init__(self) -> None:
        wavelengths = _numbers(self.wavelengths)
        curves = [_numbers(curve) for curve in self.values]
        if len(curves) != len(CHANNELS):
            raise ValueError(f"a camera has three curves, R, G and B, got {len(curves)}")
        _check_sampling(wavelengths, curves)
        positive = tuple(
            _positive(wavelengths, curve, f"the {channel} channel")
            for channel, curve in zip(CHANNELS, curves, strict=True)
        )
        object.__setattr__(self, "wavelengths", wavelengths)
        object.__setattr__(self, "values", positive)

    def __str__(self) -> str:
        return self.name or f"curves of {len(self.wavelengths)} samples"

    @classmethod
    def of(cls, source: Any, name: str = "") -> CameraCurves:
        """A camera from what other libraries have.

        Args:
            source: a pair (wavelengths, curves), curves (3, L) in the order R, G, B; or an object with
                ``wavelengths`` and ``values`` (L, 3), such as ``RGB_CameraSensitivities`` of
                colour-science, in the order of its ``labels`` where it has them.
            name: for people; that of the object when not given.

        Raises:
            TypeError: it is something else.
            ValueError: see the class.
        """
        if isinstance(source, cls):
            return source
        wavelengths, values, labels, found = _samples(source, "a camera")
        curves = (
            list(values) if isinstance(source, tuple | list) else list(zip(*values, strict=True))
        )
        if len(curves) != len(CHANNELS):
            raise ValueError(f"a camera has three curves, R, G and B, got {len(curves)}")
        if labels is not None:
            order = _order(labels)
            if order is None:
                raise ValueError(f"curves are of {', '.join(labels)}; expected R, G and B")
            curves = [curves[i] for i in order]
        curves = [_ascending(wavelengths, curve)[1] for curve in curves]
        return cls(tuple(sorted(_numbers(wavelengths))), tuple(curves), name=name or found)

    @classmethod
    def from_csv(cls, path: str | Path) -> CameraCurves:
        """A camera from a file of four columns, wavelength in nanometres, R, G and B, or as they are named.

        Raises:
            DataError: the file is missing or not of this form, or a curve is none; see the class.
        """
        columns = read_columns(path, what="the sensitivities of a camera")
        if len(columns.rows[0]) != 4:
            raise DataError(
                f"{path}: {len(columns.rows[0])} columns; expected four, wavelength, R, G and B"
            )
        named = columns.names[1:] if columns.names is not None else ("R", "G", "B")
        order = _order(named)
        if order is None:
            raise DataError(f"{path}: columns are named {', '.join(named)}; expected R, G, B")
        wavelengths, *curves = zip(*sorted(columns.rows), strict=True)
        try:
            return cls(wavelengths, tuple(curves[i] for i in order), name=Path(path).name)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error

    def bands(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """The curves at the package's bands: (3, 33), each of unit sum, float64 unless a dtype is given."""
        return _bands(self.wavelengths, self.values).to(device=device, dtype=dtype)


# Reading and checking ------------------------------------------------------------------------


def _bands(wavelengths: Sequence[float], values: Any) -> Tensor:
    """Bands of unit sum; their own wavelengths are kept to the last bit."""
    import torch

    from .spectra import to_bands, unit_sum

    axis = torch.tensor(wavelengths, dtype=torch.float64)
    return unit_sum(to_bands(axis, torch.tensor(values, dtype=torch.float64)))


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """One number after the other, of a sequence, an array or a tensor."""
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise ValueError(f"expected a row of numbers ({error})") from None


def _check_sampling(wavelengths: tuple[float, ...], curves: Sequence[tuple[float, ...]]) -> None:
    for curve in curves:
        _check_length(wavelengths, curve)
    if problem := wavelength_problem(wavelengths):
        raise ValueError(problem)


def _positive(
    wavelengths: tuple[float, ...], values: tuple[float, ...], what: str
) -> tuple[float, ...]:
    """Values with dark noise taken as 0.

    Raises:
        ValueError: a value is no number or negative, or nothing is left in the visible.
    """
    for place, value in zip(wavelengths, values, strict=True):
        if not math.isfinite(value):
            raise ValueError(f"{what} is {value} at {place:g} nm; expected a finite number")
    lowest = -NOISE * max(values)
    for place, value in zip(wavelengths, values, strict=True):
        if value < min(lowest, 0.0):
            raise ValueError(f"{what} is {value:g} at {place:g} nm; expected 0 or more")
    low, high = WAVELENGTHS[0] - BAND_STEP, WAVELENGTHS[-1] + BAND_STEP
    seen = (value for place, value in zip(wavelengths, values, strict=True) if low < place < high)
    if max(seen) <= 0.0:
        raise ValueError(f"{what} is 0 from 400 to 720 nm; expected some light there")
    return tuple(max(value, 0.0) for value in values)


def _samples(source: Any, what: str) -> tuple[Any, Any, tuple[str, ...] | None, str]:
    """Wavelengths, values, labels and name of what may be a spectrum."""
    if isinstance(source, tuple | list) and len(source) == 2:
        return source[0], source[1], None, ""
    wavelengths = getattr(source, "wavelengths", None)
    values = getattr(source, "values", None)
    if wavelengths is None or values is None or callable(values):
        raise TypeError(
            f"expected {what} as (wavelengths, values) or with wavelengths and values of its own, got "
            f"{type(source).__name__}"
        )
    labels = getattr(source, "labels", None)
    names = tuple(map(str, labels)) if labels is not None and len(labels) == 3 else None
    return wavelengths, values, names, str(getattr(source, "name", "") or "")


def _ascending(wavelengths: Any, values: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Samples in the order of their wavelengths."""
    places, numbers = _numbers(wavelengths), _numbers(values)
    _check_length(places, numbers)
    order = sorted(range(len(places)), key=places.__getitem__)
    return tuple(places[i] for i in order), tuple(numbers[i] for i in order)


def _check_length(wavelengths: tuple[float, ...], values: tuple[float, ...]) -> None:
    if len(values) != len(wavelengths):
        raise ValueError(f"{len(wavelengths)} wavelengths, but {len(values)} values")


def _order(names: Sequence[str]) -> tuple[int, ...] | None:
    """Where red, green and blue are among three names, such as R, green or blue_sensitivity."""
    words = [re.split(r"[^a-z]+", name.lower()) for name in names]
    found = [
        [i for i, one in enumerate(words) if channel in one or channel[0] in one]
        for channel in CHANNELS
    ]
    order = tuple(places[0] for places in found if len(places) == 1)
    return order if sorted(order) == [0, 1, 2] else None
