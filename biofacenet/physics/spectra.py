"""The wavelength axis, and the small figure files that ship with the package.

Every spectrum in this package is sampled at 33 bands, 400 to 720 nm in steps of 10 nm (BioFaceNet,
section 3).
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import torch
from torch import Tensor

from ..system.lasting import kept
from .sampling import BAND_STEP, BANDS, WAVELENGTHS, wavelength_problem

__all__ = [
    "BANDS",
    "WAVELENGTHS",
    "band_weights",
    "figures",
    "to_bands",
    "unit_sum",
    "wavelength_problem",
]


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
    numbers = np.array([row.split(",") for row in lines[1:]], dtype=np.float64)
    with torch.inference_mode(False):  # kept for all callers, whose tensors may need gradients
        table = dict(zip(header, torch.from_numpy(numbers).unbind(dim=1), strict=True))
    if tuple(table.pop("wavelength_nm").tolist()) != WAVELENGTHS:
        raise ValueError(f"{path}: wavelengths are not 400, 410, .. 720 nm")
    return table


def unit_sum(spectra: Tensor) -> Tensor:  # [..., 33]
    """Spectra scaled so that their bands sum to 1."""
    return spectra / spectra.sum(dim=-1, keepdim=True)


def band_weights(wavelengths: Tensor) -> Tensor:  # [L]
    """What each sample of a spectrum gives to each band: (33, L), float64, rows of unit sum.

    A band is what an instrument sees that moves on by 10 nm and lets a triangle of 10 nm half width
    through: samples are weighted by the triangle and by the stretch of wavelengths that each stands
    for. So a line between two bands is shared by them, and the sum over bands of a light and something
    that is straight between bands is that of the fine spectra. Samples at the bands themselves stay as
    they are. Gaps wider than 10 nm are filled linearly first, and beyond its ends a spectrum goes on
    with its last value.

    Args:
        wavelengths: (L,), nm, ascending; see `wavelength_problem`.

    Raises:
        ValueError: they do not ascend, do not reach far enough or leave gaps.

    Source: CIE 15:2018 and ISO/CIE 11664-3 for summation and for the values beyond the ends;
    ASTM E308 and CIE 214:2014 for the triangle as wide as the step.
    """
    if wavelengths.ndim != 1:
        raise ValueError(f"wavelengths must have shape (L,), got {tuple(wavelengths.shape)}")
    given = wavelengths.detach().double().cpu().numpy()
    if problem := wavelength_problem(given.tolist()):
        raise ValueError(problem)
    centres = np.array(WAVELENGTHS, dtype=np.float64)
    after = np.searchsorted(given, centres).clip(1, len(given) - 1)
    wide = given[after] - given[after - 1] > BAND_STEP
    outside = (centres < given[0]) | (centres > given[-1])
    filled = np.setdiff1d(centres[wide | outside], given)
    nodes = np.union1d(given, filled)
    between = 0.5 * (nodes[1:] + nodes[:-1])
    stretch = np.diff(between, prepend=nodes[0], append=nodes[-1])
    triangle = np.clip(1.0 - np.abs(nodes - centres[:, None]) / BAND_STEP, 0.0, None) * stretch
    triangle /= triangle.sum(axis=1, keepdims=True)
    weights = triangle[:, np.searchsorted(nodes, given)]
    for place in filled:  # what a filled node has, its neighbours give it
        column = triangle[:, np.searchsorted(nodes, place)]
        right = int(np.searchsorted(given, place).clip(1, len(given) - 1))
        share = np.clip((place - given[right - 1]) / (given[right] - given[right - 1]), 0.0, 1.0)
        weights[:, right - 1] += (1.0 - share) * column
        weights[:, right] += share * column
    return torch.from_numpy(weights)


def to_bands(wavelengths: Tensor, values: Tensor) -> Tensor:
    """Spectra of any sampling at the 33 bands, differentiable in the values; see `band_weights`.

    Args:
        wavelengths: (L,), nm, ascending.
        values: (..., L), per nanometre, in any unit.

    Returns:
        (..., 33), in the same unit.
    """
    return values @ band_weights(wavelengths).to(values).mT
