"""Which triangle is nearest at each point of a grid: a depth buffer, for many grids at once.

All triangles are tried at the points of their bounding boxes in one pass of arrays; a head's triangles
are about as large as the distance of the points, so that few are tried in vain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Grid", "depth_maps", "rasterise"]

NOWHERE = np.float32(-np.inf)


@dataclass(frozen=True)
class Grid:
    """What a grid of points shows."""

    triangle: np.ndarray
    """(S, S), int64, the nearest triangle; -1 where there is none."""
    weights: np.ndarray
    """(3, S, S), float32, of its corners; they sum to 1."""


def _tried(corners: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Points that triangles cover.

    Args:
        corners: (T, 3, 3), of each triangle's corners: column and row in distances of points, the first
            point at 0, and depth, larger toward the viewer.
        size: points to a side.

    Returns:
        Of each point that a triangle covers: triangle, column, row, weights of the second and the third
        corner, and depth.
    """
    column, row, depth = corners[..., 0], corners[..., 1], corners[..., 2]
    first_column = np.maximum(np.ceil(column.min(axis=1)), 0).astype(np.int64)
    last_column = np.minimum(np.floor(column.max(axis=1)), size - 1).astype(np.int64)
    first_row = np.maximum(np.ceil(row.min(axis=1)), 0).astype(np.int64)
    last_row = np.minimum(np.floor(row.max(axis=1)), size - 1).astype(np.int64)
    wide, tall = last_column - first_column + 1, last_row - first_row + 1
    along, down = column[:, 1:] - column[:, :1], row[:, 1:] - row[:, :1]
    # Rows go down, so that what is counter-clockwise from outside has a negative area here.
    area = along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0]
    shown = np.flatnonzero((wide > 0) & (tall > 0) & (area < 0))
    wide, tall, area = wide[shown], tall[shown], area[shown]
    counts = wide * tall
    which = np.repeat(np.arange(len(shown)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows_down, across = np.divmod(place, wide[which])
    column_at = first_column[shown][which] + across
    row_at = first_row[shown][which] + rows_down
    x = column_at.astype(np.float32) - column[shown, 0][which]
    y = row_at.astype(np.float32) - row[shown, 0][which]
    along, down = along[shown] / area[:, None], down[shown] / area[:, None]
    second = x * down[which, 1] - y * along[which, 1]
    third = y * along[which, 0] - x * down[which, 0]
    inside = np.flatnonzero((second >= -1e-6) & (third >= -1e-6) & (second + third <= 1.0 + 1e-6))
    which, second, third = which[inside], second[inside], third[inside]
    depth = depth[shown][which]
    depth_at = depth[:, 0] + second * (depth[:, 1] - depth[:, 0])
    depth_at += third * (depth[:, 2] - depth[:, 0])
    return shown[which], column_at[inside], row_at[inside], second, third, depth_at


def rasterise(corners: np.ndarray, size: int) -> Grid:
    """The nearest triangle that faces the viewer at each point of a grid; see `_tried` for the arguments."""
    triangle, column, row, second, third, depth = _tried(corners, size)
    point = row * size + column
    nearest = np.full(size * size, NOWHERE)
    np.maximum.at(nearest, point, depth)
    wins = np.flatnonzero(depth >= nearest[point])
    found = np.full(size * size, -1, dtype=np.int64)
    weights = np.zeros((3, size * size), dtype=np.float32)
    chosen = point[wins]
    found[chosen] = triangle[wins]
    weights[1, chosen], weights[2, chosen] = second[wins], third[wins]
    weights[0] = 1.0 - weights[1] - weights[2]
    return Grid(found.reshape(size, size), weights.reshape(3, size, size))


def depth_maps(corners: np.ndarray, size: int) -> np.ndarray:
    """Depth of what is nearest, in each of several grids: (D, S, S), -infinity where there is nothing.

    Args:
        corners: (D, T, 3, 3), as for `_tried`.
        size: points to a side.
    """
    count, each = corners.shape[:2]
    triangle, column, row, _, _, depth = _tried(corners.reshape(count * each, 3, 3), size)
    point = (triangle // each * size + row) * size + column
    nearest = np.full(count * size * size, NOWHERE)
    np.maximum.at(nearest, point, depth)
    return nearest.reshape(count, size, size)
