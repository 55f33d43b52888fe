"""The training objective: four terms that need images alone, three for where the truth is known, and one
that keeps every map in a range from which it can move.

All pixel terms are sums over the pixels of the mask divided by the number of those pixels, in
linear colour space.

Source: BioFaceNet, section 4.1; the terms of the truth and of the bounds are ours. Those of normals and
parts are in `biofacenet.training.shape_losses`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..data.geometry import Geometry
from ..decomposition import Decomposition
from ..decomposition.veil import veil_of
from ..network.links import LINKS, PIGMENT
from ..network.unet import RawOutputs
from ..physics.colour import WHITE_ROW_SUMS, luminance
from .settings import LossWeights
from .shape_losses import Known, shape_losses

__all__ = [
    "FACE_TERMS",
    "PHOTO_TERMS",
    "TERMS",
    "Losses",
    "appearance_loss",
    "bounds_loss",
    "camera_loss",
    "objective",
    "shading_loss",
    "specular_loss",
    "truth_loss",
    "veil_loss",
]

FACE_TERMS = (
    *("total", "appearance", "camera", "specular", "shading", "bounds", "truth"),
    *("normals", "parts"),
)
"""Names of what `Losses` holds."""

PHOTO_TERMS = (
    *("photo_appearance", "photo_pigments", "photo_diffuse", "photo_specular"),
    *("photo_parts", "photo_person", "photo_veil"),
)
"""Of photographs without truth: see `biofacenet.training.photographs`."""

TERMS = FACE_TERMS + PHOTO_TERMS
"""What a run keeps account of."""

VEIL = 0.045
"""Specular shading by diffuse shading, at most, on the less shining half of a face. A surface of skin
returns 2.8 % of the light head on and more at grazing angles; of nearly all training faces it is less."""

COLOUR_SCALE = 255.0
"""Linear colours are compared on the 0..255 scale, at which the published weights were set."""


@dataclass
class Losses:
    """The eight terms before weighting, and their weighted sum; each a scalar tensor."""

    total: Tensor
    appearance: Tensor
    camera: Tensor
    specular: Tensor
    shading: Tensor
    bounds: Tensor
    truth: Tensor
    """0 where no truth was given."""
    normals: Tensor
    """0 where no geometry was given, or the network tells no normals."""
    parts: Tensor
    """0 likewise."""

    def values(self) -> dict[str, float]:
        """The terms as plain numbers, by name."""
        return {name: float(value.detach()) for name, value in vars(self).items()}


def _masked_mean(values: Tensor, mask: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Sum over channels and masked pixels, divided by the number of masked pixels."""
    count = mask.sum() if pixels is None else pixels
    return (values * mask).sum() / count.clamp(min=1.0)


def appearance_loss(
    rendered: Tensor, image: Tensor, mask: Tensor, pixels: Tensor | None = None
) -> Tensor:
    """Squared error between two linear images (B, 3, H, W) inside the mask (B, 1, H, W)."""
    return _masked_mean((COLOUR_SCALE * (rendered - image)) ** 2, mask, pixels)


def camera_loss(camera: Tensor, images: int | None = None) -> Tensor:
    """Squared length of the camera coordinates (B, 2), mean over the batch: their Gaussian prior."""
    return camera.square().sum() / max(1, len(camera) if images is None else images)


