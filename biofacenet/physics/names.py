"""Names and ranges of the model's quantities, for those who only need to name them."""

from __future__ import annotations

from typing import Literal

__all__ = ["CCT_RANGE", "COORDINATE_RANGE", "DAYLIGHTS", "ILLUMINANT_NAMES", "SkinName"]

SkinName = Literal["published", "measured"]
"""Constants of the skin model: those of the paper's authors, or tuned on measured spectra."""

ILLUMINANT_NAMES: tuple[str, ...] = ("A", "D", *(f"F{i}" for i in range(1, 13)))
"""Order of the 14 weights of a light."""

DAYLIGHTS = {"D50": 5003.0, "D55": 5503.0, "D65": 6504.0, "D75": 7504.0}
"""Standard daylights, and their temperature in kelvin."""

CCT_RANGE = (4000.0, 25000.0)
"""Correlated colour temperatures of the daylight table, kelvin."""

COORDINATE_RANGE = (-3.0, 3.0)
"""Range of each camera coordinate b, in standard deviations of the 28 cameras."""
