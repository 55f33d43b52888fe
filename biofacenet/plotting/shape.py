"""Normals and parts as pictures."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..decomposition import Decomposition
from ..decomposition.parts import PART_NAMES
from .encoding import eight_bit

__all__ = ["PART_COLOURS", "normals_image", "parts_image"]

PART_COLOURS = {
    "background": (38, 38, 42),
    "skin": (224, 176, 146),
    "lips": (208, 62, 82),
    "brows": (122, 82, 48),
    "eyes": (66, 128, 214),
    "teeth": (250, 250, 244),
    "hair": (92, 64, 96),
    "glasses": (64, 196, 206),
    "cloth": (96, 158, 92),
}
"""8-bit R, G and B of each part."""


def normals_image(decomposition: Decomposition) -> np.ndarray:
    """The first image's normals as colours, (n + 1) / 2: 8-bit (H, W, 3); up is green, left is dark red.

    Raises:
        ValueError: there are none.
    """
    return eight_bit((_known(decomposition.normals, "normals")[0] + 1.0) / 2.0)


def parts_image(decomposition: Decomposition) -> np.ndarray:
    """The likeliest part of each pixel of the first image, in `PART_COLOURS`: 8-bit (H, W, 3).

    Raises:
        ValueError: there are none.
    """
    labels = _known(decomposition.parts, "parts")[0].argmax(dim=0).cpu().numpy()
    return np.array([PART_COLOURS[name] for name in PART_NAMES], np.uint8)[labels]


def _known(values: Tensor | None, name: str) -> Tensor:
    if values is None:
        raise ValueError(f"these maps have no {name}")
    return values.detach().float()
