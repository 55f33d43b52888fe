"""Canonical places of a model's vertices: those of its mean head, scaled, with features where paint goes.

Everything is painted in canonical coordinates, in which eyes, brows, nose and mouth of a parametric
head have fixed places. A smooth displacement takes the mean head's features there.
"""

from __future__ import annotations

import numpy as np
import torch

from ..features import EYE_X, EYE_Y, MOUTH_Y, Brows
from .model import HeadModel

__all__ = ["canonical_places", "scaled"]

CHIN_Y, EAR_Z = -1.0, 0.2
"""Canonical height of the chin's landmark, and depth of the jaw's landmarks beside the ears."""

USUAL_BROWS = Brows(height=0.29, thickness=0.03)

MOUTH_HALF, UPPER, LOWER = 0.235, 0.035, 0.07
"""Half the width of a usual painted mouth, and how far its lips reach above and below its line."""

REACH = 0.3
"""How far a displacement reaches, in canonical units."""


def scaled(model: HeadModel) -> tuple[float, np.ndarray]:
    """Size of a canonical unit in the model's, and the model's place of the canonical origin (3,)."""
    marks = model.neutral[model.landmarks]
    eyes, chin = float(marks[36:48, 1].mean()), float(marks[8, 1])
    unit = (eyes - chin) / (EYE_Y - CHIN_Y)
    middle = float(marks[:, 0].mean())
    depth = float(marks[[0, 16], 2].mean()) - EAR_Z * unit
    return unit, np.array([middle, eyes - EYE_Y * unit, depth], dtype=np.float32)


def canonical_places(mean: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Displace a mean head (V, 3), scaled to canonical units, so that its features are where paint goes."""
    marks = mean[landmarks]
    sources, targets = _anchors(marks)
    kernel = np.exp(-_squares(sources, sources) / (2.0 * REACH**2))
    weights = np.linalg.solve(kernel + 1e-3 * np.eye(len(sources)), targets - sources)
    moved = np.exp(-_squares(mean[:, :2], sources) / (2.0 * REACH**2)) @ weights
    front = np.clip(mean[:, 2:] / 0.3, 0.0, 1.0)  # the back of the head stays
    places = mean.copy()
    places[:, :2] += (moved * front).astype(np.float32)
    return places


def _anchors(marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of features on the mean head, and where they are painted: twice (N, 2)."""
    sources, targets = [], []
    for side, outer, inner, first in ((-1, 17, 21, 36), (1, 26, 22, 42)):
        brow_x = torch.tensor([0.46, 0.3, 0.12])
        numbers = [outer, (outer + inner) // 2, inner]
        heights = USUAL_BROWS.arch(brow_x).tolist()
        sources += [marks[number, :2] for number in numbers]
        targets += [(side * x, y) for x, y in zip(brow_x.tolist(), heights, strict=True)]
        sources.append(marks[first : first + 6, :2].mean(axis=0))
        targets.append((side * EYE_X, EYE_Y))
        sources.append(marks[48 if side < 0 else 54, :2])
        targets.append((side * MOUTH_HALF, MOUTH_Y + 0.25 * MOUTH_HALF**2))
        sources.append(marks[32 if side < 0 else 34, :2])
        targets.append((side * 0.06, -0.375))
    middle = ((30, -0.27), (33, -0.385), (51, MOUTH_Y + UPPER), (57, MOUTH_Y - LOWER), (8, CHIN_Y))
    sources += [marks[number, :2] for number, _ in middle]
    targets += [(0.0, y) for _, y in middle]
    fixed = marks[[0, 3, 5, 11, 13, 16], :2]  # the outline stays
    return np.array([*sources, *fixed]), np.array([*targets, *fixed])


def _squares(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.square(one[:, None] - other[None]).sum(axis=2)
