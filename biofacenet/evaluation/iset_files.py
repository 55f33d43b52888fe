"""ISET scene files of multispectral faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..physics.spectra import BANDS, WAVELENGTHS
from ..system.limits import TooLargeError
from ..system.matlab import read_matlab
from ..system.names import shown

__all__ = [
    "Scene",
    "find_scenes",
    "read_scene",
]

LAYOUT = "an ISET scene with mcCOEF, basis (basis, wave) and illuminant (wave, photons)"

REACH = 20
"""Nanometres that a spectrum may lack at either end."""

LEAST_SIDE = 16


@dataclass(frozen=True)
class Scene:
    """Reflectance of every pixel as a linear model: basis times coefficients, plus a mean."""

    path: Path
    coefficients: Tensor
    """(K, H, W), float64."""
    basis: Tensor
    """(K, 33), of reflectance: photons over the illuminant's photons."""
    mean: Tensor
    """(33,), of reflectance; zeros where the file has none."""
    comment: str

    def reflectance(self, coefficients: Tensor | None = None) -> Tensor:
        """Spectra of coefficients (K, H, W), its own when not given: (33, H, W)."""
        chosen = self.coefficients if coefficients is None else coefficients
        return torch.einsum("kl,khw->lhw", self.basis, chosen) + self.mean[:, None, None]


def find_scenes(place: str | Path) -> list[Path]:
    """The .mat files of a folder, sorted by name, or the one file named.

    Raises:
        DataError: there is none.
    """
    place = Path(place)
    found = sorted(place.glob("*.mat")) if place.is_dir() else [place]
    if not found:
        raise DataError(f"{place}: no .mat file in this folder; expected {LAYOUT}")
    return found


def read_scene(path: str | Path) -> Scene:
    """Read an ISET scene.

    Raises:
        DataError: the file is missing, damaged, lacks a variable or holds other shapes.
    """
    path = Path(path)
    stored = _Stored(path, _variables(path))
    coefficients, basis, wave = _linear_model(stored)
    mean = _mean(stored, len(wave))
    light = _illuminant(stored)
    comment = stored.variables.get("comment")
    return Scene(
        path=path,
        coefficients=torch.from_numpy(coefficients.transpose(2, 0, 1).copy()),
        basis=torch.from_numpy(_resampled(basis.T, wave, path, "basis.wave") / light),
        mean=torch.from_numpy(_resampled(mean, wave, path, "basis.wave") / light),
        comment=comment if isinstance(comment, str) else "",
    )


# What a scene consists of --------------------------------------------------------------------


