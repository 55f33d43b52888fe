"""What "median of the skin" means, once: which pixels, which unit, which interval.

`predict`, `fit`, the page and `measure` all ask here, so that one face has one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...decomposition import PART_NAMES, Calibration, Decomposition
from ...fitting.absolute import Known
from ...fitting.uncertainty import Uncertainty, estimate, interval
from ...physics.skin import SKINS, blood_fraction, melanosome_fraction

__all__ = [
    "PIGMENTS",
    "PigmentNumbers",
    "SkinNumbers",
    "deviations",
    "disagreement",
    "excluded",
    "skin_numbers",
    "skin_of_parts",
]

PIGMENTS = {"melanosomes": "melanin", "blood": "haemoglobin"}
"""Map that each pigment's percent are of."""

FACE_SIDE = 32
"""Longer side at which a face's deviations are computed: within a few percent those of larger maps."""

STRAND = 1 / 96
"""Of the width, half as wide as what is too narrow for skin: strands of hair before a forehead."""

SMALLEST = 0.03
"""Share of all skin below which a piece by itself is not believed to be some."""

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

    @property
    def words(self) -> str:
        """Median and interval, for people, such as ``3.7 % (2.6 to 5.1)``."""
        middle, low, high = self._rounded()
        return f"{middle} % ({low} to {high})"

    @property
    def sentence(self) -> str:
        """The same in full, as sheets have it."""
        middle, low, high = self._rounded()
        return f"median of skin {middle} %, 68 % interval {low} to {high}"

    def _rounded(self) -> list[str]:
        decimals = 0 if self.median >= 20 else 1 if self.median >= 2 else 2
        return [f"{value:.{decimals}f}" for value in (self.median, *self.interval)]

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


def skin_of_parts(found: Decomposition, size: tuple[int, int] | None = None) -> Tensor | None:
    """Where the first image shows skin more likely than not: (1, 1, H, W), 0 or 1.

    That of face, ears and neck; lips, brows, eyes and beards are left out, and so are strands and small
    pieces, such as among hair. None where parts are not known.

    Args:
        found: maps with parts.
        size: height and width of other maps of the same picture that are asked about; its own when not
            given.
    """
    if found.parts is None:
        return None
    share = found.parts[:1, [PART_NAMES.index("skin")]].detach().float()
    if size is not None and share.shape[2:] != size:
        share = F.interpolate(share, size=size, mode="bilinear", align_corners=False)
    return torch.from_numpy(_large_pieces((share[0, 0] > 0.5).cpu().numpy()))[None, None].float()


def _large_pieces(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) without its strands and small pieces."""
    size = round(STRAND * mask.shape[1])
    kept: np.ndarray = mask.astype(np.uint8)
    if size > 0:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
        kept = cv2.morphologyEx(kept, cv2.MORPH_OPEN, disc)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(kept, connectivity=8)
    large = facts[:, cv2.CC_STAT_AREA] >= SMALLEST * kept.sum()
    large[0] = False  # what is no skin
    found: np.ndarray = large[labels]
    return found


def deviations(
    found: Decomposition,
    mask: Tensor,
    calibration: Calibration | None = None,
    *,
    side: int = FACE_SIDE,
) -> Uncertainty:
    """Standard deviations of the first image's maps, made smaller: they are smooth.

    Args:
        found: the maps.
        mask: (1, 1, H, W), more than 0.5 where the face's skin is; everywhere where that is nowhere.
        calibration: of the method that the maps are of, which brings intervals to 68 %.
        side: their longer side at most. That of `skin_numbers` is the usual one, so that one face has one
            interval; larger ones are for those who want deviations of pixels.
    """
    found = found[0].detach().to("cpu")
    height, width = found.melanin.shape[2:]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = found.map(lambda x: F.adaptive_avg_pool2d(x, size) if x.ndim == 4 else x).renormalised()
    where = (F.adaptive_avg_pool2d(mask[:1].cpu().float(), size) > 0.5).float()
    said = estimate(small, where)
    if calibration is None:
        return said
    inside = where > 0.5 if bool(where.any()) else torch.ones_like(where) > 0.5
    return said.calibrated(calibration, float(small.melanin[inside].mean()))


def skin_numbers(found: Decomposition, mask: Tensor, said: Uncertainty | Known) -> SkinNumbers:
    """Median, quartiles and 68 % interval of melanosomes and blood over some skin of the first image.

    Args:
        found: the maps.
        mask: (1, 1, H, W), more than 0.5 where the skin is that is asked for: all of it, or a region.
        said: from `deviations`, of the whole skin. It serves the regions of a face too: most of what is
            not known, light, camera and level, they share. Where a white is known, what that tells of this
            very skin: its level, at which the maps are taken to be.

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
        if isinstance(said, Known):
            level: float = getattr(said, name)
            low, middle, high = (np.clip(x + level - middle, -1, 1) for x in (low, middle, high))
            low_end, high_end = getattr(said, f"{name}_ends")
            ends = (_percent(name, low_end, found) / 100, _percent(name, high_end, found) / 100)
        else:
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


def excluded(one: SkinNumbers, other: SkinNumbers) -> tuple[str, ...]:
    """The pigments, of `PIGMENTS`, whose 68 % intervals have nothing in common."""
    return tuple(
        name
        for name in PIGMENTS
        if max(getattr(one, name).interval[0], getattr(other, name).interval[0])
        > min(getattr(one, name).interval[1], getattr(other, name).interval[1])
    )


def disagreement(one: tuple[str, SkinNumbers], other: tuple[str, SkinNumbers]) -> str:
    """Where two methods, each with its name, exclude each other, in words; empty where they do not."""
    (first, own), (second, others) = one, other
    differ = [
        f"{name} {getattr(own, name).words} and {getattr(others, name).words}"
        for name in excluded(own, others)
    ]
    if not differ:
        return ""
    return f"{first} and {second} disagree beyond their 68 % intervals: {', '.join(differ)}"
