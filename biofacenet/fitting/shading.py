"""How much light falls on a face beside how much falls on a card, as a network's maps tell it.

Neither the maps' shading alone tells that, as its level is a guess, nor their pigments, likewise. What both
say, how bright and of which colour the face is beside the card, from where its light comes, and how much it
shines, together do: a regression of the second order, learned on rendered faces of which all is known, as it
is kept in `beside_white.json`. It is of the network in the package; another needs its own:

    python -m benchmarks.white_tuning
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition
from ..system.lasting import kept
from .known import WHITE, Known, reflectance

__all__ = ["CLUES", "FILE", "Learned", "clues_of", "learned", "light_of", "looked_at", "terms"]

FILE = Path(__file__).parent / "beside_white.json"

CLUES = (
    *("red over skin", "green over skin", "blue over skin", "green", "red / green", "green / blue"),
    *("ahead", "ahead, second order", "forehead", "aside", "from above", "uneven"),
    *("highlights", "strongest highlights"),
)
"""What is told of a face, most of it as logarithms: its colour beside white, over that of skin with the maps'
pigments; the maps' shading where a surface faces the viewer, and of the forehead, beside that where the face
is looked at; by how much more light comes from a side and from above; what normals do not explain; highlights
as shares of shading."""

FARTHEST = 2.5
"""Standard deviations beyond which a clue says nothing new."""

SIDE = 96
"""Longer side to which larger maps are shrunk, as clues were learned."""

BRIGHT = 0.6
"""Least shading of pixels that are looked at, as a share of that of the brightest fifth."""

SURE = 0.3
"""Share of a place that must be surely skin, or all of it counts."""

TOWARD_VIEWER = 0.2
"""Least z of normals that tell the light."""

DOUBTS = (0.025, 0.2)
"""Least and most error of the logarithm."""

LEAST = 1e-4


@dataclass(frozen=True)
class Learned:
    """What was learned on rendered faces, of photos in linear light or of those that cameras developed."""

    middle: Tensor
    """Of each clue."""
    spread: Tensor
    """Standard deviation of each."""
    weights: Tensor
    """Of `terms`: they sum to the logarithm of shading."""
    doubt: Tensor
    """Of 1 and the clues: they sum to the error of that."""
    levels: tuple[float, ...]
    """Melanin map values, increasing, between which what follows goes in straight lines."""
    shift: tuple[float, ...]
    """What melanin is too low by."""
    wider: tuple[float, ...]
    """Factor that brings intervals of melanin to 68 %."""
    wider_blood: float
    """The same of haemoglobin."""

    def __call__(self, clues: Tensor) -> tuple[float, float]:
        """Logarithm of the shading where a face is looked at, 0 where it is that of the card; and its error.

        Args:
            clues: (CLUES,), as of `clues_of`.
        """
        told = ((clues - self.middle) / self.spread).clamp(-FARTHEST, FARTHEST)
        doubt = float(torch.cat((torch.ones(1), told)) @ self.doubt)
        return float(terms(told) @ self.weights), min(max(doubt, DOUBTS[0]), DOUBTS[1])

    def calibrated(self, known: Known) -> Known:
        """What a white tells, with its usual errors taken off and intervals as wide as they should be."""
        middle, (low, high) = known.melanin, known.melanin_ends
        shift = between(middle, self.levels, self.shift)
        factor = between(middle, self.levels, self.wider)
        blood, (least, most) = known.haemoglobin, known.haemoglobin_ends
        return replace(
            known,
            melanin=middle + shift,
            melanin_ends=(
                max(middle + shift - factor * (middle - low), -1.0),
                min(middle + shift + factor * (high - middle), 1.0),
            ),
            haemoglobin_ends=(
                max(blood - self.wider_blood * (blood - least), -1.0),
                min(blood + self.wider_blood * (most - blood), 1.0),
            ),
        )


def terms(told: Tensor) -> Tensor:
    """1, the clues, and their products: (.., CLUES) to (.., 1 + CLUES + CLUES (CLUES + 1) / 2)."""
    count = told.shape[-1]
    first, second = torch.triu_indices(count, count).unbind()
    one = torch.ones_like(told[..., :1])
    return torch.cat((one, told, told[..., first] * told[..., second]), dim=-1)


@kept
def learned(linear: bool) -> Learned:
    """What comes with the package, for photos in linear light or for others."""
    return _from_json(json.loads(FILE.read_text("utf-8"))["linear" if linear else "developed"])


def _from_json(told: dict[str, Any]) -> Learned:
    tensors = {name: torch.tensor(told[name]) for name in ("middle", "spread", "weights", "doubt")}
    levels, shift, wider = (tuple(told[name]) for name in ("levels", "shift", "wider"))
    return Learned(
        **tensors, levels=levels, shift=shift, wider=wider, wider_blood=told["wider_blood"]
    )


def looked_at(inside: Tensor, skin: Tensor, diffuse: Tensor, specular: Tensor) -> Tensor:
    """Pixels of a place that tell its colour: bool, never empty where the place is not.

    At the edge of skin, pixels are half hair or wall; in shadow, light is of another colour, and shading is
    little known; and highlights hide pigments.

    Args:
        inside: (1, 1, H, W), bool, the place.
        skin: (1, 1, H, W), bool, where skin is for sure.
        diffuse: (1, 1, H, W), shading at any level.
        specular: (1, 1, H, W), highlights.
    """
    sure = inside & skin
    if int(sure.sum()) >= SURE * int(inside.sum()):
        inside = sure
    most = diffuse[inside].sort().values
    bright = inside & (diffuse >= BRIGHT * most[int(0.8 * (len(most) - 1))])
    return bright & (specular <= specular[bright].median())


def light_of(found: Decomposition, skin: Tensor, *, second: bool = False) -> Tensor:
    """The light on a face by the least squares of shading over its normals: what does not depend on them,
    and (x, y, z); then, if wanted, spherical harmonics of the second order.

    Args:
        found: maps of one face, with normals.
        skin: (1, 1, H, W), bool, where it is skin.
        second: as well: it follows what a network's smooth normals miss.
    """
    basis = _basis(found, second=second)
    weighted = _weight(found, skin) * basis
    steady = (1e-2 if second else 1e-6) * torch.eye(len(basis), dtype=torch.float64)
    return torch.linalg.solve(
        weighted @ basis.mT + steady, weighted @ found.diffuse.double().flatten()
    )


def _weight(found: Decomposition, skin: Tensor) -> Tensor:
    assert found.normals is not None
    return (skin & (found.normals[:, 2:] > TOWARD_VIEWER)).double().flatten()


def _basis(found: Decomposition, *, second: bool) -> Tensor:
    assert found.normals is not None
    x, y, z = found.normals[0].double().flatten(1)
    rows = [torch.ones_like(x), x, y, z]
    if second:
        rows += [x * y, x * z, y * z, x * x - y * y, 3.0 * z * z - 1.0]
    return torch.stack(rows)


def clues_of(
    found: Decomposition, image: Tensor, skin: Tensor, forehead: Tensor
) -> tuple[Tensor, Tensor]:
    """What maps and a photo tell of the shading.

    Args:
        found: maps of one face on the CPU, with normals.
        image: (1, 3, H, W), linear sRGB in which white is 1.
        skin: (1, 1, H, W), bool, where it is skin for sure, in any part of the face.
        forehead: (1, 1, H, W), bool, or another place that faces the viewer.

    Returns:
        (CLUES,); and the logarithm of the maps' shading where they were read.
    """
    found, image, skin, forehead = _shrunk(found, image, skin, forehead)
    calm = looked_at(skin, skin, found.diffuse, found.specular)
    middle = float(found.diffuse[calm].median().clamp(min=LEAST).log())

    def beside(shading: float) -> float:
        return math.log(max(shading, LEAST)) - middle

    light, more = light_of(found, skin), light_of(found, skin, second=True)
    ahead = max(float(light[0] + light[3]), LEAST)
    unlike = found.diffuse.double().flatten() - light @ _basis(found, second=False)
    weight = _weight(found, skin)
    uneven = float((weight * unlike.square()).sum() / weight.sum().clamp(min=1.0)) ** 0.5 / ahead
    red, green, blue = _colour(image, calm).tolist()
    melanin, blood = (float(x[calm].median()) for x in (found.melanin, found.haemoglobin))
    skins = reflectance(melanin, blood, found.skin)
    over = [x - y for x, y in zip((red, green, blue), skins, strict=True)]
    shine = found.specular[skin].sort().values
    told = (
        *(*over, green, red - green, green - blue),
        *(beside(ahead), beside(float(more[0] + more[3] + 2.0 * more[8]))),
        beside(float(found.diffuse[forehead].median())),
        *(abs(float(light[1])) / ahead, float(light[2]) / ahead, uneven),
        beside(float(found.specular[calm].median())),
        beside(float(shine[int(0.9 * (len(shine) - 1))])),
    )
    return torch.tensor(told), torch.tensor(middle)


def _colour(image: Tensor, where: Tensor) -> Tensor:
    """(3,), logarithm of linear RGB under unit shading of the renderer, at the median of a place."""
    inside: Tensor = (WHITE * image[0][:, where[0, 0]]).clamp(min=1e-5).log()
    return inside.median(dim=1).values


def _shrunk(
    found: Decomposition, image: Tensor, *places: Tensor
) -> tuple[Decomposition, Tensor, Tensor, Tensor]:
    """All as large as clues were learned at, where it is larger; places stay those that have pixels."""
    height, width = image.shape[2:]
    share = SIDE / max(height, width)
    if share >= 1.0:
        return found, image, places[0], places[1]
    size = (max(1, round(share * height)), max(1, round(share * width)))

    def small(x: Tensor) -> Tensor:
        return F.interpolate(x, size=size, mode="area")

    shrunk = [small(place.float()) for place in places]
    skin, forehead = (place > 0.5 * float(place.max()) for place in shrunk)
    maps = found.map(lambda x: small(x) if x.ndim == 4 else x)
    return maps.renormalised(), small(image), skin, forehead


def between(value: float, levels: Sequence[float], values: Sequence[float]) -> float:
    """A value between levels, in straight lines; beyond them that of the nearest."""
    if value <= levels[0]:
        return values[0]
    for number in range(1, len(levels)):
        low, high = levels[number - 1], levels[number]
        if value <= high:
            share = (value - low) / (high - low)
            return values[number - 1] + share * (values[number] - values[number - 1])
    return values[-1]
