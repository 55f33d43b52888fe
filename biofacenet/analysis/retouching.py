"""A photo under an edit: each pixel times the change of reflectance, highlights in their place.

A pixel is the light that came out of the skin, and a highlight upon it:

    pixel = body + highlight

An edit multiplies the body by what the maps' rendering changes to, channel by channel, and the highlight by
the change of specular shading. So freckles, pores and hairs stay what they are beside the skin around them,
and the same change of pigment is the same change of every skin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition, Edit
from ..decomposition.edit import areas_of_text
from ..decomposition.pigments import DARKEST_SKIN, median_of
from ..photos.matting import spread
from ..physics.colour import luminance
from ..physics.skin import from_axis, to_axis
from ..system.device import plain_defaults
from .areas import Areas, Frame, within

__all__ = ["Change", "Retouch", "change_of", "gloss", "steadied"]

STEADY = (0.8, 1.25)
"""Share of the skin's median pigment to which a pixel's is held: what is farther off on a map is more often
shading than pigment, and an edit is of the person."""

LEAST = 1e-4
"""Of linear RGB, for ratios."""

SHRUNK = 4
"""By which sides are divided where the change of all skin is computed."""

LARGEST_GLOSS = 0.6
"""Share of a pixel's light, in the channel that has the least, that can be a highlight."""

SHADED = (0.7, 1.0)
"""Light of a pixel, relative to the skin's median, up to which it has no highlight, and from which it may."""

CELLS = 48
"""Of the longer side, in which that light is taken: pores and hairs have no shade of their own."""

LIPS_FOLLOW = 0.5
"""Of a change of melanin, what lips get where no areas are named. Of 37 people of all groups of the Face
Research Lab London Set, the logarithm of the lips' luminance goes with that of the cheeks by 0.54
(r = 0.83): lips of dark people are darker, by half as much."""

STRONGEST = 3.0
"""Of the logarithm of a gain."""


@dataclass(frozen=True)
class Change:
    """What an edit does to a picture: pixels times a gain, and an offset upon it; (B, 3, H, W) each."""

    gain: Tensor
    offset: Tensor

    def of(self, image: Tensor) -> Tensor:
        """An image, linear sRGB, with the change; not below 0."""
        return (image * self.gain + self.offset).clamp(min=0.0)


def body(maps: Decomposition, *, shaded: bool = False) -> Tensor:
    """What maps render to without highlights, and without shading unless asked: (B, 3, H, W), > 0."""
    diffuse = maps.diffuse if shaded else torch.ones_like(maps.diffuse)
    plain = replace(maps, diffuse=diffuse, specular=torch.zeros_like(maps.specular))
    return plain.render().clamp(min=LEAST)


def gloss(image: Tensor, maps: Decomposition, skin: Tensor | None = None) -> Tensor:
    """Light of an image that is a highlight: (B, 3, H, W), linear sRGB.

    What most of a face has of surface reflection belongs to the colour of its skin, as it does where skin
    is measured; a highlight is what a pixel has beyond that, where it is no darker than most of the skin:
    grey light in the shade of a chin is of the room.

    Args:
        image: (B, 3, H, W), linear sRGB.
        maps: of the image.
        skin: (B or 1, 1, H, W), 0..1, where skin is; everywhere when not given.
    """
    usual = median_of(maps.specular / maps.diffuse.clamp(min=LEAST), skin)
    beyond = (maps.specular - usual * maps.diffuse).clamp(min=0.0)
    nothing = torch.zeros_like(maps.diffuse)
    white = replace(maps, diffuse=nothing, specular=torch.ones_like(nothing)).render()
    most = LARGEST_GLOSS * (image / white.clamp(min=LEAST)).amin(dim=1, keepdim=True)
    light = luminance(image)
    lit = _coarse(light) / median_of(light, skin).clamp(min=LEAST)
    bright = ((lit - SHADED[0]) / (SHADED[1] - SHADED[0])).clamp(0.0, 1.0)
    return bright * torch.minimum(beyond, most.clamp(min=0.0)) * white


def _coarse(plane: Tensor) -> Tensor:
    """Without what is finer than a `CELLS`th of the longer side: (B, C, H, W)."""
    size = plane.shape[-2:]
    step = max(1.0, max(size) / CELLS)
    small = F.interpolate(plane, size=[max(1, round(side / step)) for side in size], mode="area")
    return F.interpolate(small, size=size, mode="bilinear", align_corners=False)


def steadied(maps: Decomposition, skin: Tensor | None = None) -> Decomposition:
    """Maps whose pigments are held near to the median of the skin; see `STEADY`."""

    def held(values: Tensor) -> Tensor:
        fraction = to_axis(values) ** 3
        usual = to_axis(median_of(values, skin)) ** 3
        near = torch.minimum(torch.maximum(fraction, STEADY[0] * usual), STEADY[1] * usual)
        return from_axis(near ** (1.0 / 3.0)).clamp(-1.0, 1.0)

    return replace(maps, melanin=held(maps.melanin), haemoglobin=held(maps.haemoglobin))


