"""Colour that a file tells by numbers and not by a profile, as codecs and PNG do, made sRGB.

Sources: ITU-T H.273, tables 2 and 3, for the numbers; ITU-R BT.2100 for PQ and HLG; ITU-R BT.2408 for
the light of white in them, 203 cd/m2; SMPTE RP 177 for matrices of primaries; Bradford's adaptation as
ICC.1 has it; Exif 2.32 and DCF 2.0 for Adobe RGB without a profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ..physics.colour import linear_to_srgb, srgb_to_linear
from .kinds import KindError

__all__ = ["ADOBE_RGB", "Colour", "adapted", "by_chromaticities", "by_numbers", "to_srgb"]

Primaries = tuple[tuple[float, float], ...]
"""Chromaticities x, y of red, green, blue and white."""

D65, ILLUMINANT_C = (0.3127, 0.3290), (0.310, 0.316)

BT_709: Primaries = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
SMPTE_170M: Primaries = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)
BT_2020: Primaries = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)

PRIMARIES: dict[int, tuple[str, Primaries]] = {
    1: ("BT.709", BT_709),
    4: ("BT.470 M", ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), ILLUMINANT_C)),
    5: ("BT.470 BG", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65)),
    6: ("SMPTE 170M", SMPTE_170M),
    7: ("SMPTE 240M", SMPTE_170M),
    8: ("film", ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), ILLUMINANT_C)),
    9: ("BT.2020", BT_2020),
    11: ("DCI-P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351))),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)),
    22: ("EBU 3213", ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65)),
}

SRGB = 13

AS_SRGB = {1, 6, 7, 11, 12, SRGB, 14, 15}
"""Transfers of television, which screens show as they show sRGB, as browsers do."""

GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}

PQ, HLG = 16, 18

UNSAID = {0, 2}
"""Reserved, and unspecified: sRGB is meant (ISO/IEC 23000-22)."""

ROUNDING = 2e-3
"""Of chromaticities in files."""

WHITE = 203.0
"""Light of white in HDR, cd/m2 (BT.2408)."""

HLG_PEAK, HLG_GAMMA = 1000.0, 1.2
"""Of the screen that HLG is shown on, cd/m2, and of its overall transfer (BT.2100)."""


@dataclass(frozen=True)
class Colour:
    """What values of red, green and blue stand for."""

    primaries: Primaries
    gamma: float | None
    """Exponent from values to light; None where `transfer` says it."""
    transfer: int = SRGB
    """Of H.273: sRGB, PQ or HLG."""
    name: str = ""
    """For people."""


def _unknown(what: str) -> KindError:
    return KindError(f"colour of {what}; expected sRGB, export it as JPEG")


def by_numbers(primaries: int, transfer: int) -> Colour | None:
    """Colour by the numbers of ITU-T H.273; None where that is sRGB, or nothing is said.

    Raises:
        KindError: it is not converted; says which.
    """
    primaries = 1 if primaries in UNSAID else primaries
    transfer = SRGB if transfer in UNSAID else transfer
    if primaries not in PRIMARIES:
        raise _unknown(f"primaries {primaries}")
    if transfer not in AS_SRGB | {*GAMMAS, PQ, HLG}:
        raise _unknown(f"transfer {transfer}")
    name, places = PRIMARIES[primaries]
    if transfer in AS_SRGB:
        return None if primaries == 1 else Colour(places, None, SRGB, name)
    if transfer in GAMMAS:
        return Colour(places, GAMMAS[transfer], name=f"{name}, gamma {GAMMAS[transfer]:g}")
    return Colour(places, None, transfer, f"{name}, {'PQ' if transfer == PQ else 'HLG'}")


def by_chromaticities(primaries: Primaries | None, gamma: float | None) -> Colour | None:
    """Colour as PNG's cHRM and gAMA have it; None where that is sRGB.

    Args:
        primaries: those of sRGB when not given.
        gamma: exponent from values to light; the transfer of sRGB when not given.

    Raises:
        KindError: they are no colours that light could have.
    """
    places = primaries or BT_709
    if gamma is not None and not 0.1 <= gamma <= 10.0:
        raise _unknown(f"gamma {gamma:.4g}")
    if any(y <= 0.0 or x < 0.0 or x + y > 1.0 for x, y in places):
        raise _unknown(f"chromaticities {places}")
    if gamma is None and np.abs(_matrix(places) - np.eye(3)).max() < ROUNDING:
        return None
    words = [] if gamma is None else [f"gamma {gamma:.3g}"]
    return Colour(places, gamma, name=", ".join(words + ["its own primaries"] * bool(primaries)))


ADOBE_RGB = Colour(
    ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65), 563 / 256, name="Adobe RGB (1998)"
)


# Converting ----------------------------------------------------------------------------------


def _xyz(chromaticity: tuple[float, float]) -> np.ndarray:
    x, y = chromaticity
    return np.array([x / y, 1.0, (1.0 - x - y) / y])


def _rgb_to_xyz(primaries: Primaries) -> np.ndarray:
    """White of (1, 1, 1) has Y = 1 (SMPTE RP 177)."""
    columns = np.stack([_xyz(place) for place in primaries[:3]], axis=1)
    try:
        return columns * np.linalg.solve(columns, _xyz(primaries[3]))
    except np.linalg.LinAlgError as error:
        raise _unknown(f"chromaticities {primaries}") from error


BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def adapted(white: tuple[float, float]) -> np.ndarray:
    """The matrix from XYZ, of which a white has Y = 1, to linear sRGB: (3, 3)."""
    cones = BRADFORD @ _xyz(D65) / (BRADFORD @ _xyz(white))
    to_d65 = np.linalg.inv(BRADFORD) @ (cones[:, None] * BRADFORD)
    return np.linalg.inv(_rgb_to_xyz(BT_709)) @ to_d65


@cache
def _matrix(primaries: Primaries) -> np.ndarray:
    """From linear light of some primaries to linear sRGB."""
    matrix = adapted(primaries[3]) @ _rgb_to_xyz(primaries)
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 100.0:
        raise _unknown(f"chromaticities {primaries}")
    return matrix


def to_srgb(values: Tensor, colour: Colour) -> Tensor:
    """Values of another colour as sRGB-encoded ones, clipped to 0..1.

    Light of HDR is that of its screen; 203 cd/m2 become white, and what is brighter is clipped.

    Args:
        values: (3, ...), encoded, 0..1, float32.
        colour: what they stand for.
    """
    light = _light(values.clamp(0.0, 1.0), colour)
    matrix = torch.from_numpy(_matrix(colour.primaries)).to(light)
    linear = (matrix @ light.reshape(3, -1)).reshape(light.shape)
    return linear_to_srgb(linear.clamp_(0.0, 1.0))


def _light(values: Tensor, colour: Colour) -> Tensor:
    """Linear light, white at 1."""
    if colour.gamma is not None:
        return values**colour.gamma
    if colour.transfer == PQ:
        root = values ** (1.0 / 78.84375)
        share = (root - 0.8359375).clamp(min=0.0) / (18.8515625 - 18.6875 * root)
        return (10000.0 / WHITE) * share ** (1.0 / 0.1593017578125)
    if colour.transfer == HLG:
        a = 0.17883277
        b, c = 1.0 - 4.0 * a, 0.5 - a * float(np.log(4.0 * a))
        scene = torch.where(
            values <= 0.5, values.square() / 3.0, (((values - c) / a).exp() + b) / 12.0
        )
        weights = torch.from_numpy(_rgb_to_xyz(colour.primaries)[1]).to(scene)
        luminance = (weights @ scene.reshape(3, -1)).reshape(scene.shape[1:])
        return (HLG_PEAK / WHITE) * scene * luminance.clamp(min=0.0) ** (HLG_GAMMA - 1.0)
    return srgb_to_linear(values)
