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

import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..decomposition.parts import part_index
from ..physics.colour import luminance
from ..physics.illuminant import Illuminant
from ..physics.names import SkinName
from ..system.brief import Brief
from ..system.device import plain_defaults
from .detail import share_out
from .known import WHITE, Known, posterior
from .shading import Learned, clues_of, learned, light_of, looked_at

__all__ = ["WHITE", "Absolute", "Known", "absolute", "skin_of"]

COLOUR, DEVELOPED = 0.022, 0.05
"""Error of the logarithm of a channel, of what the model does not explain: in linear light, and in photos
that a camera developed, with a tone curve and saturation that nobody tells. Of these, the greys of a chart
tell the curve only: the error stays."""

SHADING, SHADING_SIDE, SHADING_APART = 0.047, 0.16, 0.045
"""Error of the logarithm of the shading of a face whose normals are known: in light from ahead, for each unit
by which light comes from a side, as a share of what falls on a surface that faces the viewer, and for each
unit by which both ways of telling it are apart. Chosen on 200 synthetic faces, and a seventh wider by 200
others, as few errors are large."""

SHADING_ALONE = 0.25
"""The same where they are not known."""

TOO_BRIGHT = 0.13
"""Logarithm by which shading that is read at normals toward the viewer is too small, as a network's normals
are smooth, and light is kept from every face by itself: the mean of those faces."""

USUAL_SHADING = 1.03
"""Median shading of a forehead beside a surface that faces the viewer: likewise."""

FARTHEST_APART = 0.5
"""Of the logarithm of a level that was learned from what the light on the normals tells."""

LEARNED_SKIN: SkinName = "measured"
"""Constants of the skin of which faces it was learned on."""

OF_SITE = 0.25
"""Weight of the usual shading of the place where the level is read, beside that which all normals tell."""

SKIN = 0.9
"""Probability from which a pixel is surely skin."""


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
    learned: Learned | None = None
    """What brings pigments and intervals to those of faces whose maps are known."""

    @plain_defaults()
    @torch.no_grad()
    def known(self, mask: Tensor) -> Known:
        """What some of the skin tells, such as a region: its own colour is compared.

        Args:
            mask: (1, 1, H, W), more than 0.5 where it is; not empty.
        """
        return self._posterior(mask > 0.5)[0]

    def _posterior(self, inside: Tensor) -> tuple[Known, Illuminant, Tensor, float]:
        calm = looked_at(inside, skin_of(self.decomposition), self.shading, self.calm)
        colour = (WHITE * self.image / self.shading).clamp(min=1e-5).log()
        middle = colour[:, :, calm[0, 0]].median(dim=2).values[0]
        skin = self.decomposition.skin
        known, light, camera, gloss = posterior(middle, self.error, self.colour, skin)
        if self.learned is not None:
            known = self.learned.calibrated(known)
        return known, light, camera, gloss


