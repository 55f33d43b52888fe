"""Painting over the canonical area: soft spots are cheap there, and all is read in one go."""

from __future__ import annotations

import torch
from torch import Tensor

from ...system.lasting import kept
from .shape import TEXTURE, X_RANGE, Y_RANGE

__all__ = ["spot", "texture_places"]


@kept
def texture_places() -> tuple[Tensor, Tensor]:
    """Canonical x of a texture's columns (W,) and y of its rows (H,)."""
    x = torch.linspace(*X_RANGE, TEXTURE[1])
    return x, torch.linspace(Y_RANGE[1], Y_RANGE[0], TEXTURE[0])


@kept
def spot(x: float, y: float, width: float, height: float) -> Tensor:
    """A soft spot on each side of the face, one where x is 0: TEXTURE, 1 in its middle.

    Most spots lie where they lie in every face: they are kept, and must not be changed.
    """
    columns, rows = texture_places()
    across = torch.exp(-(((columns.abs() - x) / width) ** 2))
    return torch.outer(torch.exp(-(((rows - y) / height) ** 2)), across)
