"""What the colour of skin tells of its pigments, where its light is known but for what spectrum it has.

A posterior over melanin, blood, highlights, and the spectra of light and camera, computed on a grid: the
colour is compared with those of all skins under many lights and cameras.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition
from ..physics.camera import COORDINATE_RANGE
from ..physics.colour import WHITE_ROW_SUMS
from ..physics.illuminant import ILLUMINANT_NAMES, Illuminant
from ..physics.names import SkinName
from ..physics.temperature import correlated_temperature
from ..rendering.renderer import render
from ..system.lasting import kept

__all__ = ["WHITE", "Known", "posterior", "reflectance"]

WHITE = float(WHITE_ROW_SUMS[1])
"""Linear RGB of a white surface under unit diffuse shading, in the renderer's scale."""

LIGHTS, MELANIN, HAEMOGLOBIN = 64, 80, 28
"""Pairs of a light and a camera, and steps of both pigments, that colours are compared with."""

MELANIN_ENDS = (-0.7, 0.97)

TONES = {
    "measured": (
        *((-0.282, 0.051, 0.264, 0.231, -0.71), (-0.214, 0.061, 0.291, 0.339, -0.74)),
        *((-0.131, 0.067, 0.305, 0.381, -0.81), (-0.025, 0.068, 0.246, 0.424, -0.78)),
        *((0.164, 0.094, 0.1, 0.42, -0.62), (0.489, 0.126, 0.28, 0.42, 0.0)),
    ),
    "published": tuple((middle, 0.3, -0.33, 0.4, 0.0) for middle in (-0.6, 0.0, 0.6)),
}
"""Map values of melanin and haemoglobin in groups of skin from very light to dark, each as likely: middle and
spread of either, and their correlation. Of the measured skin those of the International Skin Spectra Archive
(`biofacenet.data.synthetic.tones`)."""

WIDER = 1.15
"""Factor of the spreads of melanin, so that nobody falls between them."""

GLOSS = (0.017, 0.45)
"""Usual highlight of the half of the skin that has fewer, as a share of a white surface's light, and the
spread of its logarithm: Fresnel's 0.028 of what is all around, and what lies beside the lobes of lamps; the
median of synthetic faces, in which skins differ as much."""

GLOSS_STEPS = (-1.5, -0.75, 0.0, 0.75, 1.5)


@dataclass(frozen=True)
class Known:
    """What a white tells of a face, with 68 % intervals: map values of its skin as a whole."""

    melanin: float
    melanin_ends: tuple[float, float]
    haemoglobin: float
    haemoglobin_ends: tuple[float, float]
    kelvin: tuple[float, float]
    """Ends of the light's correlated colour temperature. White says what colour the light has for the
    camera, which says little of its spectrum."""
    misfit: float
    """How far the face's colour is from that of any skin, in standard deviations. Over `UNLIKELY`, what
    was taken for white is none, or something else than the skin is seen."""

    UNLIKELY = 4.0

    @property
    def unlikely(self) -> bool:
        """Whether no skin has such a colour beside that white."""
        return self.misfit > self.UNLIKELY

    @property
    def deviations(self) -> tuple[float, float]:
        """Standard deviations of melanin and haemoglobin: half of their intervals."""
        (a, b), (c, d) = self.melanin_ends, self.haemoglobin_ends
        return (b - a) / 2.0, (d - c) / 2.0


@kept
def _lights() -> tuple[Illuminant, Tensor, Tensor]:
    """Lights and cameras of photos as they are usual, and the kelvin of each light.

    Half are daylight, two in ten incandescent, three in ten fluorescent, some mixed.
    """
    rng = np.random.default_rng(0)
    weights = np.zeros((LIGHTS, len(ILLUMINANT_NAMES)), np.float32)
    for row in weights:
        kinds = (0, 1, int(rng.integers(2, len(ILLUMINANT_NAMES))))
        first, second = rng.choice(kinds, size=2, p=(0.2, 0.5, 0.3))
        share = 1.0 if rng.uniform() < 0.6 else rng.uniform(0.5, 1.0)
        row[first] += share
        row[second] += 1.0 - share
    kelvin = np.exp(rng.uniform(np.log(4000.0), np.log(12000.0), LIGHTS)).astype(np.float32)
    most = COORDINATE_RANGE[1] - 0.5
    camera = np.clip(rng.normal(size=(LIGHTS, 2)), -most, most).astype(np.float32)
    light = Illuminant(torch.from_numpy(weights), torch.from_numpy(kelvin))
    like = torch.zeros(LIGHTS, 1, 1, 1)
    maps = Decomposition(like, like, like + 1.0, like, light, torch.from_numpy(camera))
    return light, torch.from_numpy(camera), correlated_temperature(maps.spectrum())[0]


def _axes() -> tuple[Tensor, Tensor]:
    return torch.linspace(*MELANIN_ENDS, MELANIN), torch.linspace(-0.98, 0.98, HAEMOGLOBIN)


