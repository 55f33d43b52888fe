"""What maps of a photograph owe to another view of it: training on photographs whose maps nobody knows.

In other light, mirrored, turned, nearer, or with a highlight more, a face has the same skin. That follows
from how images form, for every photograph:

    maps(light * image + highlight) = (melanin, haemoglobin, light * diffuse, light * specular + highlight)

with maps that move along where the image is moved.

Source: image formation of BioFaceNet, section 3; its use as an objective is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.pairs import FaceBatch
from ..decomposition import Decomposition
from ..physics.colour import WHITE_ROW_SUMS, XYZ_TO_SRGB, luminance

__all__ = [
    "Change",
    "Views",
    "disagreements",
    "draw_change",
    "pairs_of_people",
    "person_loss",
    "views",
]

DIMMEST = (0.25, 0.85)
"""Range of the least light in a photo, of that where it is most."""

TURN, NEARER, SHIFT = math.radians(6.0), 0.15, 0.05
"""Standard deviation of the turn; most of the logarithm of the scale, and of the shift in sides."""

HIGHLIGHT, WIDTH = 0.4, (0.015, 0.2)
"""Most of an added highlight, of the brightest a pixel can be; its standard deviation in sides, drawn by its
logarithm."""

CLIPPED = 0.98
"""From here on a pixel may have lost light."""

CHANGED = 10.0
"""How much more a pixel counts whose pigments or highlights were changed as far as they may be: such pixels
are few, and what is small would be smoothed away."""

FAINT = 0.05
"""An added highlight that is weaker than the strongest counts as much more as it is weaker, down to this one:
squared errors would leave the weak ones to chance."""

SPOT = 0.3
"""Change of a pigment's map from which on it counts fully."""

PIGMENTS_COUNT = 4.0
"""Weight of the pigments' disagreement beside those of the shadings, which are relative to their means."""


@dataclass
class Change:
    """What makes another view of each of some photos."""

    light: Tensor
    """(B, 1, H, W), factor on all light."""
    highlight: Tensor
    """(B, 1, H, W), added specular shading."""
    places: Tensor
    """(B, H, W, 2), where each pixel of the other view lies in the first: x and y in -1..1."""

    def part(self, chosen: slice) -> Change:
        """That of some photos."""
        return Change(self.light[chosen], self.highlight[chosen], self.places[chosen])

    def to(self, device: torch.device) -> Change:
        """A copy on another device."""
        return Change(self.light.to(device), self.highlight.to(device), self.places.to(device))

    def moved(self, values: Tensor) -> Tensor:
        """Maps (B, C, H, W) of the first view where the other one has them."""
        return F.grid_sample(values, self.places, padding_mode="border", align_corners=False)


