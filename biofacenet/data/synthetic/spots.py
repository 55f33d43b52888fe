"""Small marks of skin, as textures over the canonical area: freckles, moles, blemishes, scars."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .shape import X_RANGE, Y_RANGE

__all__ = ["FINE", "spots_at", "stroke"]

FINE = (208, 160)
"""Rows and columns of textures of small marks."""

REACH = 6
"""Texels on each side of a mark's middle that it may cover."""


def spots_at(places: np.ndarray, radii: np.ndarray, amounts: np.ndarray) -> Tensor:
    """Gaussian spots.

    Args:
        places: (N, 2), canonical x and y of their middles.
        radii: (N,), canonical units; seen as at most a third of `REACH`.
        amounts: (N,), height of each.

    Returns:
        (1, 1, *FINE).
    """
    rows, columns = FINE
    step_x = (X_RANGE[1] - X_RANGE[0]) / (columns - 1)
    step_y = (Y_RANGE[1] - Y_RANGE[0]) / (rows - 1)
    column = (places[:, 0] - X_RANGE[0]) / step_x
    row = (Y_RANGE[1] - places[:, 1]) / step_y
    reach = np.arange(-REACH, REACH + 1)
    at_column = np.rint(column)[:, None] + reach
    at_row = np.rint(row)[:, None] + reach
    across = np.exp(-0.5 * ((at_column - column[:, None]) * step_x / radii[:, None]) ** 2)
    down = np.exp(-0.5 * ((at_row - row[:, None]) * step_y / radii[:, None]) ** 2)
    across *= (at_column >= 0) & (at_column < columns)
    down *= (at_row >= 0) & (at_row < rows)
    values = amounts[:, None, None] * down[:, :, None] * across[:, None, :]
    index = (
        at_row.clip(0, rows - 1)[:, :, None] * columns + at_column.clip(0, columns - 1)[:, None, :]
    )
    summed = np.bincount(
        index.astype(np.int64).ravel(), weights=values.ravel(), minlength=rows * columns
    )
    return torch.from_numpy(summed.astype(np.float32)).reshape(1, 1, rows, columns)


def stroke(start: np.ndarray, end: np.ndarray, radius: float, bend: float) -> Tensor:
    """A thin bent line from one canonical place (2,) to another, about 1 high: (1, 1, *FINE)."""
    along = np.linspace(0.0, 1.0, 24)[:, None]
    way = end - start
    sideways = np.array([-way[1], way[0]])
    places = start + along * way + bend * 4.0 * along * (1.0 - along) * sideways
    length = float(np.hypot(*way))
    # Overlapping Gaussians add up to 1 along the middle of the line.
    height = length / 23.0 / (radius * 2.507)
    return spots_at(places, np.full(24, radius), np.full(24, max(height, 1e-3)))
