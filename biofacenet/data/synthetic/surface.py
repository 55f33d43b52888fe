"""What the samples of a picture see of a head: the one record that every kind of head gives.

Canonical coordinates are pose-free: x to the right of the picture, y up, z to the viewer; the eyes
lie near y = 0.1, the chin near y = -1, and the cheeks are 0.7 apart from the middle. They say which
place of a head a sample is, whatever the shape of the head: what is painted is painted in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["Features", "Pose", "Surface", "rotation"]


@dataclass(frozen=True)
class Surface:
    """Head and neck before the camera, sample by sample: (S, S) or (3, S, S)."""

    hit: Tensor
    """bool, samples of the head or its neck."""
    neck: Tensor
    """bool, those of the neck and the throat: skin, but not of the face."""
    ear: Tensor
    """bool, those of an ear."""
    point: Tensor
    """Canonical coordinates; finite also where nothing is hit."""
    normal: Tensor
    """Unit normals in camera coordinates (x right, y up, z to the viewer); where nothing is hit, of any
    length and direction."""
    occlusion: Tensor
    """0..1, share of the light from all around that reaches the surface; 1 where nothing is hit."""
    crevice: Tensor
    """0..1, share of light of any kind that narrow folds leave, of which `occlusion` knows nothing."""
    shadow: Callable[[Tensor], Tensor]
    """Of a direction (3,) in camera coordinates that light comes from: the share of that light, 0..1,
    which nothing of the head keeps from each sample: (S, S). It does not know which samples face away
    from the light; 1 where nothing is hit."""


@dataclass(frozen=True)
class Features:
    """Eyes, mouth and brows on a head, sample by sample: (S, S)."""

    eye: Tensor
    """bool, an eyeball between its lids."""
    mouth: Tensor
    """bool, all that an open mouth shows: teeth, gums, tongue and the dark behind."""
    teeth: Tensor
    """bool, those of the mouth that are teeth."""
    lips: Tensor
    """0..1, softly bounded."""
    brows: Tensor
    """0..1, softly bounded."""
    iris: Tensor
    """Distance from the middle of the iris, in its radius; large where there is no eye."""
    lid: Tensor
    """0..1, nearness of the upper lid's edge, where lashes grow."""
    nostril: Tensor
    """0..1, nearness of a nostril."""


@dataclass(frozen=True)
class Pose:
    """How a head is turned, in radians."""

    yaw: float = 0.0
    """To the right of the picture."""
    pitch: float = 0.0
    """Upwards."""
    roll: float = 0.0
    """Counter-clockwise."""

    def rotation(self) -> Tensor:
        """Canonical to camera coordinates: (3, 3)."""
        return rotation(self.yaw, self.pitch, self.roll)

    def part(self, share: float) -> Pose:
        """A share of the turn."""
        return Pose(share * self.yaw, share * self.pitch, share * self.roll)


def rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    """Canonical to camera coordinates, angles in radians: (3, 3)."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return torch.from_numpy((tilt @ nod @ turn).astype(np.float32))