def draw_change(count: int, height: int, width: int, generator: torch.Generator) -> Change:
    """A random change of each of some photos.

    Light is uneven and smooth; half of the photos are mirrored, half get a highlight.

    Args:
        count: photos.
        height: in pixels.
        width: in pixels.
        generator: on the CPU.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    knots = int(torch.randint(2, 5, (), generator=generator))
    coarse = uniform(0.0, 1.0, count, 1, knots, knots)
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    least = uniform(*DIMMEST, count, 1, 1, 1)
    light = least + (1.0 - least) * smooth.clamp(0.0, 1.0)

    y = torch.linspace(-1.0, 1.0, height).view(-1, 1)
    x = torch.linspace(-1.0, 1.0, width)
    middle_x, middle_y = uniform(-0.7, 0.7, 2, count, 1, 1, 1)
    narrow, wide = WIDTH
    spread = 2.0 * uniform(math.log(narrow), math.log(wide), count, 1, 1, 1).exp()
    bump = torch.exp(-((x - middle_x).square() + (y - middle_y).square()) / (2.0 * spread.square()))
    some = (uniform(0.0, 1.0, count, 1, 1, 1) < 0.5).float()
    highlight = some * uniform(0.0, HIGHLIGHT / float(neutral().max()), count, 1, 1, 1) * bump

    angle = TURN * torch.randn(count, generator=generator)
    scale = torch.exp(uniform(-NEARER, NEARER, count))
    side = 1.0 - 2.0 * (uniform(0.0, 1.0, count) < 0.5).float()
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift = 2.0 * uniform(-SHIFT, SHIFT, 2, count)
    aspect = height / width
    rows = (side * cos, -sin * aspect, shift[0], side * sin / aspect, cos, shift[1])
    turn = torch.stack(rows, dim=1).view(count, 2, 3)
    places = F.affine_grid(turn, [count, 1, height, width], align_corners=False)
    return Change(light, highlight, places)


def neutral() -> Tensor:
    """What a specular shading of 1 adds to linear R, G and B: (3,)."""
    return XYZ_TO_SRGB @ WHITE_ROW_SUMS


@dataclass
class Views:
    """Photos and other views of them."""

    image: Tensor
    """(B, 3, H, W), linear sRGB."""
    mask: Tensor
    """(B, 1, H, W), 0 or 1."""
    other: Tensor
    """(B, 3, H, W), the other view."""
    other_mask: Tensor
    """(B, 1, H, W), where both views show the face and none of them is clipped."""
    change: Change
    labels: Tensor | None = None
    """(B, 1, H, W), uint8, parts of the photos, where landmarks tell some."""
    persons: Tensor | None = None
    """(B,), equal for photos of one person, -1 where nobody knows."""
    added: Tensor | None = None
    """(B, 2, H, W), melanin and haemoglobin that the other view has more, where the first one has them."""

    def split(self, parts: int) -> list[Views]:
        """In equal parts."""
        size = len(self.image) // parts
        places = [slice(part * size, (part + 1) * size) for part in range(parts)]
        return [
            Views(
                self.image[place],
                self.mask[place],
                self.other[place],
                self.other_mask[place],
                self.change.part(place),
                None if self.labels is None else self.labels[place],
                None if self.persons is None else self.persons[place],
                None if self.added is None else self.added[place],
            )
            for place in places
        ]


def views(
    photos: FaceBatch,
    change: Change,
    persons: Tensor | None = None,
    *,
    other: Tensor | None = None,
    added: Tensor | None = None,
) -> Views:
    """Photos, and what they look like after a change.

    Args:
        photos: as they are.
        change: of each.
        persons: (B,), who is on them.
        other: (B, 3, H, W), the photos with other surroundings or spots, for the other view; the same
            when not given.
        added: (B, 2, H, W), the spots' melanin and haemoglobin.
    """
    white = neutral().to(photos.image).view(3, 1, 1)
    lit = change.light * (photos.image if other is None else other) + white * change.highlight
    whole = (lit.amax(dim=1, keepdim=True) < CLIPPED) & (
        photos.image.amax(dim=1, keepdim=True) < CLIPPED
    )
    seen = change.moved(photos.mask * whole)
    return Views(
        image=photos.image,
        mask=photos.mask,
        other=change.moved(lit).clamp(0.0, 1.0),
        other_mask=(seen > 1.0 - 1e-4).to(photos.mask.dtype),
        change=change,
        labels=None if photos.geometry is None else photos.geometry.parts,
        persons=persons,
        added=added,
    )


def disagreements(
    first: Decomposition, second: Decomposition, seen: Views, pixels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Squared differences between the maps of one view, moved and lit anew, and those of the other.

    Args:
        first: maps of the photos.
        second: maps of the other views.
        seen: both views.
        pixels: scalar, those of `Views.other_mask` in the whole batch, by which all is divided.

    Returns:
        Of melanin and haemoglobin; of the logarithm of diffuse shading; of what highlights add, relative
        to the mean luminance of the face. Where the other view has spots or a highlight more, they count
        more.

    Raises:
        ValueError: the maps are of different skins.
    """
    first.check_same_skin(second)
    change, mask = seen.change, seen.other_mask

    def mean(values: Tensor) -> Tensor:
        return (values * mask).sum() / pixels.clamp(min=1.0)

    before = torch.cat((first.melanin, first.haemoglobin), dim=1)
    spots = torch.zeros_like(first.melanin)
    if seen.added is not None:
        # In other surroundings, the photo as it was taken is the example.
        before = before.detach() + seen.added
        spots = seen.added.abs().amax(dim=1, keepdim=True).div(SPOT).clamp(max=1.0)
    after = torch.cat((second.melanin, second.haemoglobin), dim=1)
    pigments = (after - change.moved(before)).square().sum(dim=1, keepdim=True)
    pigments = (1.0 + CHANGED * change.moved(spots)) * pigments
    lit = change.moved(change.light * first.diffuse)
    diffuse = (second.diffuse.clamp(min=1e-3).log() - lit.clamp(min=1e-3).log()).square()
    within = (1, 2, 3)
    bright = (luminance(seen.other) * mask).sum(within, keepdim=True)
    bright = (bright / mask.sum(within, keepdim=True).clamp(min=1.0)).clamp(min=1e-2)
    shine = change.moved(change.light * first.specular + change.highlight)
    specular = (float(WHITE_ROW_SUMS[1]) * (second.specular - shine) / bright).square()
    specular = (1.0 + CHANGED * change.moved(_importance(change.highlight))) * specular
    return mean(pigments), mean(diffuse), mean(specular)


def _importance(highlight: Tensor) -> Tensor:
    """How much more pixels of added highlights (B, 1, H, W) count: 1 in the middle of the strongest one."""
    brightest = float(neutral().max())
    peak = highlight.amax(dim=(1, 2, 3), keepdim=True).clamp(min=FAINT / brightest)
    return highlight / peak * (HIGHLIGHT / brightest) / peak


def pairs_of_people(seen: Views) -> Tensor:
    """(B // 2,), 1 where two photos, one after the other, are of the same person and both show skin."""
    count = len(seen.image) // 2 * 2
    if seen.persons is None:
        return seen.mask.new_zeros(count // 2)
    first, second = seen.persons[:count:2], seen.persons[1:count:2]
    skin = seen.mask.amax(dim=(1, 2, 3))
    same = (first == second) & (first >= 0)
    return same.to(skin) * skin[:count:2] * skin[1:count:2]


def person_loss(maps: Decomposition, seen: Views, pairs: Tensor) -> Tensor:
    """Mean pigments of two photos of a person, with whatever expression: squared differences.

    Args:
        maps: of the photos.
        seen: the photos.
        pairs: scalar, pairs of the whole batch, by which the sum is divided.
    """
    same = pairs_of_people(seen)
    count = 2 * len(same)

    def apart(values: Tensor) -> Tensor:
        inside = seen.mask.sum(dim=(1, 2, 3)).clamp(min=1.0)
        means = (values * seen.mask).sum(dim=(1, 2, 3)) / inside
        return (means[:count:2] - means[1:count:2]).square()

    return (same * (apart(maps.melanin) + apart(maps.haemoglobin))).sum() / pairs.clamp(min=1.0)
