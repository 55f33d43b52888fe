"""A face's surface as a network sees it: normals, where they are known, and how much it is a face."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.synthetic.surface import rotation
from ..data.synthetic.view import FRAME_CENTRE_Y, HALF_FRAME
from ..decomposition.parts import part_index
from ..errors import ModelError
from ..network.unet import BioFaceNet
from ..photos.skin_pixels import face_region
from ..physics.colour import srgb_to_linear
from ..physics.lighting import unit
from .face_shape import FaceShape
from .landmarks import INSTALL

__all__ = ["network_with_shape", "shape_of_network"]

SEEN = 96
"""Side of what the network sees."""

SURFACE = ("skin", "lips", "brows")
"""Parts whose surface is that of the face; eyes and teeth lie deeper."""

FACE = (*SURFACE, "eyes", "teeth")

LEAST_SHARE = 0.5
"""Probability from which a pixel shows the face's surface."""

GRAZING = 0.15
"""Least component of a normal toward the viewer."""

HEAD_AXES, HEAD_CENTRE_Y = (0.75, 1.15, 0.95), -0.05
"""Half axes and height of an ellipsoid near the front of the head, in canonical units: places on it stand
for places on the face."""

FRONTAL_Y = 0.0
"""Mean component upwards of the normals of a face that looks at the camera."""


@cache
def network_with_shape(source: str) -> BioFaceNet:
    """A network that tells normals, read once in each process.

    Raises:
        ModelError: there is none, or it does not tell them.
    """
    network = BioFaceNet.from_pretrained(source)
    if network.shape is None:
        raise ModelError(
            f"{source}: a network that tells no normals; name one that was trained with --shape-weights, or "
            f"use landmarks: {INSTALL}"
        )
    return network


def shape_of_network(image: Tensor, size: int, network: BioFaceNet) -> FaceShape:
    """The surface of the face in a square that `biofacenet.photos.faces.find_faces` framed.

    Args:
        image: (3, S, S), sRGB-encoded, 0..1.
        size: side of the maps.
        network: from `network_with_shape`.
    """
    seen = F.interpolate(srgb_to_linear(image)[None], size=(SEEN, SEEN), mode="area")
    found = network.decompose(seen)
    assert found.normals is not None
    assert found.parts is not None
    surface, face = (
        found.parts[:, [part_index(name) for name in names]].sum(dim=1, keepdim=True)
        for names in (SURFACE, FACE)
    )
    middle = face_region(SEEN, SEEN)
    certainty = float((face * middle).sum() / middle.sum())
    weight = middle * surface
    mean = unit((found.normals * weight).sum(dim=(0, 2, 3)))

    def sized(values: Tensor) -> Tensor:
        mode = "area" if size < SEEN else "bilinear"
        return F.interpolate(values, size=(size, size), mode=mode)[0]

    normals = unit(sized(found.normals))
    known = (sized(surface) > LEAST_SHARE) & (normals[2:] > GRAZING)
    places, hit = _places(mean, size)
    covered = (known & hit).float()
    return FaceShape(
        normals=normals * covered,
        coordinates=((places + 1.3) / 2.6).clamp(0.0, 1.0) * covered,
        covered=covered,
        certainty=certainty,
        turned=math.degrees(math.acos(min(1.0, max(-1.0, float(mean[2]))))),
    )


def _places(mean: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pose-free places on the ellipsoid of a head that looks where the mean normal does, and where it is.

    (3, S, S) in canonical units, and (1, S, S), bool.
    """
    yaw = math.atan2(float(mean[0]), float(mean[2]))
    pitch = -math.asin(min(1.0, max(-1.0, float(mean[1]) - FRONTAL_Y)))
    back = rotation(yaw, pitch, 0.0).T
    steps = HALF_FRAME * ((torch.arange(size) + 0.5) / size * 2.0 - 1.0)
    x = steps[None, :].expand(size, size)
    y = (FRAME_CENTRE_Y - HEAD_CENTRE_Y - steps)[:, None].expand(size, size)
    # A ray through each pixel, point + z * toward, in the frame in which the ellipsoid is a ball.
    axes = torch.tensor(HEAD_AXES).view(3, 1, 1)
    point = torch.einsum("ij,jhw->ihw", back, torch.stack((x, y, torch.zeros_like(x)))) / axes
    toward = back[:, 2].view(3, 1, 1) / axes
    a, b, c = (toward**2).sum(), (point * toward).sum(dim=0), (point**2).sum(dim=0) - 1.0
    inner = b * b - a * c
    z = (-b + inner.clamp(min=0.0).sqrt()) / a
    place = (point + z * toward) * axes
    place[1] += HEAD_CENTRE_Y
    return place, (inner > 0.0)[None]