def _of_person(
    maps: Decomposition, step: Edit, usual: Tensor
) -> tuple[Decomposition, Decomposition]:
    """Maps before and after a change of pigments that ends where real skin does, for the skin as a whole.

    Where the skin's median would become darker than skin is, everything changes by the factor that takes
    the median there: else the lighter half of a face would change alone.

    Args:
        maps: whose pigments are held near to the median.
        step: numbers of pigments alone.
        usual: (1, 1, 1, 1), median of melanin over the skin.
    """
    end = DARKEST_SKIN.get(maps.skin)
    there = replace(maps, melanin=usual.expand_as(maps.melanin)).edit(step).melanin
    if end is None or float(there.reshape(-1)[0]) < max(end, float(usual)):
        return maps, maps.edit(step)
    factor = float((to_axis(there.reshape(-1)[0]) / to_axis(usual)) ** 3)
    held = replace(maps, melanin=maps.melanin.minimum(usual))
    rest = replace(step, melanin=Edit().melanin, melanin_scale=1.0)
    return held, held.edit(rest, melanin_scale=max(factor, 1.0))


@plain_defaults()
def change_of(
    image: Tensor, before: Decomposition, after: Decomposition, mask: Tensor | None = None
) -> Change:
    """The change of an image between two decompositions of it.

    Args:
        image: (B, 3, H, W), linear sRGB.
        before: maps, light and camera of the image.
        after: what they are changed to.
        mask: (B or 1, 1, H, W), 0..1, where the image changes; everywhere when not given.
    """
    weight = torch.ones_like(before.diffuse) if mask is None else mask.to(before.diffuse)
    log_gain = (body(after, shaded=True) / body(before, shaded=True)).log()
    return _change(weight * log_gain, weight * gloss(image, before, mask), _glossier(before, after))


def _glossier(before: Decomposition, after: Decomposition) -> Tensor:
    return after.specular / before.specular.clamp(min=LEAST)


def _change(log_gain: Tensor, highlight: Tensor, glossier: Tensor) -> Change:
    gain = log_gain.clamp(-STRONGEST, STRONGEST).exp()
    return Change(gain, highlight * (glossier - gain))


