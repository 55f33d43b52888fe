"""A picture as a file stores it, and what turns it into sRGB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .exif import upright
from .numbered_colour import Colour, to_srgb

__all__ = ["NotFiniteError", "Stored", "developed"]

BAND = 2**20
"""Pixels that are converted at a time, so that a large photo takes little memory besides its own."""


class NotFiniteError(ValueError):
    """A picture that holds NaN or infinite values."""


@dataclass
class Stored:
    """A picture as a file stores it: grey or RGB, upright or not."""

    values: np.ndarray
    """(H, W, C), C = 1 or 3; integers or floats."""
    white: float
    """The value of white."""
    alpha: np.ndarray | None = None
    """(H, W), opacity, of the same kind of numbers."""
    opaque: float = 255.0
    """The value of full opacity."""
    multiplied: bool = False
    """Whether colours are multiplied by opacity."""
    colour: Colour | None = None
    """What values stand for where a file says it by number; None for sRGB."""
    orientation: int = 1
    """Of EXIF, 1..8."""
    notes: list[str] = field(default_factory=list)
    """What was converted."""


def developed(stored: Stored) -> tuple[Tensor, Tensor | None]:
    """A picture upright in sRGB: (3, H, W), float32, 0..1, and opacity (1, H, W), or None if it has none.

    Where it is transparent there is no colour: white. Notes are added to those of the picture.

    Raises:
        NotFiniteError: it holds NaN or infinite values.
    """
    values = upright(stored.values, stored.orientation)
    height, width, channels = values.shape
    pixels = torch.empty((3, height, width), dtype=torch.float32)
    alpha = None
    if stored.alpha is not None:
        turned = upright(stored.alpha[:, :, None], stored.orientation)[:, :, 0]
        alpha = torch.from_numpy(turned.astype(np.float32))[None] / stored.opaque
    clipped = False
    for rows in _bands(height, width):
        band = torch.from_numpy(values[rows].transpose(2, 0, 1).astype(np.float32))
        band /= stored.white
        if values.dtype.kind == "f" and not bool(torch.isfinite(band).all()):
            raise NotFiniteError
        opacity = None if alpha is None else alpha[:, rows]
        if opacity is not None and stored.multiplied:
            # Rounding may leave a colour a step above its opacity.
            band = (band / opacity.clamp(min=1.0 / 65535.0)).clamp(max=1.0)
        clipped = clipped or float(band.min()) < 0.0 or float(band.max()) > 1.0
        band = band.clamp_(0.0, 1.0).expand(3, -1, -1)
        if stored.colour is not None:
            band = to_srgb(band, stored.colour)
        pixels[:, rows] = band
        if opacity is not None:
            # Such pixels have no colour, and most files call that black.
            pixels[:, rows].masked_fill_(opacity == 0.0, 1.0)
    _note(stored, clipped, grey=channels == 1)
    if alpha is not None and bool((alpha == 1.0).all()):
        alpha = None
    if alpha is not None:
        stored.notes.append("transparent in places")
    return pixels, alpha


def _bands(height: int, width: int) -> Iterator[slice]:
    rows = max(1, BAND // width)
    return (slice(start, min(height, start + rows)) for start in range(0, height, rows))


def _note(stored: Stored, clipped: bool, grey: bool) -> None:
    if stored.orientation != 1:
        stored.notes.append(f"turned upright (EXIF orientation {stored.orientation})")
    if stored.colour is not None:
        stored.notes.append(f"colour told by number ({stored.colour.name}) converted to sRGB")
    if clipped:
        stored.notes.append("values beyond 0..1 clipped")
    if grey:
        stored.notes.append("grey: three equal channels")
