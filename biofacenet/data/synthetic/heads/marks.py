"""Where on the heads of a model lips, lids, ears, neck and mouth are: marks of its vertices.

They are found once, on the mean head, from the model's landmarks and its texture coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from .model import HeadModel

__all__ = ["KINDS", "Marks", "find_marks", "kinds_of_triangles"]

KINDS = ("skin", "eye", "teeth", "mouth")
"""What a triangle is."""

OF_MATERIAL = {"face": 0, "back": 0, "eye": 1, "teeth": 2, "mouth": 3}

EAR_U, EAR_V, EAR_X = 0.115, (0.37, 0.69), 0.66
"""Texture coordinates of the ears: nearer than this to the sides, within these heights; and how far from
the middle they begin, in canonical units."""

LIP_EDGE, LID_WIDTH = 0.006, 0.014
"""Softness of the lips' border in texture coordinates; width of the lid's edge in canonical units."""

SEAM_WIDTH, CORNER = 0.013, 0.024
"""Of the line between the lips and of the hollows at their corners, in canonical units."""

NECK_BEHIND = -0.35
"""Canonical height below which the back of the head is neck."""

INNER_LIP = 0.8
"""Share of the inner outline of the closed lips within which is the inside of the mouth."""


@dataclass(frozen=True)
class Marks:
    """Of the vertices of a model, each (V,), float32, 0..1."""

    lips: np.ndarray
    lid: np.ndarray
    neck: np.ndarray
    ear: np.ndarray
    inner: np.ndarray
    """Within the closed mouth."""
    seam: np.ndarray
    """Nearness of the line between the lips, most of all of their corners."""
    over: np.ndarray
    """Not a share: height over the edge of the upper lid, in canonical units."""

    def stacked(self) -> np.ndarray:
        """(V, 7), in the order above."""
        marks = (self.lips, self.lid, self.neck, self.ear, self.inner, self.seam, self.over)
        return np.stack(marks, axis=1)


def find_marks(model: HeadModel, places: np.ndarray) -> Marks:
    """The marks of a model's vertices.

    Args:
        model: with
        places: of its mean head in canonical units, (V, 3).
    """
    face = np.isfinite(model.uv).all(axis=1)
    uv = np.where(face[:, None], model.uv, -1.0)
    of_landmarks = model.uv[model.landmarks]
    outline = _closed_curve(of_landmarks[48:60])
    inner = of_landmarks[60:68]
    inner = inner.mean(axis=0) + INNER_LIP * (inner - inner.mean(axis=0))
    ear = face & (np.minimum(uv[:, 0], 1.0 - uv[:, 0]) < EAR_U)
    ear &= (uv[:, 1] > EAR_V[0]) & (uv[:, 1] < EAR_V[1]) & (np.abs(places[:, 0]) > EAR_X)
    jaw = of_landmarks[3:14]
    order = np.argsort(jaw[:, 0])
    below = uv[:, 1] < np.interp(uv[:, 0], jaw[order, 0], jaw[order, 1]) - 0.01
    neck = np.where(face, below & ~ear, places[:, 1] < NECK_BEHIND)
    lids = [_curve(places[model.landmarks[part]]) for part in (slice(36, 40), slice(42, 46))]
    distance = _distance(places, np.concatenate(lids))
    right = places[:, 0] > 0.0
    heights = [np.interp(places[:, 0], *lid[lid[:, 0].argsort(), :2].T) for lid in lids]
    lid = np.exp(-np.square(distance / LID_WIDTH)) * face
    lips = 1.0 / (1.0 + np.exp(-_inside(outline, uv) / LIP_EDGE))
    return Marks(
        lips=(lips * face).astype(np.float32),
        lid=lid.astype(np.float32),
        neck=neck.astype(np.float32),
        ear=ear.astype(np.float32),
        inner=((_inside(inner, uv) > 0.0) & face).astype(np.float32),
        seam=(_seam(places, model.landmarks) * face).astype(np.float32),
        over=(places[:, 1] - np.where(right, heights[1], heights[0])).astype(np.float32),
    )


def kinds_of_triangles(model: HeadModel, places: np.ndarray) -> np.ndarray:
    """What each triangle is, of `KINDS`: (T,); the back of the head lines mouth and eyes too."""
    kinds = np.array([OF_MATERIAL[name] for name in model.material])
    back = model.material == "back"
    corners = places[model.triangles]
    inside = (model.material == "mouth") | (model.material == "teeth")
    if inside.any():
        within = corners[inside].reshape(-1, 3)
        least, most = within.min(axis=0) - 0.08, within.max(axis=0) + 0.08
        kinds[back & ((corners > least) & (corners < most)).all(axis=(1, 2))] = KINDS.index("mouth")
    eyes = corners[model.material == "eye"].reshape(-1, 3)
    for side in (-1.0, 1.0):
        eye = eyes[eyes[:, 0] * side > 0.0]
        if len(eye):
            middle = 0.5 * (eye.min(axis=0) + eye.max(axis=0))
            radius = 0.5 * float(np.ptp(eye[:, 0]))
            near = np.linalg.norm(corners - middle, axis=2).max(axis=1) < 1.6 * radius
            kinds[back & near] = KINDS.index("eye")
    return kinds


def _seam(places: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """See `Marks.seam`: (V,)."""
    inner = places[landmarks[60:68]]
    line = np.concatenate(
        (_curve(inner[:4]), _curve(inner[[4, 5, 6, 7]]), inner[3:5], inner[[7, 0]])
    )
    corners = places[landmarks[[48, 54]]]
    near = np.exp(-np.square(_distance(places, line) / SEAM_WIDTH))
    return np.maximum(near, 0.8 * np.exp(-np.square(_distance(places, corners) / CORNER)))


def _distance(places: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Of places (V, 3) to the nearest of some points (N, 3): (V,)."""
    return np.asarray(cKDTree(line).query(places)[0])


def _closed_curve(points: np.ndarray, steps: int = 6) -> np.ndarray:
    """A smooth closed line through points (N, 2), of Catmull and Rom: (N * steps, 2)."""
    t = (np.arange(steps) / steps)[:, None]
    before, after, last = (np.roll(points, shift, axis=0) for shift in (1, -1, -2))
    parts = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(before, points, after, last, strict=True)
    ]
    return np.concatenate(parts)


def _curve(points: np.ndarray, steps: int = 24) -> np.ndarray:
    """A smooth line through four points: (steps, 3), the cubic of Lagrange."""
    t = np.linspace(0.0, 3.0, steps)
    total = np.zeros((steps, points.shape[1]))
    for i, point in enumerate(points):
        others = [j for j in range(4) if j != i]
        total += np.prod([(t - j) / (i - j) for j in others], axis=0)[:, None] * point
    return total


def _inside(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of points (N, 2) to a closed outline, positive inside: (N,)."""
    line = outline.astype(np.float32).reshape(-1, 1, 2)
    return np.array([cv2.pointPolygonTest(line, (float(u), float(v)), True) for u, v in points])
