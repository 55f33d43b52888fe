"""What "median of the skin" means, once: which pixels, which unit, which interval.

`predict`, `fit`, the page and `measure` all ask here, so that one face has one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...decomposition import PART_NAMES, Calibration, Decomposition
from ...fitting.uncertainty import Uncertainty, estimate, interval
from ...physics.skin import SKINS, blood_fraction, melanosome_fraction

__all__ = [
    "PIGMENTS",
    "PigmentNumbers",
    "SkinNumbers",
    "deviations",
    "skin_numbers",
    "skin_of_parts",
]

PIGMENTS = {"melanosomes": "melanin", "blood": "haemoglobin"}
"""Map that each pigment's percent are of."""

TRUST_SIDE = 96
"""Longer side at which deviations are computed: they are smooth, and a few thousand pixels take no time."""

DIGITS = 4
"""Behind the point, of percent in files."""


@dataclass(frozen=True)
class PigmentNumbers:
    """A pigment over some skin, in percent of volume."""

    median: float
    """Of the pixels."""
    quartiles: tuple[float, float]
    """Of the pixels: a quarter of them is below the first, a quarter above the second. How uneven the
    skin is."""
    interval: tuple[float, float]
    """68 % interval of the median: how sure it is. Wider upwards, as the map's axis is a cube."""

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON, rounded."""
        return {
            "median": round(self.median, DIGITS),
            "quartiles": [round(x, DIGITS) for x in self.quartiles],
            "interval_68_percent": [round(x, DIGITS) for x in self.interval],
        }


@dataclass(frozen=True)
class SkinNumbers:
    """Pigments over some skin of one face."""

    pixels: int
    """How many they are of."""
    melanosomes: PigmentNumbers
    """Percent of the epidermis's volume."""
    blood: PigmentNumbers
    """Percent of the dermis's volume."""

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON, rounded."""
        return {
            "skin_pixels": self.pixels,
            "melanosomes_percent": self.melanosomes.as_json(),
            "blood_percent": self.blood.as_json(),
        }


def skin_of_parts(found: Decomposition) -> Tensor | None:
    """Where the first image shows skin more likely than not: (1, 1, H, W), 0 or 1.

    That of face, ears and neck; lips, brows, eyes and beards are left out. None where parts are not
    known.
    """
    if found.parts is None:
        return None
    index = PART_NAMES.index("skin")
    return (found.parts[:1, index : index + 1] > 0.5).to(found.melanin.dtype)


def deviations(
    found: Decomposition, mask: Tensor, calibration: Calibration | None = None
) -> Uncertainty:
    """Standard deviations of the first image's maps, at most `TRUST_SIDE` pixels.

    Args:
        found: the maps.
        mask: (1, 1, H, W), more than 0.5 where the face's skin is; everywhere where that is nowhere.
        calibration: of the method that the maps are of, which brings intervals to 68 %.
    """
    found = found[0].detach().to("cpu")
    height, width = found.melanin.shape[2:]
    scale = min(1.0, TRUST_SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = found.map(lambda x: F.adaptive_avg_pool2d(x, size) if x.ndim == 4 else x)
    where = (F.adaptive_avg_pool2d(mask[:1].cpu().float(), size) > 0.5).float()
    said = estimate(small, where)
    if calibration is None:
        return said
    inside = where > 0.5 if bool(where.any()) else torch.ones_like(where) > 0.5
    return said.calibrated(calibration, float(small.melanin[inside].mean()))


def skin_numbers(found: Decomposition, mask: Tensor, said: Uncertainty) -> SkinNumbers:
    """Median, quartiles and 68 % interval of melanosomes and blood over some skin of the first image.

    Args:
        found: the maps.
        mask: (1, 1, H, W), more than 0.5 where the skin is that is asked for: all of it, or a region.
        said: from `deviations`, of the whole skin. It serves the regions of a face too: most of what is
            not known, light, camera and level, they share.

    Raises:
        ValueError: the mask is of another size, or empty.

    Example:
        >>> numbers = skin_numbers(found, mask, deviations(found, mask))  # doctest: +SKIP
        >>> numbers.melanosomes.median, numbers.melanosomes.interval  # doctest: +SKIP
        (4.1, (2.3, 6.6))
    """
    expected = found.melanin[:1].shape
    if mask.shape != expected:
        raise ValueError(f"mask must have shape {tuple(expected)}, got {tuple(mask.shape)}")
    inside = (mask > 0.5).cpu()
    pixels = int(inside.sum())
    if pixels == 0:
        raise ValueError("the mask is empty: no pixel to take a median of")

    def pigment(name: str) -> PigmentNumbers:
        values = getattr(found, name)[:1].detach().cpu()[inside].double().numpy()
        # Percent rise with the map: quantiles of the one are quantiles of the other, but for rounding.
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        ends = interval(name, middle, getattr(said, f"face_{name}"), skin=found.skin)
        return PigmentNumbers(
            median=_percent(name, middle, found),
            quartiles=(_percent(name, low, found), _percent(name, high, found)),
            interval=(100.0 * ends[0], 100.0 * ends[1]),
        )

    return SkinNumbers(pixels, pigment("melanin"), pigment("haemoglobin"))


def _percent(name: str, value: float, found: Decomposition) -> float:
    fraction = melanosome_fraction if name == "melanin" else blood_fraction
    return 100.0 * float(fraction(torch.tensor(value, dtype=torch.float64), SKINS[found.skin]))
