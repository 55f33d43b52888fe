"""Which triangle is nearest at each point of a grid: a depth buffer, for many grids at once.

All triangles are tried at the points of their bounding boxes in one pass of arrays; a head's triangles
are about as large as the distance of the points, so that few are tried in vain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Grid", "depth_maps", "rasterise"]

NOWHERE = np.float32(-np.inf)

EDGE = 1e-6
"""How far outside a triangle a point may lie and count as inside, so that no point falls between two."""


@dataclass(frozen=True)
class Grid:
    """What a grid of points shows."""

    triangle: np.ndarray
    """(S, S), int64, the nearest triangle; -1 where there is none."""
    weights: np.ndarray
    """(3, S, S), float32, of its corners; they sum to 1."""


@dataclass(frozen=True)
class _Covered:
    """Points that triangles cover, (N,) each: which triangle, where, and how."""

    triangle: np.ndarray
    column: np.ndarray
    row: np.ndarray
    second: np.ndarray
    third: np.ndarray
    """Weights of the second and the third corner."""
    depth: np.ndarray


def _covered(places: np.ndarray, triangles: np.ndarray, size: int) -> _Covered:
    """Points that triangles which face the viewer cover.

    Args:
        places: (3, V), float32: column and row of vertices, in distances of points, the first point at 0,
            and depth, larger toward the viewer.
        triangles: (3, T), vertices.
        size: points to a side.
    """
    column, row = places[0][triangles], places[1][triangles]
    along_2, down_2 = column[1] - column[0], row[1] - row[0]
    along_3, down_3 = column[2] - column[0], row[2] - row[0]
    area = along_2 * down_3 - along_3 * down_2
    first_column, last_column = _bounds(column, size)
    first_row, last_row = _bounds(row, size)
    # Rows go down, so that what is counter-clockwise from outside has a negative area here.
    shown = np.flatnonzero((last_column >= first_column) & (last_row >= first_row) & (area < 0.0))
    wide = last_column[shown] - first_column[shown] + 1
    counts = wide * (last_row[shown] - first_row[shown] + 1)
    which = np.repeat(np.arange(len(shown), dtype=np.int32), counts)
    place = np.arange(len(which), dtype=np.int32)
    place -= np.repeat((np.cumsum(counts) - counts).astype(np.int32), counts)
    down, across = np.divmod(place, wide[which])
    column_at = first_column[shown][which] + across
    row_at = first_row[shown][which] + down
    inverse = np.float32(1.0) / area[shown]
    x = column_at.astype(np.float32) - column[0, shown][which]
    y = row_at.astype(np.float32) - row[0, shown][which]
    second = x * (down_3[shown] * inverse)[which] - y * (along_3[shown] * inverse)[which]
    third = y * (along_2[shown] * inverse)[which] - x * (down_2[shown] * inverse)[which]
    inside = np.flatnonzero((second >= -EDGE) & (third >= -EDGE) & (second + third <= 1.0 + EDGE))
    second, third, triangle = second[inside], third[inside], shown[which[inside]]
    depth = places[2][triangles[:, triangle]]
    depth_at = depth[0] + second * (depth[1] - depth[0]) + third * (depth[2] - depth[0])
    return _Covered(triangle, column_at[inside], row_at[inside], second, third, depth_at)


def _bounds(corners: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last points between the corners (3, T) of triangles along one axis: twice (T,), int32."""
    least = np.minimum(np.minimum(corners[0], corners[1]), corners[2])
    most = np.maximum(np.maximum(corners[0], corners[1]), corners[2])
    first = np.maximum(np.ceil(least), 0.0).astype(np.int32)
    return first, np.minimum(np.floor(most), size - 1.0).astype(np.int32)


def rasterise(places: np.ndarray, triangles: np.ndarray, size: int) -> Grid:
    """The nearest triangle that faces the viewer at each point of a grid; see `_covered`."""
    found = _covered(places, triangles, size)
    point = found.row * size + found.column
    nearest = np.full(size * size, NOWHERE)
    np.maximum.at(nearest, point, found.depth)
    wins = np.flatnonzero(found.depth >= nearest[point])
    triangle = np.full(size * size, -1, dtype=np.int64)
    weights = np.zeros((3, size * size), dtype=np.float32)
    chosen = point[wins]
    triangle[chosen] = found.triangle[wins]
    weights[1, chosen], weights[2, chosen] = found.second[wins], found.third[wins]
    weights[0] = 1.0 - weights[1] - weights[2]
    return Grid(triangle.reshape(size, size), weights.reshape(3, size, size))


def depth_maps(places: np.ndarray, triangles: np.ndarray, size: int) -> np.ndarray:
    """Depth of what is nearest, in each of several grids: (D, S, S), -infinity where there is nothing.

    Args:
        places: (3, D, V), as for `_covered`.
        triangles: (3, T).
        size: points to a side.
    """
    grids, vertices = places.shape[1:]
    shifts = (np.arange(grids) * vertices)[None, :, None]
    every = (triangles[:, None, :] + shifts).reshape(3, -1)
    found = _covered(places.reshape(3, -1), every, size)
    point = (found.triangle // triangles.shape[1] * size + found.row) * size + found.column
    nearest = np.full(grids * size * size, NOWHERE)
    np.maximum.at(nearest, point, found.depth)
    return nearest.reshape(grids, size, size)