class Retouch:
    """A part of a photo, ready to be changed again and again.

    Args:
        frame: the part with room around it, from `biofacenet.analysis.areas.frame_of`.
        maps: of the part, of the size that the frame has for it.
        areas: where what is in the frame, from `biofacenet.analysis.areas.areas_of`.
        everywhere: whether all of the part is taken for skin.

    Attributes:
        skin: (1, 1, h, w), 0..1, where skin is in the part.
    """

    @plain_defaults()
    def __init__(
        self, frame: Frame, maps: Decomposition, areas: Areas, *, everywhere: bool = False
    ) -> None:
        self.frame, self.maps, self.areas = frame, maps, areas
        self._all = everywhere
        part = (..., frame.rows, frame.columns)
        self.skin = areas.skin[part]
        image = frame.picture[part]
        self._covered = covered = frame.placed(torch.ones_like(maps.diffuse))
        self._sure = covered if everywhere else torch.from_numpy(within(frame))[None, None]
        self._lit = covered if everywhere else areas.skin + areas.lips
        self._head = covered if everywhere else areas.head
        self._gloss = frame.placed(gloss(image, maps, self.skin)) * self._lit * self._sure
        self._known = (covered if everywhere else areas.skin) * self._sure
        self._small, self._known_small = self._smaller(steadied(maps, self.skin))
        self._usual = median_of(maps.melanin, self.skin)

    def _smaller(self, maps: Decomposition) -> tuple[Decomposition, Tensor]:
        """Pigments of the frame, small, and how well they are known: what is of all skin is smooth."""
        size = [max(1, side // SHRUNK) for side in self.frame.size]

        def small(plane: Tensor) -> Tensor:
            return F.interpolate(plane, size=size, mode="area")

        known = small(self._known)

        def mean(values: Tensor) -> Tensor:
            usual = median_of(values, self.skin)
            around = small((self.frame.placed(values - usual)) * self._known)
            return (usual + around / known.clamp(min=1e-4)).clamp(-1.0, 1.0)

        flat = torch.ones_like(known)
        found = replace(
            maps,
            melanin=mean(maps.melanin),
            haemoglobin=mean(maps.haemoglobin),
            diffuse=flat,
            specular=torch.zeros_like(flat),
            normals=None,
            parts=None,
        )
        return found, known

    def strength(self, edit: Edit, *, lips: float = 0.0) -> Tensor:
        """How strongly pigments change where: (1, 1, H, W), 0..1.

        Args:
            edit: which may name areas.
            lips: how strongly lips change where it names none.
        """
        if self._all and edit.areas is None:
            return self._covered
        if edit.areas is None:
            return (self.areas.skin + lips * self.areas.lips).clamp(0.0, 1.0)
        wanted = areas_of_text(edit.areas)
        skin = wanted.pop("skin", 0.0)
        found = skin * self.areas.skin
        for name, strength in wanted.items():
            plane: Tensor = getattr(self.areas, name)
            within_skin = name not in ("lips", "brows", "eyes", "hair")
            found = found + plane * (strength - (skin if within_skin else 0.0))
        return found.clamp(0.0, 1.0)

    @plain_defaults()
    def change(self, edit: Edit) -> Change:
        """What a checked edit does to the frame.

        Raises:
            ValueError: the light is to come from another direction, and there are no normals.
        """
        edit = edit.read().resolved()
        total = torch.zeros(1, 3, *self.frame.size)
        evened = _of(edit, OF_SPOTS)
        pigmented = self._small
        for names, follow in ((MELANIN, LIPS_FOLLOW), (BLOOD, 0.0)):
            if (step := _of(edit, names)) != Edit():
                before, after = _of_person(pigmented, step, self._usual)
                total = total + self._smooth(before, after) * self.strength(edit, lips=follow)
                pigmented = after
        if evened != Edit():
            ratio = (body(self.maps.edit(evened)) / body(self.maps)).log()
            total = total + self._spread(ratio, self._known) * self.strength(edit)
        if edit.light is not None or edit.cct is not None or edit.camera is not None:
            seen = pigmented.edit(light=edit.light, cct=edit.cct, camera=edit.camera)
            total = total + self._smooth(pigmented, seen) * self._lit
        if edit.diffuse_scale != 1.0:
            total = total + math.log(max(edit.diffuse_scale, LEAST)) * self._lit
        glossier = torch.full_like(self._covered, edit.specular_scale)
        if edit.light_from is not None:
            shaded = self.maps.edit(light_from=edit.light_from)
            shade = (shaded.diffuse / self.maps.diffuse.clamp(min=LEAST)).clamp(min=LEAST).log()
            total = total + self._spread(shade, self._head * self._sure) * self._head
            glossier = glossier * (1.0 + self.frame.placed(_glossier(self.maps, shaded) - 1.0))
        return _change(total, self._gloss, glossier)

    def maps_under(self, edit: Edit) -> Decomposition:
        """The maps of the part under a checked edit: pigments where it says, all else where it applies."""
        edit = edit.read().resolved()
        part = (..., self.frame.rows, self.frame.columns)
        names = {field.name for field in fields(Edit)} - {*MELANIN, *BLOOD, *OF_SPOTS, "areas"}
        pigments = self.maps
        for of, follow in ((OF_SPOTS, 0.0), (MELANIN, LIPS_FOLLOW), (BLOOD, 0.0)):
            mask = self.strength(edit, lips=follow)[part]
            pigments = pigments.edit(_of(edit, of), mask=mask)
        where = self._lit[part] if edit.light_from is None else self._head[part]
        return pigments.edit(_of(edit, tuple(names)), mask=where)

    def edited(self, edit: Edit) -> Tensor:
        """The frame under a checked edit: (1, 3, H, W), linear sRGB."""
        return self.change(edit).of(self.frame.picture)

    def _smooth(self, before: Decomposition, after: Decomposition) -> Tensor:
        """Logarithm of the change between two small decompositions, over the frame: (1, 3, H, W)."""
        ratio = _spread((body(after) / body(before)).log(), self._known_small)
        return F.interpolate(ratio, size=self.frame.size, mode="bilinear", align_corners=False)

    def _spread(self, values: Tensor, known: Tensor) -> Tensor:
        """Values of the part over the frame, going on from where they are known: (1, C, H, W)."""
        return _spread(self.frame.placed(values), known)


def _spread(values: Tensor, known: Tensor) -> Tensor:
    found = spread(values[0].permute(1, 2, 0).contiguous().numpy(), known[0, 0].numpy())
    return torch.from_numpy(found).permute(2, 0, 1)[None].contiguous()


MELANIN, BLOOD = ("melanin", "melanin_scale"), ("haemoglobin", "haemoglobin_scale")
"""Numbers of an edit that change all of the skin alike."""

OF_SPOTS = ("even_melanin", "less_redness")
"""Those that change its spots."""


def _of(edit: Edit, names: tuple[str, ...]) -> Edit:
    """An edit with only some of its numbers."""
    return replace(Edit(), **{name: getattr(edit, name) for name in names})
