"""What is known of the surface of a face in a square picture, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["FaceShape"]


@dataclass(frozen=True)
class FaceShape:
    """What is known of a face's surface, pixel by pixel."""

    normals: Tensor
    """(3, S, S), unit length where covered, zero elsewhere; x right, y up, z to the viewer."""
    coordinates: Tensor
    """(3, S, S), pose-free place on the face, scaled to 0..1, zero where not covered."""
    covered: Tensor
    """(1, S, S), 1 where the surface is known and is not eye or open mouth."""
    certainty: float
    """0..1, how much the picture looks like a face."""
    turned: float
    """Angle between the face's forward direction and the viewer, in degrees."""
