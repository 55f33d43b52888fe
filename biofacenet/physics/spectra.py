"""The wavelength axis, and the small figure files that ship with the package.

Every spectrum in this package is sampled at 33 bands, 400 to 720 nm in steps of 10 nm (BioFaceNet,
section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import numpy as np
import torch
from torch import Tensor

from ..system.lasting import kept

__all__ = [
    "BANDS",
    "WAVELENGTHS",
    "figures",
    "unit_sum",
    "wavelength_problem",
]

BANDS = 33
"""Number of wavelength bands."""

WAVELENGTHS: tuple[int, ...] = tuple(range(400, 721, 10))
"""Band centres in nanometres."""


@kept
def figures(name: str) -> dict[str, Tensor]:
    """Columns of a figure file, as float64 tensors of shape (33,).

    Args:
        name: file name without ending: ``chromophores``, ``illuminants``, ``daylight``,
            ``observer`` or ``camera_pca``. Each file names its source in its first lines.

    Returns:
        Column name to values; the wavelength column is checked and left out.
    """
    path = resources.files("biofacenet.physics") / "figures" / f"{name}.csv"
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    header = lines[0].split(",")
    values = torch.from_numpy(np.array([row.split(",") for row in lines[1:]], dtype=np.float64))
    table = dict(zip(header, values.unbind(dim=1), strict=True))
    if tuple(table.pop("wavelength_nm").tolist()) != WAVELENGTHS:
        raise ValueError(f"{path}: wavelengths are not 400, 410, .. 720 nm")
    return table


def unit_sum(spectra: Tensor) -> Tensor:  # [..., 33]
    """Spectra scaled so that their bands sum to 1."""
    return spectra / spectra.sum(dim=-1, keepdim=True)


MUST_REACH = (430.0, 670.0)
"""Wavelengths that a measurement must cover: between them skin differs from skin."""

WIDEST_GAP = 20.0
"""Most nanometres between two samples of a spectrum; the bands of blood are no wider."""


def wavelength_problem(wavelengths: Sequence[float]) -> str | None:
    """What is wrong with wavelengths, in words."""
    if not all(np.isfinite(wavelengths)) or sorted(set(wavelengths)) != list(wavelengths):
        return "wavelengths must be numbers that ascend, each once"
    low, high = MUST_REACH
    if not wavelengths or wavelengths[0] > low or wavelengths[-1] < high:
        reach = f"{wavelengths[0]:g} to {wavelengths[-1]:g}" if wavelengths else "none"
        return f"wavelengths are {reach} nm; expected at least {low:g} to {high:g} nm"
    gap = float(np.diff(wavelengths).max())
    if gap > WIDEST_GAP:
        return f"wavelengths are up to {gap:g} nm apart; expected at most {WIDEST_GAP:g} nm"
    return None
