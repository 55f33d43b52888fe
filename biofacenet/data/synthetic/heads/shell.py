"""A second surface over part of a head, raised along its normals: what hair, a cap or a scarf look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....physics.lighting import unit
from .marks import KINDS
from .prepared import PreparedModel
from .raster import rasterise

__all__ = ["Shell", "ShellMaker"]

BEFORE = 0.002
"""How much farther than the head a shell may lie and be seen: at its edge it lies on it."""


@dataclass(frozen=True)
class Shell:
    """What the samples of a picture see of it: (S, S) or (3, S, S)."""

    hit: Tensor
    """bool, samples where it lies before the head, or beside it."""
    inside: Tensor
    """How far from its edge, in canonical units; finite everywhere."""
    point: Tensor
    """Canonical coordinates of the head below; finite everywhere."""
    normal: Tensor
    """Unit normals in camera coordinates."""


@dataclass(frozen=True)
class ShellMaker:
    """A head before the camera, over which shells can be laid."""

    model: PreparedModel
    vertices: np.ndarray
    """(V, 3), in camera coordinates."""
    normals: np.ndarray
    """(V, 3), in camera coordinates."""
    depth: np.ndarray
    """(S, S), of the head toward the viewer; -infinity beside it."""
    left: float
    top: float
    step: float
    """Camera place of the first sample, and the distance of samples."""

    @property
    def places(self) -> Tensor:
        """Canonical places of the vertices: (3, V)."""
        return torch.from_numpy(np.ascontiguousarray(self.model.places.T))

    @property
    def ears(self) -> Tensor:
        """Which vertices are of an ear: (V,), bool."""
        return torch.from_numpy(self.model.marks[:, 3] > 0.2)

    def make(self, inside: Tensor, rise: Tensor) -> Shell:
        """Lay a shell over the vertices whose distance from its edge is positive.

        Args:
            inside: (V,), distance from the shell's edge, negative outside.
            rise: (V,), how far it stands out from the head, in canonical units.
        """
        model, within = self.model, inside.numpy()
        chosen = (model.kinds == KINDS.index("skin")) & (within[model.triangles] > 0.0).all(axis=1)
        triangles = model.triangles[chosen]
        raised = self.vertices + rise.numpy()[:, None] * self.normals
        size = self.depth.shape[0]
        seen = np.ascontiguousarray(raised.T)
        seen[0] = (seen[0] - np.float32(self.left)) / np.float32(self.step)
        seen[1] = (np.float32(self.top) - seen[1]) / np.float32(self.step)
        grid = rasterise(seen, triangles.T, size)
        hit = grid.triangle >= 0
        columns = np.concatenate(
            (raised[:, 2:], within[:, None], model.places, model.normals(raised)), axis=1
        )
        corners = triangles[grid.triangle[hit]]
        weights = grid.weights[:, hit]
        found = sum(weights[k][:, None] * columns[corners[:, k]] for k in range(3))
        mixed = torch.zeros(columns.shape[1], size, size)
        shown = torch.from_numpy(hit)
        mixed[:, shown] = torch.from_numpy(np.ascontiguousarray(np.asarray(found).T))
        nearer = mixed[0] >= torch.from_numpy(self.depth) - BEFORE
        ahead = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
        return Shell(
            hit=shown & nearer,
            inside=mixed[1],
            point=mixed[2:5],
            normal=torch.where(shown, unit(mixed[5:8]), ahead),
        )