def _linear_model(stored: _Stored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (H, W, K), basis (L, K) of photons and its wavelengths (L,)."""
    path = stored.path
    coefficients, basis = stored.numbers("mcCOEF"), stored.numbers("basis", "basis")
    wave = stored.numbers("basis", "wave").ravel()
    if basis.ndim == 1:
        basis = basis[:, None]
    if coefficients.ndim == 2 and basis.shape[1] == 1:
        coefficients = coefficients[:, :, None]
    if basis.ndim != 2 or len(basis) != len(wave):
        raise DataError(
            f"{path}: basis.basis has shape {basis.shape} for {len(wave)} wavelengths; expected "
            "(wavelengths, K)"
        )
    if coefficients.ndim != 3 or coefficients.shape[2] != basis.shape[1]:
        raise DataError(
            f"{path}: mcCOEF has shape {coefficients.shape} for a basis of {basis.shape[1]}; expected "
            f"(H, W, {basis.shape[1]})"
        )
    if min(coefficients.shape[:2]) < LEAST_SIDE:
        raise DataError(
            f"{path}: {coefficients.shape[1]} x {coefficients.shape[0]} pixels; expected at least "
            f"{LEAST_SIDE} x {LEAST_SIDE}"
        )
    return coefficients, basis, wave


def _mean(stored: _Stored, count: int) -> np.ndarray:
    """The mean of photons (L,), zeros where there is none."""
    mean = stored.numbers_if_there("imgMean")
    mean = np.zeros(count) if mean is None else mean.ravel()
    if len(mean) != count:
        raise DataError(f"{stored.path}: imgMean has {len(mean)} values for {count} wavelengths")
    return mean


def _illuminant(stored: _Stored) -> np.ndarray:
    """Photons of the light at the 33 bands, from whichever of its places they are in."""
    path, wave = stored.path, stored.numbers("illuminant", "wave").ravel()
    photons = stored.numbers_if_there("illuminant", "photons")
    if photons is None:
        photons = stored.numbers_if_there("illuminant", "data", "photons")
    if photons is None:
        photons = stored.numbers("illuminant", "data")
    photons = photons.ravel()
    if len(photons) != len(wave):
        raise DataError(
            f"{path}: the illuminant has {len(photons)} values for {len(wave)} wavelengths"
        )
    light = _resampled(photons, wave, path, "illuminant.wave")
    if light.min() <= 0.0:
        raise DataError(
            f"{path}: the illuminant has no light at some wavelength of 400..720 nm, so that "
            "reflectance is unknown there"
        )
    return light


def _resampled(values: np.ndarray, wave: np.ndarray, path: Path, name: str) -> np.ndarray:
    """Spectra (.., N) at wavelengths (N) brought to the 33 bands: (.., 33)."""
    rising = np.diff(wave)
    if len(wave) > 1 and (rising < 0).all():
        wave, values, rising = wave[::-1], values[..., ::-1], -rising[::-1]
    if len(wave) < 2 or not (rising > 0).all():
        raise DataError(f"{path}: {name} does not rise; expected wavelengths in nanometres")
    if wave[0] > WAVELENGTHS[0] + REACH or wave[-1] < WAVELENGTHS[-1] - REACH:
        raise DataError(
            f"{path}: {name} reaches from {wave[0]:g} to {wave[-1]:g}; expected nanometres from at "
            f"most {WAVELENGTHS[0] + REACH} to at least {WAVELENGTHS[-1] - REACH}"
        )
    flat = values.reshape(-1, len(wave))
    resampled = np.stack([np.interp(WAVELENGTHS, wave, one) for one in flat])
    return resampled.reshape(*values.shape[:-1], BANDS)


# Variables of a file -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stored:
    """A file's variables, asked for by name."""

    path: Path
    variables: dict[str, Any]

    def numbers(self, *names: str) -> np.ndarray:
        """The variable, or the field of a struct, as finite numbers.

        Raises:
            DataError: it is not there or is something else.
        """
        value: Any = self.variables
        for depth, name in enumerate(names):
            if not isinstance(value, Mapping) or name not in value:
                there = "no struct"
                if isinstance(value, Mapping):
                    there = ", ".join(map(shown, sorted(value)))
                raise DataError(
                    f"{self.path}: no {'.'.join(names[: depth + 1])}, only {there}; expected {LAYOUT}"
                )
            value = value[name]
        if not _holds_numbers(value):
            raise DataError(f"{self.path}: {'.'.join(names)} holds no numbers; expected {LAYOUT}")
        values = value.astype(np.float64)
        if not np.isfinite(values).all():
            raise DataError(
                f"{self.path}: {'.'.join(names)} holds NaN or infinite values; copy it again"
            )
        return values

    def numbers_if_there(self, *names: str) -> np.ndarray | None:
        """The same, or None where it is not there or holds no numbers."""
        value: Any = self.variables
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return self.numbers(*names) if _holds_numbers(value) else None


def _holds_numbers(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.size > 0


def _variables(path: Path) -> dict[str, Any]:
    """Variables of a MATLAB file, structs as dictionaries, text as str.

    Raises:
        DataError: there is no file, or it cannot be read.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected {LAYOUT}")
    try:
        return read_matlab(path)
    except TooLargeError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # the readers raise many kinds on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: cannot be read as a MATLAB file ({reason}); expected {LAYOUT}, copy it again"
        ) from error
