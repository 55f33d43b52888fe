"""How much of the light from all around reaches the places of a head: its ambient occlusion.

Seen from some directions all around, a coarse copy of the head is drawn into depth maps; the share of
them in which a place is seen, weighted by the cosine of Lambert's law, is its occlusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from .raster import depth_maps

__all__ = ["Coarse", "coarse_copy", "occlusion"]

DIRECTIONS = 32

MAP = 72
"""Points to a side of a depth map."""

HALF, CENTRE = 1.35, (0.0, -0.1, -0.2)
"""Half the side of what a map shows, in canonical units, and its middle."""

CELL = 0.065
"""Vertices within a cell of this side become one, in canonical units."""

NEAR, BEFORE = 0.03, 0.09
"""How much nearer than a place something must be to take some of its light, and to take all; a little less
and more than the size of a cell."""


@dataclass(frozen=True)
class Coarse:
    """A copy of a mesh that has fewer vertices."""

    chosen: np.ndarray
    """(R,), vertices of the mesh that it keeps."""
    triangles: np.ndarray
    """(3, T), index into ``chosen``; what stands in the light's way."""
    spread: csr_matrix
    """(V, R), values at all vertices from those at the chosen ones."""


def coarse_copy(places: np.ndarray, triangles: np.ndarray, kinds: np.ndarray) -> Coarse:
    """Choose vertices of a mesh.

    Args:
        places: (V, 3), canonical.
        triangles: (T, 3).
        kinds: (V,), vertices of different kinds stay apart; kind 0 stands in the light's way.
    """
    cells = np.floor(places / CELL).astype(np.int64)
    _, of_cell = np.unique(np.column_stack((cells, kinds)), axis=0, return_inverse=True)
    of_cell = of_cell.reshape(-1)
    counts = np.bincount(of_cell)
    middle = np.stack([np.bincount(of_cell, axis) / counts for axis in places.T], axis=1)
    off = np.linalg.norm(places - middle[of_cell], axis=1)
    order = np.lexsort((off, of_cell))
    chosen = order[
        np.r_[True, np.diff(of_cell[order]) > 0]
    ]  # the vertex next to each cell's middle
    coarse = of_cell[triangles[(kinds[triangles] == 0).all(axis=1)]]
    first, second, third = coarse.T
    proper = (first != second) & (second != third) & (third != first)
    return Coarse(chosen, np.unique(coarse[proper], axis=0).T, _spread(places, chosen, kinds))


def _spread(places: np.ndarray, chosen: np.ndarray, kinds: np.ndarray) -> csr_matrix:
    """Weights of the nearest chosen vertices of the same kind, by the inverse of their distance."""
    rows, columns, weights = [], [], []
    for kind in np.unique(kinds):
        of_kind, near = np.flatnonzero(kinds == kind), np.flatnonzero(kinds[chosen] == kind)
        count = min(8, len(near))
        distance, found = cKDTree(places[chosen[near]]).query(places[of_kind], count)
        distance, found = distance.reshape(-1, count), found.reshape(-1, count)
        weight = 1.0 / (distance + 0.03) ** 2
        rows.append(np.repeat(of_kind, count))
        columns.append(near[found].reshape(-1))
        weights.append((weight / weight.sum(axis=1, keepdims=True)).reshape(-1))
    matrix = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(matrix, shape=(len(places), len(chosen)), dtype=np.float32)


def _directions() -> np.ndarray:
    """Directions all around, evenly spread over the sphere: (D, 3)."""
    number = np.arange(DIRECTIONS) + 0.5
    height = 1.0 - 2.0 * number / DIRECTIONS
    turn = np.pi * (1.0 + 5.0**0.5) * number  # the golden angle
    around = np.sqrt(1.0 - height**2)
    return np.stack((around * np.cos(turn), height, around * np.sin(turn)), axis=1)


def _views(directions: np.ndarray) -> np.ndarray:
    """For each direction a rotation whose third row is the direction: (3, D, 3), rows first."""
    helper = np.where(np.abs(directions[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    right = np.cross(helper, directions)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack((right, np.cross(directions, right), directions))


VIEWS = _views(_directions()).astype(np.float32)


def occlusion(coarse: Coarse, places: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Share of the light from all around that reaches the vertices of a head: (V,), 0..1.

    Args:
        coarse: copy of the model's mesh.
        places: (V, 3), of this head, in canonical units.
        normals: (V, 3), unit length.
    """
    chosen = places[coarse.chosen] - np.array(CENTRE, dtype=np.float32)
    seen = (VIEWS.reshape(-1, 3) @ chosen.T).reshape(3, len(VIEWS[0]), -1)
    scale = np.float32(MAP / (2.0 * HALF))
    seen[0] = seen[0] * scale + 0.5 * (MAP - 1)
    seen[1] = 0.5 * (MAP - 1) - seen[1] * scale
    maps = depth_maps(seen, coarse.triangles, MAP)
    column = np.rint(seen[0]).astype(np.int32).clip(0, MAP - 1)
    row = np.rint(seen[1]).astype(np.int32).clip(0, MAP - 1)
    before = maps[np.arange(len(maps))[:, None], row, column]
    passes = np.clip((BEFORE - (before - seen[2])) / (BEFORE - NEAR), 0.0, 1.0)
    cosine = np.maximum(VIEWS[2] @ normals[coarse.chosen].T, 0.0)
    share = (cosine * passes).sum(axis=0) / np.maximum(cosine.sum(axis=0), 1e-6)
    return (coarse.spread @ share.astype(np.float32)).clip(0.0, 1.0)
