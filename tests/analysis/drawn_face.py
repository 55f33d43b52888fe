"""A face drawn of ellipses: a `Result` whose parts, pigments and normals are known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from biofacenet.analysis.results import Result
from biofacenet.decomposition import PART_NAMES, Decomposition
from biofacenet.photos.boxes import Box, Part
from biofacenet.photos.reading import Photo
from biofacenet.physics.illuminant import Illuminant

WHITE_OF_EYES = torch.tensor([0.77, 0.7, 0.66])
"""Linear sRGB."""


@dataclass(frozen=True)
class Drawn:
    """Where it is: middle between the eyes and distance of the eyes in shares of the side, and its turn."""

    side: int = 160
    middle: tuple[float, float] = (0.5, 0.405)
    eyes: float = 0.27
    down: float = 0.26
    """From there to the lips."""
    degrees: float = 0.0
    """Clockwise."""

    def places(self) -> tuple[Tensor, Tensor]:
        """The face's own across and down of each pixel, in distances of the eyes and from eyes to lips."""
        line = (torch.arange(self.side) + 0.5) / self.side
        y, x = torch.meshgrid(line, line, indexing="ij")
        x, y = x - self.middle[0], y - self.middle[1]
        turn = math.radians(self.degrees)
        across = (x * math.cos(turn) + y * math.sin(turn)) / self.eyes
        down = (-x * math.sin(turn) + y * math.cos(turn)) / self.down
        return across, down

    def at(self, across: float, down: float) -> tuple[int, int]:
        """Row and column of a place of the face."""
        turn = math.radians(self.degrees)
        x, y = across * self.eyes, down * self.down
        column = self.middle[0] + x * math.cos(turn) - y * math.sin(turn)
        row = self.middle[1] + x * math.sin(turn) + y * math.cos(turn)
        return int(row * self.side), int(column * self.side)

    def ellipse(self, x: float, y: float, wide: float, tall: float) -> Tensor:
        """(side, side), bool."""
        across, down = self.places()
        return ((across - x) / wide) ** 2 + ((down - y) / tall) ** 2 <= 1.0

    def parts(self, *, eyes: bool = True, lips: bool = True) -> Tensor:
        """(1, 9, side, side): skin on a wall, with brows, and eyes and lips if they are wanted."""
        labels = torch.zeros(self.side, self.side, dtype=torch.long)
        _, down = self.places()

        def paint(name: str, where: Tensor) -> None:
            labels[where] = PART_NAMES.index(name)

        paint(
            "skin", self.ellipse(0.0, 0.4, 1.1, 1.6) | (self.ellipse(0, 2.2, 0.7, 1.2) & (down > 1))
        )
        for sign in (-1.0, 1.0):
            paint("brows", self.ellipse(0.5 * sign, -0.33, 0.32, 0.07))
            if eyes:
                paint("eyes", self.ellipse(0.5 * sign, 0.0, 0.2, 0.09))
        if lips:
            paint("lips", self.ellipse(0.0, 1.0, 0.35, 0.16))
        shares = torch.nn.functional.one_hot(labels, len(PART_NAMES)).float()
        return shares.permute(2, 0, 1)[None]


def drawn_result(
    drawn: Drawn | None = None, *, parts: Tensor | None = None, **maps: Tensor
) -> Result:
    """A face of even pigments under even light, whose photo is what it renders to.

    Args:
        drawn: where it is.
        parts: instead of those that are drawn.
        maps: melanin, haemoglobin, diffuse, specular or normals, (1, ., side, side), instead of even ones.
    """
    drawn = drawn or Drawn()
    even = torch.ones(1, 1, drawn.side, drawn.side)
    ahead = torch.cat((0 * even, 0 * even, even), dim=1)
    given = {
        "melanin": 0.0 * even,
        "haemoglobin": 0.2 * even,
        "diffuse": 0.6 * even,
        "specular": 0.01 * even,
        "normals": ahead,
    } | maps
    found = Decomposition(
        **given,  # type: ignore[arg-type]
        illuminant=Illuminant.standard("D65"),
        camera=torch.zeros(1, 2),
        skin="measured",
        parts=drawn.parts() if parts is None else parts,
    )
    return of_maps(found)


def of_maps(found: Decomposition, image: Tensor | None = None) -> Result:
    """A result of maps: their photo is what they render to, with white eyes, if no other is given."""
    side = found.melanin.shape[-1]
    rendered = found.render()
    if image is None:
        assert found.parts is not None
        eyes = found.parts[:, [PART_NAMES.index("eyes")]] > 0.5
        image = torch.where(eyes, WHITE_OF_EYES[None, :, None, None], rendered)
    photo = Photo(Path("drawn.png"), image[0].clamp(0.0, 1.0))
    part = Part(Box(0, 0, side), "face", "face found")
    return Result(photo, part, image, found, rendered)


def without_parts(result: Result) -> Result:
    """The same by a method that tells no parts and no normals."""
    return replace(result, decomposition=replace(result.decomposition, parts=None, normals=None))
