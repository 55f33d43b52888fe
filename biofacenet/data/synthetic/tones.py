"""How light or dark, and how red, the skin of a person is: the two map values of most of a face."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...physics.names import SkinName
from .draws import Draws

__all__ = ["LIGHTNESS", "Tone", "draw_tone"]


@dataclass(frozen=True)
class ToneGroup:
    """Map values of the measured constants that spectra of a group come closest to."""

    melanin: float
    melanin_spread: float
    """Standard deviation."""
    haemoglobin: float
    haemoglobin_spread: float
    correlation: float
    """Of melanin with haemoglobin in a group of one lightness: what is redder holds less melanin."""


MEASURED_GROUPS = {
    "very light": ToneGroup(-0.282, 0.051, 0.264, 0.231, -0.71),
    "light": ToneGroup(-0.214, 0.061, 0.291, 0.339, -0.74),
    "intermediate": ToneGroup(-0.131, 0.067, 0.305, 0.381, -0.81),
    "tan": ToneGroup(-0.025, 0.068, 0.246, 0.424, -0.78),
    "brown": ToneGroup(0.164, 0.094, 0.1, 0.42, -0.62),
    "dark": ToneGroup(0.489, 0.126, 0.28, 0.42, 0.0),
}
"""By individual typology angle (Del Bino and Bernerd 2013), of 6,907 facial reflectances without the nose
tip in the International Skin Spectra Archive (Lu, Xiao et al., Scientific Data, 2025, CC BY 4.0);
`python -m benchmarks.skin_tones` prints them. Of brown and dark skin a quarter of the spectra end at an end
of the haemoglobin axis, where it says little: so brown has its median there, and both have the spread of tan
skin; dark has no correlation."""

MEASURED_LIMITS = ((-0.47, 0.62), (-0.8, 0.97))
"""Least and most of melanin and haemoglobin. Beyond 0.62 the constant reflection of the surface outweighs
the skin below it and turns it grey, as no skin is."""

PHOTOGRAPHED_DARK, PHOTOGRAPHED_DARKEST = ToneGroup(0.4, 0.1, -0.03, 0.3, 0.0), 0.58
"""Dark skin as photographs show it, and its limit, for faces on heads of a model. The spectra of the archive
hold all of the surface's reflection, which is most of what the darkest skin returns; the black people of
the Face Research Lab London Set have ln G/B of 0.38 in the median, where its dark skin has 0.2
(`python -m benchmarks.face_statistics`)."""

PHOTOGRAPHED_BLOOD = -0.12
"""Added to the haemoglobin of all skin on heads of a model. Photographs, whose colours cameras deepen, show
lips that are redder beside cheeks than the model's axis reaches from the archive's middle."""

PUBLISHED_MELANIN = (-0.85, 0.85)
PUBLISHED_BLOOD = (-0.16, 0.3)
"""Middle and half the width of what is drawn for the published constants, which have no measured range."""

LIGHTNESS = {"published": (0.0, 0.4), "measured": (-0.05, 0.12)}
"""Melanin between light and dark skin, and how wide the border is, where other looks depend on it."""


@dataclass(frozen=True)
class Tone:
    """Map values of most of a person's skin."""

    melanin: float
    haemoglobin: float


def draw_tone(draws: Draws, skin: SkinName, *, photographed: bool = False) -> Tone:
    """Draw a person's skin: for measured constants, each group of lightness as often as any other.

    Args:
        draws: of this face.
        skin: whose map values.
        photographed: dark skin has the colours that photographs of people have, see `PHOTOGRAPHED_DARK`.
    """
    which, first, second = draws.uniform(0.0, 1.0), draws.gaussian(1.0, 2.5), draws.gaussian(1.0)
    if skin == "published":
        low, high = PUBLISHED_MELANIN
        melanin = low + (high - low) * which
        middle, half = PUBLISHED_BLOOD
        blood = middle + 0.5 * half * first - 0.1 * max(melanin, 0.0)
        return Tone(melanin, min(max(blood, middle - half), middle + half))
    groups = tuple(MEASURED_GROUPS.values())
    group = groups[int(which * len(groups))]
    (m_low, m_high), (h_low, h_high) = MEASURED_LIMITS
    if photographed:
        group = PHOTOGRAPHED_DARK if group is MEASURED_GROUPS["dark"] else group
        m_high = PHOTOGRAPHED_DARKEST
    rest = math.sqrt(1.0 - group.correlation**2)
    melanin = group.melanin + group.melanin_spread * (group.correlation * first + rest * second)
    haemoglobin = group.haemoglobin + group.haemoglobin_spread * first
    haemoglobin = haemoglobin + PHOTOGRAPHED_BLOOD * photographed
    return Tone(min(max(melanin, m_low), m_high), min(max(haemoglobin, h_low), h_high))
