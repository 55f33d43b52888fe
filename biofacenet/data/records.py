"""One record of faces, from what makes them to the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..decomposition import Decomposition
from ..system.brief import Brief
from .geometry import Geometry

__all__ = ["Faces"]


@dataclass(repr=False)
class Faces(Brief):
    """A batch of faces as pairs of files hold them, and what is true of them where it is known."""

    image: Tensor
    """(N, 3, S, S), sRGB-encoded, 0..1."""
    normals: Tensor
    """(N, 3, S, S), unit length in the mask, zero outside; x right, y up, z to the viewer."""
    mask: Tensor
    """(N, 1, S, S), 1 where a pixel is facial skin, brows, lips or beard and nothing else."""
    coordinates: Tensor
    """(N, 3, S, S), pose-free place on the face, scaled to 0..1, zero outside the mask."""
    lighting: Tensor
    """(N, 3, 9), spherical harmonic lighting per colour channel."""
    truth: Decomposition | None = None
    """True maps (finite everywhere), light and camera."""
    geometry: Geometry | None = None
    """Normals of the whole head, parts, occlusion and landmarks."""

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, part: slice) -> Faces:
        return Faces(
            self.image[part],
            self.normals[part],
            self.mask[part],
            self.coordinates[part],
            self.lighting[part],
            None if self.truth is None else self.truth[part],
            None if self.geometry is None else self.geometry[part],
        )

    @classmethod
    def join(cls, parts: Sequence[Faces]) -> Faces:
        """One batch of several; truth and geometry are kept where all have them."""
        truths = [part.truth for part in parts if part.truth is not None]
        shapes = [part.geometry for part in parts if part.geometry is not None]
        return cls(
            image=torch.cat([part.image for part in parts]),
            normals=torch.cat([part.normals for part in parts]),
            mask=torch.cat([part.mask for part in parts]),
            coordinates=torch.cat([part.coordinates for part in parts]),
            lighting=torch.cat([part.lighting for part in parts]),
            truth=Decomposition.join(truths) if len(truths) == len(parts) else None,
            geometry=Geometry.join(shapes) if len(shapes) == len(parts) else None,
        )

    def known(self) -> Decomposition:
        """The truth.

        Raises:
            ValueError: it is not known.
        """
        if self.truth is None:
            raise ValueError("the true maps of these faces are not known")
        return self.truth