def specular_loss(specular: Tensor, mask: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Absolute specular shading (B, 1, H, W) inside the mask: highlights are rare."""
    return _masked_mean(specular.abs(), mask, pixels)


def veil_loss(diffuse: Tensor, specular: Tensor, mask: Tensor, images: int | None = None) -> Tensor:
    """How far the specular shading of a whole face is over what a surface of skin returns, squared, mean over
    the images.

    A photograph alone does not tell light skin from darker skin under an even veil of white light. So of
    each face the half of the pixels of the mask (B, 1, H, W) with the least specular by diffuse shading
    counts: highlights are free.
    """
    over = torch.relu(veil_of(diffuse, specular, mask) / VEIL - 1.0)
    return over.square().sum() / max(1, len(mask) if images is None else images)


def shading_loss(
    diffuse: Tensor, proxy: Tensor, mask: Tensor, pixels: Tensor | None = None
) -> Tensor:
    """Squared error of the diffuse shading to a rough proxy, both (B, 1, H, W), inside the mask.

    The proxy's scale is arbitrary: each image's prediction is scaled by the closed-form optimum
    s = <proxy, prediction> / <prediction, prediction> first.
    """
    inside = diffuse * mask
    within = (1, 2, 3)
    scale = (inside * proxy).sum(dim=within, keepdim=True) / inside.square().sum(
        dim=within, keepdim=True
    ).clamp(min=torch.finfo(diffuse.dtype).tiny)
    return _masked_mean((scale * diffuse - proxy) ** 2, mask, pixels)


def bounds_loss(
    raw: RawOutputs, mask: Tensor, pixels: Tensor | None = None, images: int | None = None
) -> Tensor:
    """How far raw outputs lie outside their ranges: those of maps inside the mask, those of light and
    camera of each image; in units of raw outputs.

    Without it, the ends of the maps hold what comes near: where specular = exp(raw) is 1e-9, so is every
    gradient that would raise it. The pull of this term is the same at every distance.
    """
    outside = [
        torch.relu(link.low - values) + torch.relu(values - link.high)
        for link, values in zip(LINKS, raw.maps.chunk(len(LINKS), dim=1), strict=True)
    ]
    maps = _masked_mean(torch.cat(outside, dim=1), mask, pixels)
    count = max(1, len(mask) if images is None else images)
    vector = torch.relu(PIGMENT.low - raw.vector) + torch.relu(raw.vector - PIGMENT.high)
    return maps + vector.sum() / count


def truth_loss(
    decomposition: Decomposition,
    truth: Decomposition,
    mask: Tensor,
    pixels: Tensor | None = None,
    images: int | None = None,
) -> Tensor:
    """Squared errors of maps, camera and light to what is true of them.

    Melanin and haemoglobin (B, 1, H, W) count as they are; diffuse shading relative to its true mean
    in the mask; what highlights add to the picture and what it is without them, each relative to the
    mean luminance of the face, so that dark skin counts as much as light skin; camera coordinates and
    the spectrum of the light, relative to its mean, by a twentieth: one face hardly determines them.

    Raises:
        ValueError: the maps are of different skins.
    """
    decomposition.check_same_skin(truth)

    def mean(values: Tensor) -> Tensor:
        inside = (values * mask).sum((1, 2, 3), keepdim=True)
        return (inside / mask.sum((1, 2, 3), keepdim=True).clamp(min=1.0)).clamp(min=1e-3)

    bright = mean(luminance(truth.render()))
    white = float(WHITE_ROW_SUMS[1])
    errors = (
        decomposition.melanin - truth.melanin,
        decomposition.haemoglobin - truth.haemoglobin,
        (decomposition.diffuse - truth.diffuse) / mean(truth.diffuse),
        white * (decomposition.specular - truth.specular) / bright,
        (_without_highlights(decomposition) - _without_highlights(truth)) / bright,
    )
    maps = _masked_mean(torch.cat(errors, dim=1).square(), mask, pixels)
    count = max(1, len(mask) if images is None else images)
    camera = (decomposition.camera - truth.camera).square().sum() / count
    ours, true = decomposition.spectrum(), truth.spectrum()
    light = ((ours - true) * ours.shape[1]).square().mean(dim=1).sum() / count
    return maps + 0.05 * (camera + light)


def _without_highlights(decomposition: Decomposition) -> Tensor:
    return replace(decomposition, specular=torch.zeros_like(decomposition.specular)).render()


def objective(
    decomposition: Decomposition,
    rendered: Tensor,  # [B, 3, H, W], linear
    image: Tensor,  # [B, 3, H, W], linear
    mask: Tensor,  # [B, 1, H, W], 0 or 1
    proxy_shading: Tensor,  # [B, 1, H, W]
    weights: LossWeights | None = None,
    *,
    raw: RawOutputs | None = None,
    truth: Decomposition | None = None,
    geometry: Geometry | None = None,
    pixels: Tensor | None = None,
    images: int | None = None,
    known: Known | None = None,
) -> Losses:
    """All terms and their weighted sum.

    Args:
        decomposition: what the network found.
        rendered: its image.
        image: the face's.
        mask: where the face is.
        proxy_shading: rough shading of the face.
        weights: of the terms; the published ones when not given.
        raw: what the decomposition was made of, to be kept in its ranges.
        truth: what is true of the faces, where it is known.
        geometry: their normals and parts, likewise.
        pixels: scalar, masked pixels of the batch that these faces are a part of; their own when not
            given. The losses of all parts then add up to that of the batch.
        images: faces of that batch.
        known: how much is known of the normals and parts of that batch.
    """
    weights = weights or LossWeights()
    appearance = appearance_loss(rendered, image, mask, pixels)
    camera = camera_loss(decomposition.camera, images)
    specular = specular_loss(decomposition.specular, mask, pixels)
    shading = shading_loss(decomposition.diffuse, proxy_shading, mask, pixels)
    bounds = torch.zeros_like(camera) if raw is None else bounds_loss(raw, mask, pixels, images)
    true = torch.zeros_like(camera)
    if truth is not None:
        true = truth_loss(decomposition, truth, mask, pixels, images)
    normals = parts = torch.zeros_like(camera)
    if raw is not None:
        normals, parts = shape_losses(decomposition, raw, geometry, known)
    total = (
        weights.appearance * appearance
        + weights.camera * camera
        + weights.specular * specular
        + weights.shading * shading
        + weights.bounds * bounds
        + weights.truth * true
        + weights.normals * normals
        + weights.parts * parts
    )
    return Losses(total, appearance, camera, specular, shading, bounds, true, normals, parts)