@kept
def _colours(skin: SkinName) -> Tensor:
    """Linear RGB of skins under unit shading, (LIGHTS, 3, MELANIN, HAEMOGLOBIN)."""
    light, camera, _ = _lights()
    melanin, haemoglobin = (
        x.expand(LIGHTS, 1, -1, -1).contiguous() for x in torch.meshgrid(*_axes(), indexing="ij")
    )
    one = torch.ones_like(melanin)
    return render(melanin, haemoglobin, one, 0.0 * one, light, camera, skin=skin)


@kept
def _usual(skin: SkinName) -> Tensor:
    """Logarithm of how usual skins are, (MELANIN, HAEMOGLOBIN)."""
    melanin, haemoglobin = _axes()
    found = torch.zeros(MELANIN, HAEMOGLOBIN)
    for middle, spread, blood, blood_spread, correlation in TONES[skin]:
        x = ((melanin - middle) / (WIDER * spread))[:, None]
        y = ((haemoglobin - blood) / blood_spread)[None]
        alone = 1.0 - correlation**2
        square = (x.square() - 2.0 * correlation * x * y + y.square()) / alone
        found += torch.exp(-0.5 * square) / (spread * blood_spread * alone**0.5)
    return found.clamp(min=1e-12).log()


@kept
def _reflectances(skin: SkinName) -> Tensor:
    """(1, 3, MELANIN, HAEMOGLOBIN), mean logarithm of linear RGB under all lights and cameras."""
    return _colours(skin).clamp(min=1e-5).log().mean(dim=0, keepdim=True)


def reflectance(melanin: float, haemoglobin: float, skin: SkinName) -> tuple[float, float, float]:
    """Logarithm of linear RGB of skin under unit shading, the mean of usual lights and cameras.

    Args:
        melanin: map value.
        haemoglobin: likewise.
        skin: of which they are.
    """
    places = [
        2.0 * (value - float(axis[0])) / float(axis[-1] - axis[0]) - 1.0
        for value, axis in zip((haemoglobin, melanin), reversed(_axes()), strict=True)
    ]
    there = torch.tensor(places).clamp(-1.0, 1.0).view(1, 1, 1, 2)
    red, green, blue = (
        F.grid_sample(_reflectances(skin), there, align_corners=True).flatten().tolist()
    )
    return red, green, blue


def posterior(
    colour: Tensor, shading: float, error: float, skin: SkinName
) -> tuple[Known, Illuminant, Tensor, float]:
    """What the colour of a face's skin tells.

    Args:
        colour: (3,), logarithm of linear RGB under unit shading, highlights included.
        shading: error of the logarithm that all channels share.
        error: of that of each.
        skin: whose colours.

    Returns:
        Pigments; the likeliest light and camera; highlights under unit shading, in the renderer's scale.
    """
    usual, spread = GLOSS
    glosses = [usual * math.exp(spread * step) for step in GLOSS_STEPS]
    table = _colours(skin)
    fits, terms = [], []
    for gloss, step in zip(glosses, GLOSS_STEPS, strict=True):
        off = colour[None, :, None, None] - (table + gloss * WHITE).clamp(min=1e-5).log()
        mean = off.mean(dim=1, keepdim=True)
        apart = (off - mean).square().sum(dim=1) / error**2
        together = 3.0 * mean[:, 0].square() / (error**2 + 3.0 * shading**2)
        fits.append(apart + together + step**2)
        terms.append(_usual(skin) - 0.5 * fits[-1])
    weight = torch.stack(terms).flatten().softmax(0).reshape(len(glosses), *terms[0].shape)
    melanin, haemoglobin = _axes()
    m, m_ends = _interval(weight.sum((0, 1, 3)), melanin)
    h, h_ends = _interval(weight.sum((0, 1, 2)), haemoglobin)
    light, camera, kelvin = _lights()
    order = kelvin.argsort()
    _, ends = _interval(weight.sum((0, 2, 3))[order], kelvin[order])
    near = (int((melanin - m).abs().argmin()), int((haemoglobin - h).abs().argmin()))
    best = int(weight[:, :, near[0], near[1]].sum(dim=0).argmax())
    one = slice(best, best + 1)
    gloss = float((weight.sum((1, 2, 3)) * torch.tensor(glosses)).sum())
    misfit = float(torch.stack(fits).min().clamp(min=0.0).sqrt())
    known = Known(m, m_ends, h, h_ends, ends, misfit)
    return known, Illuminant(light.weights[one], light.cct[one]), camera[one], gloss * WHITE


def _interval(weight: Tensor, axis: Tensor) -> tuple[float, tuple[float, float]]:
    """Median and ends of the 68 % interval of a weighted axis, within it."""
    sums = weight.double().cumsum(0).numpy()
    middles = (sums - weight.double().numpy() / 2.0) / sums[-1]
    low, middle, high = np.interp((0.16, 0.5, 0.84), middles, axis.double().numpy())
    least, most = float(axis[0]), float(axis[-1])
    return float(middle), (max(float(low), least), min(float(high), most))