@plain_defaults()
@torch.no_grad()
def absolute(
    found: Decomposition,
    image: Tensor,
    mask: Tensor | None = None,
    bright: Tensor | None = None,
    *,
    linear: bool = False,
    of_network: bool = False,
) -> Absolute:
    """Maps of a face at their absolute level.

    Args:
        found: maps of one image, at any level, with normals and parts where the network tells them.
        image: (1, 3, H, W), linear sRGB in which a perfect white surface, lit as the face is and facing the
            viewer, is 1 in each channel.
        mask: (1, 1, H, W), 1 where the level is read, best the forehead and the cheeks; all skin when not
            given or empty.
        bright: (1, 1, H, W), 1 where shading is `USUAL_SHADING`: the forehead; `mask` when not given or
            empty.
        linear: whether the photo is linear light, as raw files are, and colours can be trusted.
        of_network: whether a network found the maps: then the level is told by what was learned of networks'
            maps (`biofacenet.fitting.shading`), else by the light on the normals alone.

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
    site = skin_of(found)
    if mask is not None and bool((mask > 0.5).any()):
        site = mask.cpu() > 0.5
    lit = site if bright is None or not bool((bright > 0.5).any()) else bright.cpu() > 0.5
    seen, level = _seen(found, image, lit, linear=linear, of_network=of_network)
    known, light, camera, gloss = seen._posterior(site)
    calm = looked_at(site, skin_of(found), found.diffuse, found.specular)
    # Shared out in the renderer's scale, in which noise is that of a photo.
    start = replace(
        found,
        melanin=_moved(found.melanin, site, known.melanin),
        haemoglobin=_moved(found.haemoglobin, site, known.haemoglobin),
        diffuse=found.diffuse * level,
        # What was too much or too little of highlights is so everywhere; lobes of lamps stay.
        specular=_highlights(
            found.specular * level, calm, gloss * float(seen.shading[calm].median())
        ),
        illuminant=light,
        camera=camera,
        measured_light=None,
        measured_camera=None,
    )
    return replace(seen, decomposition=_shared_out(start, image, site, known, calm))


def _seen(
    found: Decomposition, image: Tensor, forehead: Tensor, *, linear: bool, of_network: bool
) -> tuple[Absolute, float]:
    """What tells pigments, and what diffuse shading was multiplied by for that."""
    level, error = _level(found, forehead)
    told: Learned | None = None
    if of_network and found.normals is not None and found.skin == LEARNED_SKIN:
        told = learned(linear)
        level, error = _learned_level(found, image, forehead, told, level)
    shading = (found.diffuse * level).clamp(min=1e-4)
    colour = COLOUR if linear else DEVELOPED
    return Absolute(found, image, found.specular, shading, error, colour, told), level


def _shared_out(
    start: Decomposition, image: Tensor, site: Tensor, known: Known, calm: Tensor
) -> Decomposition:
    """Maps at a level, in the renderer's scale, with the detail of an image in which white is 1."""
    maps = share_out(start, WHITE * image)
    maps = replace(
        maps,
        melanin=_moved(maps.melanin, site, known.melanin),
        haemoglobin=_moved(maps.haemoglobin, site, known.haemoglobin),
        diffuse=maps.diffuse / WHITE,
        specular=maps.specular / WHITE,
    )
    # What the level of pigments takes or adds, shading gives back: the maps render to the photo.
    factor = (luminance(image) / luminance(maps.render()).clamp(min=1e-4))[calm].median()
    return replace(maps, diffuse=maps.diffuse * factor)


def skin_of(found: Decomposition) -> Tensor:
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
    ahead, aside = _light(found)
    if not 0.2 * middle < ahead < 5.0 * middle:
        return math.exp(usual), SHADING_ALONE
    by_normals = -TOO_BRIGHT - math.log(ahead)
    level = by_normals + OF_SITE * (usual - by_normals)
    error = SHADING + SHADING_SIDE * abs(aside / ahead) + SHADING_APART * abs(usual - by_normals)
    return math.exp(level), min(error, SHADING_ALONE)


def _learned_level(
    found: Decomposition, image: Tensor, forehead: Tensor, told: Learned, by_light: float
) -> tuple[float, float]:
    """The same as learned of networks' maps, never far from what the light on the normals tells."""
    clues, middle = clues_of(found, image, skin_of(found), forehead)
    shading, error = told(clues)
    apart = shading - float(middle) - math.log(by_light)
    beyond = abs(apart) - FARTHEST_APART
    if beyond > 0.0:
        apart, error = math.copysign(FARTHEST_APART, apart), min(error + beyond, SHADING_ALONE)
    return by_light * math.exp(apart), error


def _light(found: Decomposition) -> tuple[float, float]:
    """Shading of a surface that faces the viewer, and by how much more it is for one that faces aside.

    Of the light of the first order: that of the second follows what a network's smooth normals miss.
    """
    light = light_of(found, skin_of(found))
    return float(light[0] + light[3]), float(light[1])
