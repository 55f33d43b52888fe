"""From polygons of three or four corners, as files have them, to triangles and their vertices' places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .model import MATERIALS

__all__ = ["kept_triangles", "places_of_vertices"]


def kept_triangles(
    polygons: np.ndarray, names: Sequence[str], material: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the materials that are used.

    Args:
        polygons: (P, 4), vertices; -1 pads triangles.
        names: of materials.
        material: (P,), index into ``names``.

    Returns:
        Triangles (T, 3), and what each is (T,).
    """
    kinds = np.array([MATERIALS.get(name, "") for name in names])[material]
    first, second = polygons[:, [0, 1, 2]], polygons[:, [0, 2, 3]]
    both = np.concatenate((first, second)).astype(np.int64)
    used = np.concatenate((kinds != "", (kinds != "") & (polygons[:, 3] >= 0)))
    return both[used], np.concatenate((kinds, kinds))[used]


def places_of_vertices(
    count: int,
    polygons: np.ndarray,
    polygon_uv: np.ndarray,
    uv: np.ndarray,
    of_face: np.ndarray,
) -> np.ndarray:
    """Texture coordinates of the vertices of the face, one each: (V, 2), NaN for all others."""
    places = np.full((count, 2), np.nan, dtype=np.float32)
    corners, textures = polygons[of_face], polygon_uv[of_face]
    real = corners >= 0
    places[corners[real]] = uv[textures[real]]
    return places
