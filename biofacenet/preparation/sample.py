"""From a photo to a training sample: face crop, mask, proxy normals, places on the face, and lighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition.parts import UNLABELLED
from ..errors import PhotoError
from ..fitting.lighting import fit_lighting
from ..photos.boxes import Box, crop
from ..photos.reading import Photo
from ..photos.skin_pixels import face_region, skin_mask
from ..physics.colour import luminance, srgb_to_linear
from .face_shape import FaceShape
from .landmarks import find_landmarks, shape_of_landmarks
from .network_shape import network_with_shape, shape_of_network
from .outlines import parts_of_mesh

__all__ = [
    "Method",
    "Sample",
    "UnfitError",
    "make_sample",
    "shape_of",
]

Method = Literal["network", "landmarks"]
"""Where normals come from: a network, or a mesh of landmarks."""

LOOKED_AT = 256
"""Side of the crop in which pose, landmarks and skin are sought; more where samples are larger."""

LEAST_INSIDE = 0.7
"""Share of the crop that lies on the photo."""

LEAST_CERTAIN: dict[Method, float] = {"network": 0.6, "landmarks": 0.5}

MOST_TURNED: dict[Method, float] = {"network": 45.0, "landmarks": 60.0}
"""Degrees between the face's forward direction and the viewer."""

LEAST_SKIN = 0.4
"""Share of the surface known that has a colour of skin."""

MOST_BURNT = 0.15
"""Share of the mask that is at the end of the range."""

BURNT = 254.5 / 255.0

DARKEST = 0.01
"""Least median luminance, linear, of the mask."""

GREYEST = 0.02
"""Least mean difference of the strongest and the weakest channel, sRGB-encoded."""


class UnfitError(PhotoError):
    """A face that is not fit to train on."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Sample:
    """One face as `biofacenet.data.Faces` has it, without the batch, and how it was found."""

    image: Tensor
    """(3, S, S), sRGB-encoded, multiples of 1/255."""
    normals: Tensor
    """(3, S, S), unit length in the mask, zero outside."""
    mask: Tensor
    """(1, S, S), 0 or 1."""
    coordinates: Tensor
    """(3, S, S), zero outside the mask."""
    lighting: Tensor
    """(3, 9)"""
    turned: float
    """Degrees between the face's forward direction and the viewer."""
    certainty: float
    """0..1, how much the picture looks like a face."""
    labels: Tensor
    """(1, S, S), uint8: parts by a mesh of landmarks; all `UNLABELLED` without one."""


def shape_of(image: Tensor, size: int, method: Method, model: str = "small") -> FaceShape:
    """The surface of the face in a square picture that `biofacenet.face.find_faces` framed.

    Args:
        image: (3, S, S), sRGB-encoded.
        size: side of the maps wanted.
        method: where they come from.
        model: the network, where that is where they come from.
    """
    if method == "landmarks":
        return shape_of_landmarks(find_landmarks(image), size)
    return shape_of_network(image, size, network_with_shape(model))


def make_sample(
    photo: Photo,
    box: Box,
    *,
    size: int,
    method: Method,
    smallest: int,
    model: str = "small",
    mesh: bool = False,
) -> Sample:
    """The sample of one face.

    Args:
        photo: from `biofacenet.photo.read_photo`.
        box: where the face is.
        size: side of the sample in pixels.
        method: where normals come from.
        smallest: least side of the box in pixels of the photo.
        model: the network, where normals come from one.
        mesh: whether a mesh of landmarks tells parts.

    Raises:
        UnfitError: the face is not fit to train on.
    """
    _check_box(photo, box, smallest)
    seen = crop(photo.pixels, box, max(LOOKED_AT, size))
    shape = shape_of(seen, size, method, model)
    if shape.certainty < LEAST_CERTAIN[method]:
        raise UnfitError(
            "not a face",
            f"what was found hardly looks like a face ({shape.certainty:.2f}; expected at least "
            f"{LEAST_CERTAIN[method]})",
        )
    if shape.turned > MOST_TURNED[method]:
        raise UnfitError(
            "turned away",
            f"turned by {shape.turned:.0f} degrees; expected at most {MOST_TURNED[method]:.0f}",
        )
    image = (255.0 * crop(photo.pixels, box, size)).round() / 255.0
    mask = _mask(seen, shape)
    _check_skin(image, mask, shape)
    normals = shape.normals * mask
    linear = srgb_to_linear(image)
    return Sample(
        image=image,
        normals=normals,
        mask=mask,
        coordinates=shape.coordinates * mask,
        lighting=fit_lighting(linear, normals, mask),
        turned=shape.turned,
        certainty=shape.certainty,
        labels=_labels(seen, linear, mask) if mesh else torch.full_like(mask, UNLABELLED).byte(),
    )


