"""What may be asked of an analysis, checked before anything is computed or torch is imported."""

from __future__ import annotations

from typing import Literal

from ..errors import BioFaceNetError

__all__ = [
    "FITTED_SIZES",
    "SEEN_SIZES",
    "Format",
    "check_fitted_size",
    "check_refine",
    "check_resolution",
    "check_size",
    "check_smoothing",
    "check_steps",
]

Format = Literal["png16", "exr"]
"""``png16``: a PNG of 16 bits for each map; ``exr``: all maps in one OpenEXR file."""

SEEN_SIZES = range(16, 2049, 16)
"""Longer sides, in pixels, of what a network is given."""
FITTED_SIZES = range(16, 2049)
"""Longer sides of what is fitted."""
RESOLUTIONS = range(16, 4097)
"""Longer sides of maps, of which each pixel takes some 400 bytes while they are computed."""
LONGEST_SMOOTHING = 3600.0


def check_size(size: int) -> None:
    """Raise BioFaceNetError unless a network can take pictures of this side."""
    if size not in SEEN_SIZES:
        nearest = min(SEEN_SIZES, key=lambda side: abs(side - size))
        raise BioFaceNetError(
            f"size {size}: expected a multiple of 16 from {SEEN_SIZES[0]} to {SEEN_SIZES[-1]}, such as "
            f"{nearest}"
        )


def check_fitted_size(size: int) -> None:
    """Raise BioFaceNetError unless pictures of this side can be fitted."""
    if size not in FITTED_SIZES:
        raise BioFaceNetError(
            f"size {size}: expected {FITTED_SIZES[0]} to {FITTED_SIZES[-1]} pixels, such as 256"
        )


def check_resolution(side: int) -> None:
    """Raise BioFaceNetError unless maps can have this side."""
    if side not in RESOLUTIONS:
        raise BioFaceNetError(
            f"resolution {side}: expected {RESOLUTIONS[0]} to {RESOLUTIONS[-1]} pixels, such as 1024"
        )


def check_refine(steps: int) -> None:
    """Raise BioFaceNetError unless so many steps can be taken from a network's answer."""
    if steps < 0:
        raise BioFaceNetError(f"refine must be at least 0, got {steps}")


def check_steps(steps: int) -> None:
    """Raise BioFaceNetError unless so many steps can be fitted."""
    if steps < 1:
        raise BioFaceNetError(f"steps must be at least 1, got {steps}")


def check_smoothing(seconds: float) -> None:
    """Raise BioFaceNetError unless a video can be smoothed over this time."""
    if not 0.0 <= seconds <= LONGEST_SMOOTHING:
        raise BioFaceNetError(
            f"smoothing {seconds:g}: expected 0 to {LONGEST_SMOOTHING:g} seconds, such as 1"
        )
