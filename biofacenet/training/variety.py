"""Changes to training faces that leave the skin as it is, or change it in a known way: another wall, brighter
or darker cloth and hair, and spots of pigment.

How dark skin is shows beside what surrounds it, but a wall is black or white behind anybody. So what is no
part of a person changes by chance, hair by a little, and eyes stay: what is learned is to ask these first.

Draws are coarse, a few numbers a face, and of the whole batch at once, so that they do not depend on how a
batch is divided among processes or on where a run was interrupted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.pairs import FaceBatch
from ..decomposition import Decomposition
from ..decomposition.parts import PART_NAMES, UNLABELLED, part_index

__all__ = ["Variety", "draw_variety", "spotted", "surrounded", "varied"]

WALL = (0.003, 1.0)
"""Least and most linear light of another wall, drawn by its logarithm."""

TINT = 0.25
"""Standard deviation of the logarithm of a wall's colours."""

KNOTS = 3
"""Places across and down between which a wall is smooth, each half to once and a half as bright."""

GAINS = {"cloth": (0.1, 8.0), "hair": (0.6, 1.6)}
"""Least and most factor of the light of a part, drawn by its logarithm."""

SPOTS = 3
"""Most spots of a face."""

SPREAD = (0.008, 0.05)
"""Standard deviation of a spot in sides, drawn by its logarithm."""

MELANIN, HAEMOGLOBIN = (0.05, 0.6), (0.1, 0.7)
"""Least and most change of the map in the middle of a spot."""

PALE = 0.05
"""Share of spots with less pigment than the skin around, by up to half as much: few, as what is round and
bright is most often a highlight."""

FARTHEST = (0.05, 20.0)
"""Factor by which a spot may change a colour."""


