"""What to be careful about in a measurement, as codes that the codebook explains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ...decomposition.parts import part_index
from ...physics.colour import luminance
from ...physics.skin import to_axis
from ..results import Result
from ..trust import Knowledge
from .regions import WHOLE, Regions

__all__ = ["CAUTIONS", "of_face", "of_region"]

CAUTIONS: Mapping[str, str] = {
    "overexposed": "over 2 % of the region's pixels have a channel at its upper end: what is there is lost. "
    "In the photo, lower the exposure or move the lamp.",
    "underexposed": "the region's median luminance is below 2 % of white, or over a tenth of its pixels "
    "have a channel near 0: noise and rounding count.",
    "coloured-light": "the colour of the skin cannot be explained, or the white of the eyes is coloured, "
    "beyond what 37 people of the Face Research Lab London Set have in balanced light: set the camera's "
    "white balance, or give a white.",
    "make-up": "lips are far redder than the cheeks, or the lids of another colour or far darker, beyond "
    "what 37 people of the Face Research Lab London Set have, one of them left out who wears lipstick: "
    "strong make-up is likely, and numbers are those of the make-up.",
    "small-face": "the eyes are fewer than 40 pixels apart in the photo.",
    "turned": "the face is turned by over 25 degrees: the far side is seen from aside.",
    "few-pixels": "fewer than 100 pixels of the region are used, at the resolution of the maps.",
    "end-of-range": "over a tenth of the region's pixels lie at an end of what the maps can say: the truth "
    "may be beyond.",
    "placed-by-average": "lips, or eyes and lips, were not seen: regions lie where faces have them on "
    "average.",
    "white-unlikely": "under what was taken for white, the face has a colour and brightness of no skin: the "
    "white is none, lies in other light, or the photo's tone curve bends dark tones.",
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

FLOOR = 1e-3
"""Least linear light that a logarithm is taken of."""

UNEXPLAINED = ((-0.09, 0.09), (-0.08, 0.12))
"""What may be left of median log R/G and log B/G of the skin beside its rendering: 37 people of the
Face Research Lab London Set leave -0.04 to 0.03, and -0.04 to 0.10; with blue at 70 % -0.20 to -0.05, at
160 % 0.23 to 0.46."""

WHITES = ((-0.1, 0.6), (-0.27, 0.15))
"""The same of the lighter part of the eyes: those have 0.00 to 0.49 and -0.20 to 0.05; with blue at 70 %
-0.53 to -0.31, at 130 % 0.09 to 0.33."""

WHITE_OF_EYES = 0.3
"""Share of the eyes, by luminance, that is taken for their white."""

FEWEST_OF_EYES = 16
"""Pixels."""

REDDEST_LIPS = 0.65
"""Log R/G of lips over that of the cheeks: of 36 people at most 0.57, with lipstick 0.79."""

DARKEST_LIDS = -1.6
"""Log luminance of lids over that of the cheeks; at least -1.22."""

LIDS_BESIDE = ((-0.4, 0.4), (-0.4, 0.4))
"""Log R/G and B/G of lids over those of the cheeks; -0.27 to 0.17 and -0.19 to 0.24."""

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
    eyes, turned = geometry["eye_distance_pixels"], geometry["turned_degrees"]
    laid = regions.placement
    seen = {
        "coloured-light": _coloured(result, regions),
        "make-up": _made_up(result, regions),
        "small-face": eyes is not None and eyes < SMALLEST_EYES,
        "turned": turned is not None and abs(turned) > STEEPEST,
        "placed-by-average": laid is not None and laid.by != "parts",
        "white-unlikely": result.known is not None and result.known.unlikely,
        "prior-only": known.light == "prior",
    }
    return [code for code, true in seen.items() if true]


def _ratios(image: Tensor, where: Tensor) -> Tensor:
    """Medians of log R/G and log B/G over some pixels of linear (1, 3, H, W): (2,)."""
    logs = image[0][:, where].clamp(min=FLOOR).log()
    return torch.stack((logs[0] - logs[1], logs[2] - logs[1])).median(dim=1).values


def _beyond(values: Tensor, ranges: tuple[tuple[float, float], tuple[float, float]]) -> bool:
    return any(
        not low <= value <= high for value, (low, high) in zip(values.tolist(), ranges, strict=True)
    )


def _coloured(result: Result, regions: Regions) -> bool:
    """Whether the light's colour is not balanced, by skin and by the whites of the eyes."""
    skin = regions.masks[WHOLE][0, 0] > 0.5
    if not bool(skin.any()):
        return False
    left = _ratios(result.image, skin) - _ratios(result.reconstruction, skin)
    if _beyond(left, UNEXPLAINED):
        return True
    if result.decomposition.parts is None:
        return False
    eyes = result.decomposition.parts[0, part_index("eyes")] > 0.5
    if int(eyes.sum()) < FEWEST_OF_EYES:
        return False
    light = luminance(result.image)[0, 0]
    white = eyes & (light >= light[eyes].quantile(1.0 - WHITE_OF_EYES))
    return _beyond(_ratios(result.image, white), WHITES)


def _made_up(result: Result, regions: Regions) -> bool:
    """Whether lips or lids are beyond what bare ones are beside the cheeks."""
    cheeks = (regions.masks["left_cheek"] + regions.masks["right_cheek"])[0, 0] > 0.5
    lips, lids = (plane[0, 0] > 0.5 for plane in (regions.masks["lips"], regions.lids))
    if int(cheeks.sum()) < FEWEST_PIXELS:
        return False
    beside = _ratios(result.image, cheeks)
    if int(lips.sum()) >= FEWEST_PIXELS:
        redder = _ratios(result.image, lips) - beside
        if float(redder[0]) > REDDEST_LIPS:
            return True
    if int(lids.sum()) < FEWEST_PIXELS:
        return False
    light = luminance(result.image)[0, 0].clamp(min=FLOOR).log()
    darker = float(light[lids].median() - light[cheeks].median())
    return darker < DARKEST_LIDS or _beyond(_ratios(result.image, lids) - beside, LIDS_BESIDE)