def _check_box(photo: Photo, box: Box, smallest: int) -> None:
    if box.size < smallest:
        raise UnfitError(
            "small",
            f"the face's square has {box.size} pixels; expected at least {smallest} (--smallest)",
        )
    across = min(photo.width, box.left + box.size) - max(0, box.left)
    down = min(photo.height, box.top + box.size) - max(0, box.top)
    inside = max(0, across) * max(0, down) / box.size**2
    if inside < LEAST_INSIDE:
        raise UnfitError(
            "cut off",
            f"{100 * inside:.0f} % of the face's square lie on the photo; expected at least "
            f"{100 * LEAST_INSIDE:.0f} %",
        )


def _mask(seen: Tensor, shape: FaceShape) -> Tensor:
    """Where there is skin and its surface is known: (1, S, S), 0 or 1."""
    side, size = seen.shape[-1], shape.covered.shape[-1]
    covered = shape.covered[0].numpy().astype(np.uint8)
    # The outer edge is uncertain by a pixel or two, and beyond it is another surface.
    outlines, _ = cv2.findContours(covered, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = cv2.drawContours(np.zeros_like(covered), outlines, -1, 1, cv2.FILLED)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    shrunk = cv2.erode(whole, cross, iterations=max(1, round(size / 96)), borderValue=0)
    known = torch.from_numpy((shrunk * covered).astype(np.float32))[None]
    region = face_region(side, side) * F.interpolate(known[None], size=(side, side))
    skin = skin_mask(srgb_to_linear(seen)[None], region=region)
    share = F.interpolate(skin, size=(size, size), mode="area")[0]
    return ((share > 0.5) & (known > 0.0)).float()


def _labels(seen: Tensor, linear: Tensor, mask: Tensor) -> Tensor:
    """Parts by the mesh of the face, if it finds one: (1, S, S), uint8."""
    found = find_landmarks(seen)
    if found.certainty < LEAST_CERTAIN["landmarks"]:
        return torch.full_like(mask, UNLABELLED).byte()
    points = mask.shape[-1] * found.points[:, :2]
    return torch.from_numpy(parts_of_mesh(points, mask[0].numpy() > 0.0, linear.numpy()))[None]


def _check_skin(image: Tensor, mask: Tensor, shape: FaceShape) -> None:
    inside = mask[0] > 0
    colours = image[:, shape.covered[0] > 0]
    if colours.numel() and float((colours.amax(0) - colours.amin(0)).mean()) < GREYEST:
        raise UnfitError("grey", "no colour; expected a photo in colour")
    share = float(mask.sum() / shape.covered.sum().clamp(min=1.0))
    if share < LEAST_SKIN or int(inside.sum()) < 16:
        raise UnfitError(
            "little skin",
            f"{100 * share:.0f} % of the face have a colour of skin; expected at least "
            f"{100 * LEAST_SKIN:.0f} %",
        )
    burnt = float((image.amax(dim=0)[inside] >= BURNT).float().mean())
    if burnt > MOST_BURNT:
        raise UnfitError(
            "overexposed",
            f"{100 * burnt:.0f} % of the skin at the end of the range; expected at most "
            f"{100 * MOST_BURNT:.0f} %",
        )
    light = float(np.median(luminance(srgb_to_linear(image)[None])[0, 0][inside].numpy()))
    if light < DARKEST:
        raise UnfitError(
            "dark", f"median luminance of the skin {light:.4f}; expected at least {DARKEST}"
        )
