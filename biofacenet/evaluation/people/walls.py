"""Another wall behind a person: the same face before black, white and colours.

Where the wall is, the network that comes with the package tells, whatever is measured: so the change is the
same for every method.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...decomposition.parts import part_index
from ...network.unet import BioFaceNet
from ...physics.colour import luminance
from ...system.lasting import kept
from .regions import Regions

__all__ = ["WALLS", "before_walls"]

WALLS = {
    "wall_black": (0.01, 0.01, 0.01),
    "wall_white": (0.9, 0.9, 0.9),
    "wall_red": (0.4, 0.08, 0.06),
    "wall_green": (0.08, 0.3, 0.1),
    "wall_blue": (0.06, 0.12, 0.4),
}
"""Linear R, G and B of walls by the names of the changes."""

LOOKED_AT = 96
"""Side that the wall is sought at."""

EDGE = 1.0 / 48.0
"""Width of the soft edge of a wall, in sides."""


DARKER = 0.3
"""Share of the wall's median light below which something else is seen."""


@kept
def _finder() -> BioFaceNet:
    return BioFaceNet.from_pretrained("small")


def before_walls(image: Tensor, regions: Regions) -> dict[str, Tensor]:
    """A photo before other walls, by the names in `WALLS`: (1, 3, S, S) each, linear sRGB.

    Args:
        image: (1, 3, S, S), linear sRGB.
        regions: of the face in it, which stays as it is.
    """
    share = wall_share(image) * (1.0 - regions.mask)
    walls = {name: torch.tensor(colour).view(1, 3, 1, 1) for name, colour in WALLS.items()}
    return {name: image + share * (wall - image) for name, wall in walls.items()}


@torch.no_grad()
def wall_share(image: Tensor) -> Tensor:
    """How much of each pixel is wall: (1, 1, S, S), 0..1, with soft edges.

    Args:
        image: (1, 3, S, S), linear sRGB.
    """
    size = image.shape[-1]
    small = F.adaptive_avg_pool2d(image, min(size, LOOKED_AT))
    parts = _finder().decompose(small).parts
    assert parts is not None
    wall = (parts.argmax(dim=1, keepdim=True) == part_index("background")).float()
    light = luminance(small)
    if wall.any():  # dark hair is taken for wall at times, and is to stay
        wall = wall * (light > DARKER * light[wall > 0].median())
    reach = max(1, round(0.5 * EDGE * small.shape[-1]))
    # Grown by as much as it is then softened: a rim of the old wall would tell it.
    wall = F.max_pool2d(wall, 2 * reach + 1, 1, reach)
    wall = F.avg_pool2d(wall, 2 * reach + 1, 1, reach, count_include_pad=False)
    return F.interpolate(wall, size=(size, size), mode="bilinear", align_corners=False)
