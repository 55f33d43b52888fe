"""Pigments at their absolute level, where it is known what white is.

A photo alone says how bright skin is beside other skin, not beside the light: dark skin in much light and
pale skin in little differ by their colour alone. In a photo in whose linear RGB a perfect white surface that
faces the viewer is 1 (`biofacenet.photos.white`), that is known, and so is the colour of the light:

    rgb = (shading * reflectance(melanin, blood) + highlights) / white of the renderer

Shading is known from the maps, whose diffuse shading over their normals tells the light that falls on a
face; it is 1 where a surface faces as the white does. So each pixel tells its reflectance, but for what
highlights add to it, which are little and never far from the share of light that skin reflects at its
surface. What remains is a posterior over melanin, blood, highlights, and the spectra of light and camera,
which is computed on a grid: the colour of the skin is compared with that of all skins under all lights and
cameras.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..decomposition.parts import part_index
from ..physics.camera import COORDINATE_RANGE
from ..physics.colour import WHITE_ROW_SUMS
from ..physics.illuminant import ILLUMINANT_NAMES, Illuminant
from ..physics.lighting import fit_harmonics, sh_shading
from ..physics.names import SkinName
from ..physics.temperature import correlated_temperature
from ..rendering.renderer import render
from ..system.brief import Brief
from ..system.device import plain_defaults
from ..system.lasting import kept
from .detail import share_out

__all__ = ["WHITE", "Absolute", "Known", "absolute"]

WHITE = float(WHITE_ROW_SUMS[1])
"""Linear RGB of a white surface under unit diffuse shading, in the renderer's scale."""

LIGHTS, MELANIN, HAEMOGLOBIN = 64, 80, 28
"""Pairs of a light and a camera, and steps of both pigments, that colours are compared with."""

MELANIN_ENDS = (-0.7, 0.97)

TONES = {
    "measured": (
        *((-0.282, 0.051), (-0.214, 0.061), (-0.131, 0.067)),
        *((-0.025, 0.068), (0.164, 0.094), (0.489, 0.126)),
    ),
    "published": ((-0.6, 0.3), (0.0, 0.3), (0.6, 0.3)),
}
"""Melanin map value and its spread in groups of skin from very light to dark, each as likely: of the
measured skin those of the International Skin Spectra Archive (`biofacenet.data.synthetic.tones`)."""

WIDER = 1.3
"""Factor of those spreads, so that nobody falls between them."""

BLOOD = {"measured": (0.28, 0.4), "published": (-0.33, 0.4)}
"""Usual haemoglobin map value, and its spread."""

GLOSS = (0.017, 0.45)
"""Usual highlight of the half of the skin that has fewer, as a share of a white surface's light, and the
spread of its logarithm: Fresnel's 0.028 of what is all around, and what lies beside the lobes of lamps; the
median of synthetic faces, in which skins differ as much."""

GLOSS_STEPS = (-1.5, -0.75, 0.0, 0.75, 1.5)

COLOUR, UNDONE, DEVELOPED = 0.022, 0.035, 0.05
"""Error of the logarithm of a channel, of what the model does not explain: in linear light; in photos that a
camera developed, whose tone curve is undone but not their saturation; and where nobody tells the curve."""

SHADING, SHADING_APART = 0.05, 0.2
"""Error of the logarithm of the shading of a face whose normals are known: where both ways of telling it
agree, and for each unit by which they do not; of synthetic faces."""

SHADING_ALONE = 0.25
"""The same where they are not known."""

TOO_BRIGHT = 0.1
"""Logarithm by which shading that is read at normals toward the viewer is too small, as a network's normals
are smooth, and light is kept from every face by itself: the median of synthetic faces."""

USUAL_SHADING = 0.92
"""Median shading of a face beside a surface that faces the viewer, where normals are not known."""

WIDTH = 1.0
"""Factor that brings intervals to 68 % on synthetic faces (`python -m benchmarks.white`)."""

BY_NORMALS, APART = 0.5, 0.3
"""Weight of the shading that normals tell, beside that which is usual, where both agree; and how far apart
their logarithms are where half as much more of it counts."""

SKIN, SURE = 0.9, 0.3
"""Probability from which a pixel is surely skin; share of a place that must be, or all of it counts."""

TOWARD_VIEWER = 0.2
"""Least z of normals that tell the light."""


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


@dataclass(frozen=True, repr=False)
class Absolute(Brief):
    """Maps at the level that a white tells."""

    decomposition: Decomposition
    """In units in which diffuse shading of a surface that faces as the white does is 1 / `WHITE`."""
    image: Tensor
    """(1, 3, H, W), linear sRGB in which white is 1."""
    calm: Tensor
    """(1, 1, H, W), highlights that were found, under which half of the pixels of a place are looked at."""
    shading: Tensor
    """(1, 1, H, W), 1 where a surface faces as the white does."""
    error: float
    """Of its logarithm, that all pixels share."""
    colour: float
    """Error of the logarithm of a channel."""

    @plain_defaults()
    @torch.no_grad()
    def known(self, mask: Tensor) -> Known:
        """What some of the skin tells, such as a region: its own colour is compared.

        Args:
            mask: (1, 1, H, W), more than 0.5 where it is; not empty.
        """
        return self._posterior(mask > 0.5)[0]

    def _posterior(self, inside: Tensor) -> tuple[Known, Illuminant, Tensor, float]:
        # At the edge of skin, pixels are half hair or wall.
        sure = inside & _skin(self.decomposition)
        if int(sure.sum()) >= SURE * int(inside.sum()):
            inside = sure
        calm = inside & (self.calm <= self.calm[inside].median())
        colour = (WHITE * self.image / self.shading).clamp(min=1e-5).log()
        middle = colour[:, :, calm[0, 0]].median(dim=2).values[0]
        return _posterior(middle, self.error, self.colour, self.decomposition.skin)


