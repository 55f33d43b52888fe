"""What is known of a face beside its maps: where its surface faces, its parts and its landmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition.parts import PART_NAMES, UNLABELLED
from ..physics.lighting import unit
from ..system.brief import Brief

__all__ = ["LANDMARKS", "MIRRORED_LANDMARKS", "Geometry"]

LANDMARKS = 68
"""Of the iBUG set, in its order: jaw 0..16, brows 17..26, nose 27..35, eyes 36..47, outer lips 48..59,
inner lips 60..67; left to right as the viewer sees it. Source: Sagonas et al., 300 Faces in-the-Wild
Challenge, ICCV Workshops 2013."""

MIRRORED_LANDMARKS = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
)
"""Which landmark of the mirrored face each one is."""


@dataclass(repr=False)
class Geometry(Brief):
    """Surface, parts and landmarks of a batch of faces.

    Of a face of which nothing is known all parts are `UNLABELLED`, normals zero, occlusion 1 and
    landmarks NaN: so batches can hold faces of both kinds.
    """

    normals: Tensor
    """(N, 3, S, S), unit length everywhere on the head and its neck, under hair too, zero elsewhere; x
    right, y up, z to the viewer."""
    parts: Tensor
    """(N, 1, S, S), uint8, index into `PART_NAMES`, or `UNLABELLED`."""
    occlusion: Tensor
    """(N, 1, S, S), 0..1, share of the light from all around that reaches the surface; 1 where there is
    no head."""
    landmarks: Tensor
    """(N, 68, 2), x right and y down in pixels from the picture's upper left corner, so that the middle
    of the first pixel is at 0.5; NaN where it is not known."""

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, part: slice) -> Geometry:
        return self.map(lambda tensor: tensor[part])

    @classmethod
    def unknown(cls, count: int, height: int, width: int) -> Geometry:
        """Faces of which nothing is known."""
        return cls(
            normals=torch.zeros(count, 3, height, width),
            parts=torch.full((count, 1, height, width), UNLABELLED, dtype=torch.uint8),
            occlusion=torch.ones(count, 1, height, width),
            landmarks=torch.full((count, LANDMARKS, 2), torch.nan),
        )

    @classmethod
    def join(cls, parts: Sequence[Geometry]) -> Geometry:
        """One batch of several."""
        return cls(
            normals=torch.cat([part.normals for part in parts]),
            parts=torch.cat([part.parts for part in parts]),
            occlusion=torch.cat([part.occlusion for part in parts]),
            landmarks=torch.cat([part.landmarks for part in parts]),
        )

    def map(self, change: Callable[[Tensor], Tensor]) -> Geometry:
        """A record with a function applied to each of its tensors."""
        return Geometry(
            change(self.normals),
            change(self.parts),
            change(self.occlusion),
            change(self.landmarks),
        )

    def mirrored(self) -> Geometry:
        """Left and right exchanged."""
        normals = self.normals.flip(3)
        landmarks = self.landmarks[:, list(MIRRORED_LANDMARKS)]
        across = self.parts.shape[3] - landmarks[..., :1]
        return Geometry(
            normals=torch.cat((-normals[:, :1], normals[:, 1:]), dim=1),
            parts=self.parts.flip(3),
            occlusion=self.occlusion.flip(3),
            landmarks=torch.cat((across, landmarks[..., 1:]), dim=2),
        )

    def resized(self, side: int) -> Geometry:
        """At another size of picture: averages over each new pixel, and the part that most of it shows."""
        height, width = self.parts.shape[2:]
        if (height, width) == (side, side):
            return self
        size = (side, side)
        scale = self.landmarks.new_tensor([side / width, side / height])
        return Geometry(
            normals=unit(F.adaptive_avg_pool2d(self.normals, size), dim=1),
            parts=_commonest(self.parts, size),
            occlusion=F.adaptive_avg_pool2d(self.occlusion, size),
            landmarks=self.landmarks * scale,
        )


def _commonest(parts: Tensor, size: tuple[int, int]) -> Tensor:
    """The label of most of each new pixel."""
    labels = (*range(len(PART_NAMES)), UNLABELLED)
    shares = torch.cat(
        [F.adaptive_avg_pool2d((parts == label).float(), size) for label in labels], dim=1
    )
    values = torch.tensor(labels, dtype=torch.uint8, device=parts.device)
    return values[shares.argmax(dim=1, keepdim=True)]
