"""What to be careful about in a measurement, as codes that the codebook explains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ...physics.colour import luminance
from ...physics.skin import to_axis
from ..results import Result
from ..trust import Knowledge
from .regions import Regions

__all__ = ["CAUTIONS", "of_face", "of_region"]

CAUTIONS: Mapping[str, str] = {
    "overexposed": "over 2 % of the region's pixels have a channel at its upper end: what is there is lost. "
    "In the photo, lower the exposure or move the lamp.",
    "underexposed": "the region's median luminance is below 2 % of white, or over a tenth of its pixels "
    "have a channel near 0: noise and rounding count.",
    "coloured-light": "the skin has a colour that no skin has in balanced light, or that the method cannot "
    "explain: set the camera's white balance, or give a white.",
    "make-up": "lips or the surroundings of the eyes differ from the cheeks by more than bare skin did in "
    "37 people of the Face Research Lab London Set: strong make-up is likely, and numbers are those of the "
    "make-up.",
    "small-face": "the eyes are fewer than 40 pixels apart in the photo.",
    "turned": "the face is turned by over 25 degrees: the far side is seen from aside.",
    "few-pixels": "fewer than 100 pixels of the region are used, at the resolution of the maps.",
    "end-of-range": "over a tenth of the region's pixels lie at an end of what the maps can say: the truth "
    "may be beyond.",
    "by-square": "eyes and lips were not seen where the face was found: regions lie where faces have them "
    "on average.",
    "prior-only": "light and overall level are not known from this photo, only what they usually are: "
    "intervals say how much that leaves open. A white in the photo ends it.",
}
"""By code, in the order in which they are named."""

CLIPPED, CLIPPED_SHARE = 0.98, 0.02
"""Linear light of a channel (253 of 255), and share of pixels."""

DARK, DARK_CHANNEL, DARK_SHARE = 0.02, 0.002, 0.1
"""Linear luminance; linear light of a channel (6 of 255), and share of pixels."""

FEWEST_PIXELS = 100

SMALLEST_EYES = 40.0
"""Pixels of the photo between the eyes."""

STEEPEST = 25.0
"""Degrees that a face is turned."""

NEAR_END, END_SHARE = 0.01, 0.1
"""Of the axes' length, and share of pixels."""


def of_region(result: Result, inside: np.ndarray) -> list[str]:
    """Codes that a region has for itself.

    Args:
        result: of a face.
        inside: (H, W), bool.
    """
    where = torch.from_numpy(inside)
    found = []
    pixels = int(inside.sum())
    if pixels:
        seen = result.image[0][:, where]
        if float((seen.amax(dim=0) >= CLIPPED).float().mean()) > CLIPPED_SHARE:
            found.append("overexposed")
        light = luminance(result.image)[0, 0][where]
        channel = float((seen.amin(dim=0) <= DARK_CHANNEL).float().mean())
        if float(light.median()) < DARK or channel > DARK_SHARE:
            found.append("underexposed")
        if _at_an_end(result, where):
            found.append("end-of-range")
    if pixels < FEWEST_PIXELS:
        found.append("few-pixels")
    return found


def _at_an_end(result: Result, where: Tensor) -> bool:
    """Whether a pigment's map is at an end of its axis in much of a region."""
    for plane in (result.decomposition.melanin, result.decomposition.haemoglobin):
        u = to_axis(plane[0, 0][where])
        low, high = to_axis(torch.tensor([-1.0, 1.0])).tolist()
        ends = (u < low + NEAR_END) | (u > high - NEAR_END)
        if float(ends.float().mean()) > END_SHARE:
            return True
    return False


def of_face(
    result: Result, regions: Regions, known: Knowledge, geometry: Mapping[str, float | None]
) -> list[str]:
    """Codes that all regions of a face share.

    Args:
        result: of the face.
        regions: of it.
        known: of its light.
        geometry: the columns eye_distance_pixels and turned_degrees.
    """
    found = []
    eyes, turned = geometry["eye_distance_pixels"], geometry["turned_degrees"]
    if eyes is not None and eyes < SMALLEST_EYES:
        found.append("small-face")
    if turned is not None and abs(turned) > STEEPEST:
        found.append("turned")
    if regions.placement is not None and regions.placement.by == "square":
        found.append("by-square")
    if known.light == "prior":
        found.append("prior-only")
    return found