@plain_defaults()
@torch.no_grad()
def absolute(
    found: Decomposition,
    image: Tensor,
    mask: Tensor | None = None,
    *,
    linear: bool = False,
    undone: bool = False,
) -> Absolute:
    """Maps of a face at their absolute level.

    Args:
        found: maps of one image, at any level, with normals and parts where the network tells them.
        image: (1, 3, H, W), linear sRGB in which a perfect white surface, lit as the face is and facing the
            viewer, is 1 in each channel.
        mask: (1, 1, H, W), 1 where the level is read, best the forehead and the cheeks; all skin when not
            given or empty.
        linear: whether the photo is linear light, as raw files are, and colours can be trusted.
        undone: whether its tone curve is undone, by greys of a chart.

    Raises:
        ValueError: of several images, or of another size.

    Example:
        >>> found = Decomposition.load("maps.npz")  # doctest: +SKIP
        >>> absolute(found, image).known(mask).melanin_ends  # doctest: +SKIP
        (0.12, 0.19)
    """
    if len(found) != 1 or image.shape != (1, 3, *found.melanin.shape[2:]):
        raise ValueError(
            f"image must be that of the maps, (1, 3, {found.melanin.shape[2]}, "
            f"{found.melanin.shape[3]}), got {tuple(image.shape)} and {len(found)} decompositions"
        )
    found, image = found.detach().to("cpu", torch.float32), image.detach().float().cpu()
    site = _skin(found)
    if mask is not None and bool((mask > 0.5).any()):
        site = mask.cpu() > 0.5
    level, error = _level(found, site)
    shading = found.diffuse * level
    error_of_colour = COLOUR if linear else UNDONE if undone else DEVELOPED
    seen = Absolute(found, image, found.specular, shading.clamp(min=1e-4), error, error_of_colour)
    known, light, camera, gloss = seen._posterior(site)
    calm = site & (found.specular <= found.specular[site].median())
    # Shared out in the renderer's scale, in which noise is that of a photo.
    start = replace(
        found,
        melanin=_moved(found.melanin, site, known.melanin),
        haemoglobin=_moved(found.haemoglobin, site, known.haemoglobin),
        diffuse=shading,
        # What was too much or too little of highlights is so everywhere; lobes of lamps stay.
        specular=_highlights(found.specular * level, calm, gloss * float(shading[calm].median())),
        illuminant=light,
        camera=camera,
        measured_light=None,
        measured_camera=None,
    )
    maps = share_out(start, WHITE * image)
    maps = replace(
        maps,
        melanin=_moved(maps.melanin, site, known.melanin),
        haemoglobin=_moved(maps.haemoglobin, site, known.haemoglobin),
        diffuse=maps.diffuse / WHITE,
        specular=maps.specular / WHITE,
    )
    return replace(seen, decomposition=maps)


def _skin(found: Decomposition) -> Tensor:
    """(1, 1, H, W), bool, never empty: by the parts, where they are known."""
    everywhere = torch.ones_like(found.melanin) > 0.5
    if found.parts is None:
        return everywhere
    index = part_index("skin")
    inside = found.parts[:, index : index + 1] > SKIN
    return inside if bool(inside.any()) else everywhere


def _moved(values: Tensor, skin: Tensor, to: float) -> Tensor:
    """A map with its median over the skin at a value."""
    return (values + (to - values[skin].median())).clamp(-1.0, 1.0).contiguous()


def _highlights(specular: Tensor, calm: Tensor, to: float) -> Tensor:
    return (specular + (to - specular[calm].median())).clamp(min=1e-4).contiguous()


def _level(found: Decomposition, site: Tensor) -> tuple[float, float]:
    """What diffuse shading is to be multiplied by to be 1 where a surface faces the viewer, and the error
    of its logarithm.

    The mean of two estimates: by the light that explains the shading of all normals, and by the usual
    shading of the site.
    """
    middle = float(found.diffuse[site].median())
    usual = math.log(USUAL_SHADING / middle)
    if found.normals is None:
        return math.exp(usual), SHADING_ALONE
    weight = _skin(found).float() * (found.normals[:, 2:] > TOWARD_VIEWER)
    light = fit_harmonics(found.diffuse, found.normals, weight)
    ahead = torch.tensor([0.0, 0.0, 1.0]).reshape(1, 3, 1, 1)
    seen = float(sh_shading(ahead, light[:, None].expand(1, 3, 9)))
    if not 0.2 * middle < seen < 5.0 * middle:
        return math.exp(usual), SHADING_ALONE
    by_normals = -TOO_BRIGHT - math.log(seen)
    apart = abs(by_normals - usual)
    weight_of_normals = min(1.0, BY_NORMALS + apart / APART)
    level = usual + weight_of_normals * (by_normals - usual)
    return math.exp(level), SHADING + SHADING_APART * apart


# The posterior -------------------------------------------------------------------------------


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
    tones = torch.stack(
        [
            torch.exp(-0.5 * ((melanin - middle) / (WIDER * spread)) ** 2) / spread
            for middle, spread in TONES[skin]
        ]
    ).sum(dim=0)
    middle, spread = BLOOD[skin]
    return tones.clamp(min=1e-12).log()[:, None] - 0.5 * ((haemoglobin - middle) / spread) ** 2


def _posterior(
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
    ends = (
        max(middle - WIDTH * (middle - low), least),
        min(middle + WIDTH * (high - middle), most),
    )
    return float(middle), (float(ends[0]), float(ends[1]))
