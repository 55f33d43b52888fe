"""A head model ready to make heads of: scaled to canonical units, with what is the same for all heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from .canonical import canonical_places, scaled
from .marks import KINDS, find_marks, kinds_of_triangles
from .model import HeadModel
from .sky import Coarse, coarse_copy

__all__ = ["Eyeball", "PreparedModel"]

IRIS = 0.059
"""Radius of an iris in canonical units: 5.9 mm."""


@dataclass(frozen=True)
class Eyeball:
    """One eye of the mean head."""

    vertices: np.ndarray
    """(E,), of the model."""
    side: str
    """``L`` or ``R``, of the person, as in the names of movements."""
    inward: float
    """1 where the nose lies to the right of the picture, -1 where to the left."""


@dataclass(frozen=True)
class PreparedModel:
    """Vertices V are those of the model's visible triangles, in canonical units."""

    path: Path
    mean: np.ndarray
    """(V, 3), float32."""
    identity: np.ndarray
    """(K, 3 V), float32, displacements of one standard deviation."""
    expression: dict[str, np.ndarray]
    """(V, 3), float32, displacements of a whole movement."""
    triangles: np.ndarray
    """(T, 3)"""
    kinds: np.ndarray
    """(T,), index into `KINDS`."""
    places: np.ndarray
    """(V, 3), float32, canonical coordinates; see `canonical_places`."""
    marks: np.ndarray
    """(V, 7), float32; see `marks.Marks`."""
    landmarks: np.ndarray
    """(68,), vertices."""
    eyeballs: tuple[Eyeball, ...]
    coarse: Coarse
    gather: csr_matrix
    """(V, T), sums over the triangles around each vertex."""

    @classmethod
    def of(cls, model: HeadModel) -> PreparedModel:
        """Prepare a model."""
        unit, origin = scaled(model)
        whole = (model.neutral - origin) / unit
        used = np.unique(np.concatenate((model.triangles.reshape(-1), model.landmarks)))
        new = np.full(len(whole), -1)
        new[used] = np.arange(len(used))
        triangles = new[model.triangles]
        places = canonical_places(whole, model.landmarks)
        kinds = kinds_of_triangles(model, whole)
        corner_kinds = np.zeros(len(used), dtype=np.int64)
        for kind in range(1, len(KINDS)):
            corner_kinds[triangles[kinds == kind]] = kind
        mean = whole[used].astype(np.float32)
        ones = np.ones(triangles.size, dtype=np.float32)
        numbers = np.repeat(np.arange(len(triangles)), 3)
        return cls(
            path=model.path,
            mean=mean,
            identity=(model.identity[:, used] / np.float32(unit)).reshape(len(model.identity), -1),
            expression={
                name: shape[used] / np.float32(unit) for name, shape in model.expression.items()
            },
            triangles=triangles,
            kinds=kinds,
            places=places[used].astype(np.float32),
            marks=find_marks(model, whole).stacked()[used],
            landmarks=new[model.landmarks],
            eyeballs=_eyeballs(mean, triangles[model.material == "eye"]),
            coarse=coarse_copy(mean, triangles, corner_kinds),
            gather=csr_matrix(
                (ones, (triangles.reshape(-1), numbers)), shape=(len(used), len(triangles))
            ),
        )

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """Unit normals of a head's vertices, of the area around each: (V, 3)."""
        corners = vertices.T[:, self.triangles.T]  # (3, corners, T)
        x, y, z = corners[:, 1] - corners[:, 0]
        u, v, w = corners[:, 2] - corners[:, 0]
        found = self.gather @ np.stack((y * w - z * v, z * u - x * w, x * v - y * u), axis=1)
        length = np.sqrt(np.square(found).sum(axis=1, keepdims=True))
        return (found / np.maximum(length, 1e-12)).astype(np.float32)


def _eyeballs(mean: np.ndarray, triangles: np.ndarray) -> tuple[Eyeball, ...]:
    """The person's left eye is at the right of the picture."""
    vertices = np.unique(triangles)
    right = mean[vertices, 0] > 0.0
    both = (("R", 1.0, vertices[~right]), ("L", -1.0, vertices[right]))
    return tuple(Eyeball(found, side, inward) for side, inward, found in both if len(found))
