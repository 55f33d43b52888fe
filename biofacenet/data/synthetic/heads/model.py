"""A statistical head model: a mean head, how people differ from it, and how faces move.

The model is ICT-FaceKit (Li et al., Learning Formation of Physically-Based Face Attributes, CVPR 2020;
Copyright (c) 2020 USC Institute for Creative Technologies, MIT licence). It is not part of this
package: it is read where a user names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import DataError
from ...geometry import LANDMARKS

__all__ = ["LICENCE", "MATERIALS", "MODEL_LAYOUT", "HeadModel"]

LICENCE = (
    "ICT-FaceKit, Copyright (c) 2020 USC Institute for Creative Technologies, MIT licence, "
    "github.com/ICT-VGL/ICT-FaceKit"
)

MODEL_LAYOUT = (
    "the folder FaceXModel of ICT-FaceKit (generic_neutral_mesh.obj, identity000.obj and so on, "
    "vertex_indices.json), or an NPZ file of it"
)

MATERIALS = {
    "M_Face": "face",
    "M_BackHead": "back",
    "M_GumsTongue": "mouth",
    "M_Teeth": "teeth",
    "M_ScleraLeft": "eye",
    "M_ScleraRight": "eye",
}
"""What the model's materials are here; all others are transparent or hidden, and left out."""

NEEDED = ("face", "eye")

MOST_VERTICES, MOST_SHAPES = 200_000, 400
"""Limits of a model; the published one has 26,719 vertices and 157 shapes."""


@dataclass(frozen=True)
class HeadModel:
    """Vertices V in the model's own units (cm; x to the left of the head, y up, z to the front)."""

    path: Path
    neutral: np.ndarray
    """(V, 3), float32."""
    identity: np.ndarray
    """(K, V, 3), float32, displacements of one standard deviation."""
    expression: dict[str, np.ndarray]
    """(V, 3), float32, displacements of a whole movement, by its name."""
    triangles: np.ndarray
    """(T, 3), int64, counter-clockwise seen from outside."""
    material: np.ndarray
    """(T,), of the values of `MATERIALS`."""
    uv: np.ndarray
    """(V, 2), float32, of the vertices of the face; NaN elsewhere."""
    landmarks: np.ndarray
    """(68,), int64, vertices."""

    def __post_init__(self) -> None:
        """Raise DataError unless the numbers fit together."""
        count = len(self.neutral)
        if not 4 <= count <= MOST_VERTICES or not 1 <= len(self.identity) <= MOST_SHAPES:
            raise DataError(
                f"{self.path}: a head model of {count} vertices and {len(self.identity)} identities; "
                f"expected 4..{MOST_VERTICES} and 1..{MOST_SHAPES}; copy {MODEL_LAYOUT} again"
            )
        shapes = {"neutral": self.neutral, **self.expression}
        shapes |= {f"identity {number}": shape for number, shape in enumerate(self.identity)}
        for name, shape in shapes.items():
            if shape.shape != (count, 3):
                raise DataError(
                    f"{self.path}: {name} has shape {shape.shape}; expected ({count}, 3) like neutral; "
                    f"copy {MODEL_LAYOUT} again"
                )
            if not np.isfinite(shape).all() or np.abs(shape).max() > 1e4:
                raise DataError(
                    f"{self.path}: {name} holds NaN, infinite or huge numbers; expected centimetres; "
                    f"copy {MODEL_LAYOUT} again"
                )
        for kind in NEEDED:
            if not (self.material == kind).any():
                names = ", ".join(name for name, value in MATERIALS.items() if value == kind)
                raise DataError(
                    f"{self.path}: no polygon of material {names}; copy {MODEL_LAYOUT} again"
                )
        for name, indices in (("polygons", self.triangles), ("landmarks", self.landmarks)):
            if len(indices) == 0 or indices.min() < 0 or indices.max() >= count:
                raise DataError(
                    f"{self.path}: {name} name vertices that are not there; expected 0..{count - 1}; "
                    f"copy {MODEL_LAYOUT} again"
                )
        if self.landmarks.shape != (LANDMARKS,):
            raise DataError(
                f"{self.path}: {len(self.landmarks)} landmarks; expected {LANDMARKS}; copy {MODEL_LAYOUT} "
                "again"
            )
        if not np.isfinite(self.uv[self.landmarks]).all():
            raise DataError(
                f"{self.path}: landmarks without texture coordinates; copy {MODEL_LAYOUT} again"
            )
