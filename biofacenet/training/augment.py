"""Changes to training faces that physics allows: mirroring, another exposure, another size.

Each face's changes are drawn from a generator of its own step, for the whole batch at once, so that
they do not depend on how a batch is divided among processes or on where a run was interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.geometry import Geometry
from ..data.pairs import FaceBatch
from ..physics.lighting import unit

__all__ = [
    "Changes",
    "apply",
    "draw",
    "mirror",
    "resize",
]

MIRRORED_HARMONICS = (3, 4, 7)
"""Spherical harmonics that are odd in x, of 1, y, z, x, xy, yz, z^2, xz, x^2 - y^2."""


@dataclass
class Changes:
    """What is done to each face of a batch."""

    mirrored: Tensor
    """(B,), bool."""
    exposure: Tensor
    """(B,), factor on linear light."""

    def part(self, chosen: slice) -> Changes:
        """Those of some faces of the batch."""
        return Changes(self.mirrored[chosen], self.exposure[chosen])

    def to(self, device: torch.device) -> Changes:
        """A copy on another device."""
        return Changes(
            self.mirrored.to(device, non_blocking=True), self.exposure.to(device, non_blocking=True)
        )


def draw(count: int, *, flip: bool, exposure: float, generator: torch.Generator) -> Changes:
    """Random changes.

    Args:
        count: faces.
        flip: mirror every other face, by chance.
        exposure: standard deviation of the exposure, in stops (factors of two).
        generator: on the CPU.
    """
    coins = torch.rand(count, generator=generator)
    stops = torch.randn(count, generator=generator)
    return Changes(
        (coins < 0.5) if flip else torch.zeros(count, dtype=torch.bool),
        torch.exp2(exposure * stops),
    )


def apply(batch: FaceBatch, changes: Changes) -> FaceBatch:
    """The changed faces.

    More light scales image and both shadings alike; the proxy shading's scale is arbitrary and stays.
    """
    mirrored = mirror(batch)
    chosen = changes.mirrored

    def pick(one: Tensor, other: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (one.ndim - 1)), other, one)

    exposure = changes.exposure.view(-1, 1, 1, 1)
    image = pick(batch.image, mirrored.image) * exposure
    truth = None
    if batch.truth is not None and mirrored.truth is not None:
        one, other = batch.truth, mirrored.truth
        truth = replace(
            one,
            melanin=pick(one.melanin, other.melanin),
            haemoglobin=pick(one.haemoglobin, other.haemoglobin),
            diffuse=pick(one.diffuse, other.diffuse) * exposure,
            specular=pick(one.specular, other.specular) * exposure,
        )
    return FaceBatch(
        image=image.clamp(max=1.0),
        mask=pick(batch.mask, mirrored.mask),
        normals=pick(batch.normals, mirrored.normals),
        shading=pick(batch.shading, mirrored.shading),
        lighting=pick(batch.lighting, mirrored.lighting),
        truth=truth,
        geometry=_picked(batch.geometry, mirrored.geometry, chosen),
    )


def _picked(one: Geometry | None, other: Geometry | None, chosen: Tensor) -> Geometry | None:
    """Each face's geometry from one batch or the other."""
    if one is None or other is None:
        return None

    def pick(name: str) -> Tensor:
        ours, theirs = getattr(one, name), getattr(other, name)
        return torch.where(chosen.view(-1, *[1] * (ours.ndim - 1)), theirs, ours)

    return Geometry(pick("normals"), pick("parts"), pick("occlusion"), pick("landmarks"))


def mirror(batch: FaceBatch) -> FaceBatch:
    """Left and right exchanged, in the image as in the normals and the light."""
    normals = batch.normals.flip(3)
    lighting = batch.lighting.clone()
    lighting[:, :, list(MIRRORED_HARMONICS)] *= -1.0
    return FaceBatch(
        image=batch.image.flip(3),
        mask=batch.mask.flip(3),
        normals=torch.cat((-normals[:, :1], normals[:, 1:]), dim=1),
        shading=batch.shading.flip(3),
        lighting=lighting,
        truth=batch.truth and batch.truth.map(lambda x: x.flip(3) if x.ndim == 4 else x),
        geometry=batch.geometry and batch.geometry.mirrored(),
    )


def resize(batch: FaceBatch, side: int) -> FaceBatch:
    """The faces at another size, averaged over the area of each new pixel.

    A pixel is in the mask where all that it covers is.
    """
    if batch.image.shape[2:] == (side, side):
        return batch

    def shrunk(values: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(values, (side, side)) if values.ndim == 4 else values

    mask = (shrunk(batch.mask) > 1.0 - 1e-4).to(batch.mask.dtype)
    return FaceBatch(
        image=shrunk(batch.image),
        mask=mask,
        normals=unit(shrunk(batch.normals), dim=1) * mask,
        shading=shrunk(batch.shading) * mask,
        lighting=batch.lighting,
        truth=batch.truth and batch.truth.map(shrunk),
        geometry=batch.geometry and batch.geometry.resized(side),
    )