@dataclass
class Variety:
    """What is done to each face of a batch."""

    wall: Tensor
    """(B, 3, 3, 3), linear light of another wall at a few places."""
    other: Tensor
    """(B,), 1 where the wall is another one, else 0."""
    gains: Tensor
    """(B, 9), factor on the light of each part of `PART_NAMES`."""
    spots: Tensor
    """(B, 3, 5): across and down in sides, standard deviation in sides, added melanin and haemoglobin."""

    def part(self, chosen: slice) -> Variety:
        """Those of some faces of the batch."""
        return Variety(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def to(self, device: torch.device) -> Variety:
        """A copy on another device."""
        return Variety(*(getattr(self, field.name).to(device) for field in fields(self)))


def draw_variety(count: int, share: float, generator: torch.Generator) -> Variety:
    """Random changes.

    Args:
        count: faces.
        share: chance of each change of each face, 0..1.
        generator: on the CPU.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    def by_logarithm(ends: tuple[float, float], *shape: int) -> Tensor:
        return uniform(math.log(ends[0]), math.log(ends[1]), *shape).exp()

    def coins(chance: float, *shape: int) -> Tensor:
        return (uniform(0.0, 1.0, *shape) < chance).float()

    tint = (TINT * torch.randn(count, 3, 1, 1, generator=generator)).exp()
    uneven = uniform(0.5, 1.5, count, 1, KNOTS, KNOTS)
    wall = (by_logarithm(WALL, count, 1, 1, 1) * tint * uneven).clamp(max=1.0)
    gains = torch.ones(count, len(PART_NAMES))
    for name, ends in GAINS.items():
        drawn, changed = by_logarithm(ends, count), coins(share, count)
        gains[:, part_index(name)] = 1.0 + changed * (drawn - 1.0)
    places = torch.stack(
        (
            uniform(0.25, 0.75, count, SPOTS),
            uniform(0.25, 0.85, count, SPOTS),
            by_logarithm(SPREAD, count, SPOTS),
        ),
        dim=2,
    )
    amounts = torch.stack(
        (uniform(*MELANIN, count, SPOTS), uniform(*HAEMOGLOBIN, count, SPOTS)), dim=2
    )
    amounts = amounts * (1.0 - 1.5 * coins(PALE, count, SPOTS, 1))
    # Of one pigment each.
    which = coins(0.5, count, SPOTS, 1)
    amounts = amounts * torch.cat((which, 1.0 - which), dim=2) * coins(share, count, SPOTS, 1)
    return Variety(wall, coins(share, count), gains, torch.cat((places, amounts), dim=2))


def varied(batch: FaceBatch, changes: Variety) -> FaceBatch:
    """Faces with their changes, as far as parts and maps of them are known."""
    image, truth = batch.image, batch.truth
    if truth is not None:
        image, truth = spotted(image, batch.mask, truth, changes)
    if batch.geometry is not None:
        labels = batch.geometry.parts
        known = torch.where(labels == UNLABELLED, part_index("skin"), labels).long().squeeze(1)
        shares = F.one_hot(known, len(PART_NAMES)).permute(0, 3, 1, 2).to(image)
        image = surrounded(image, shares, batch.mask, changes)
    return replace(batch, image=image, truth=truth)


def surrounded(image: Tensor, parts: Tensor, mask: Tensor, changes: Variety) -> Tensor:
    """Images with other surroundings: (B, 3, H, W), linear, at most 1.

    Args:
        image: (B, 3, H, W), linear sRGB.
        parts: (B, 9, H, W), how sure it is that a pixel shows each of `PART_NAMES`: 0..1.
        mask: (B, 1, H, W), 1 where nothing may change.
        changes: of each.
    """
    wall = part_index("background")
    sure = parts.clone()
    # Edges of the wall mix with what is before it: without them, each head has the old wall around it.
    sure[:, wall : wall + 1] = F.max_pool2d(parts[:, wall : wall + 1], 3, 1, 1)
    sure = F.avg_pool2d(sure, 3, 1, 1, count_include_pad=False)
    gain = 1.0 + (sure * (changes.gains[:, :, None, None] - 1.0)).sum(dim=1, keepdim=True)
    lit = image * gain
    new = F.interpolate(changes.wall, size=image.shape[2:], mode="bicubic", align_corners=True)
    share = sure[:, wall : wall + 1] * changes.other.view(-1, 1, 1, 1)
    lit = (lit + share * (new.clamp(min=0.0) - lit)).clamp(0.0, 1.0)
    return torch.where(mask > 0.0, image, lit)


def spotted(
    image: Tensor, mask: Tensor, maps: Decomposition, changes: Variety
) -> tuple[Tensor, Decomposition]:
    """Images and their maps with spots on the skin, which look as the skin model has it.

    What a spot does to a colour depends on the skin around it: where there is much melanin, red falls most.

    Args:
        image: (B, 3, H, W), linear sRGB.
        mask: (B, 1, H, W), 1 where skin is.
        maps: of the images, true or nearly so.
        changes: of each.
    """
    height, width = image.shape[2:]
    x = ((torch.arange(width, device=image.device) + 0.5) / width).view(1, 1, 1, -1)
    y = ((torch.arange(height, device=image.device) + 0.5) / height).view(1, 1, -1, 1)
    across, down, spread, melanin, haemoglobin = changes.spots[..., None, None].unbind(dim=2)
    bump = torch.exp(-0.5 * ((x - across).square() + (y - down).square()) / spread.square())
    bump = bump * mask

    def added(map_: Tensor, amount: Tensor) -> Tensor:
        return (map_ + (amount * bump).sum(dim=1, keepdim=True)).clamp(-1.0, 1.0)

    found = replace(
        maps,
        melanin=added(maps.melanin, melanin),
        haemoglobin=added(maps.haemoglobin, haemoglobin),
    )
    before, after = maps.render(), found.render()
    factor = (after.clamp(min=1e-4) / before.clamp(min=1e-4)).clamp(*FARTHEST)
    return (image * torch.where(mask > 0.0, factor, 1.0)).clamp(max=1.0), found
