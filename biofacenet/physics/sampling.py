"""The wavelength axis, and what a measured spectrum must reach, for those who only need the numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

__all__ = ["BANDS", "BAND_STEP", "WAVELENGTHS", "wavelength_problem"]

BANDS = 33
"""Number of wavelength bands."""

BAND_STEP = 10
"""Nanometres from band to band."""

WAVELENGTHS: tuple[int, ...] = tuple(range(400, 721, BAND_STEP))
"""Band centres in nanometres."""

MUST_REACH = (430.0, 670.0)
"""Wavelengths that a measurement must cover: between them skin differs from skin."""

WIDEST_GAP = 20.0
"""Most nanometres between two samples of a spectrum; the bands of blood are no wider."""


def wavelength_problem(wavelengths: Sequence[float]) -> str | None:
    """What is wrong with wavelengths, in words."""
    given = list(wavelengths)
    if not all(map(math.isfinite, given)) or sorted(set(given)) != given:
        return "wavelengths must be numbers that ascend, each once"
    low, high = MUST_REACH
    if not given or given[0] > low or given[-1] < high:
        reach = f"{given[0]:g} to {given[-1]:g}" if given else "none"
        return f"wavelengths are {reach} nm; expected at least {low:g} to {high:g} nm"
    gap = max(after - before for before, after in itertools.pairwise(given))
    if gap > WIDEST_GAP:
        return f"wavelengths are up to {gap:g} nm apart; expected at most {WIDEST_GAP:g} nm"
    return None
