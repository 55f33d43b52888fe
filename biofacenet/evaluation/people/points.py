"""Landmarks of photos: from a table, from another photo of the person, or from the optional model."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...photos.boxes import Box, crop
from ...photos.reading import Photo
from ...physics.colour import luminance
from ...preparation import landmarks

__all__ = ["carried_over", "found_points", "moved"]

SIDE = 128
"""Of the pictures that are laid over each other."""

LOOKED_AT = 256

UPPER = (0.2, 0.68, 0.22, 0.78)
"""Top, bottom, left and right of what expressions leave in its place, in sides of the square."""

FARTHEST = 0.15
"""By how much of the side a photo may be off the other; more is taken for a mistake."""


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 2) by an affine map (2, 3)."""
    found: np.ndarray = points @ matrix[:, :2].T + matrix[:, 2]
    return found


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The affine map (2, 3) back."""
    return np.asarray(cv2.invertAffineTransform(matrix))


def found_points(photo: Photo, box: Box) -> np.ndarray:
    """The 468 points of the optional model, in pixels of a photo: (468, 2).

    Raises:
        DataError: the model is not installed.
    """
    if not landmarks.available():
        raise DataError(
            f"{photo.path}: no landmarks of it; expected a row of landmarks.csv, or the optional model: "
            f"{landmarks.INSTALL}"
        )
    mesh = landmarks.find_landmarks(crop(photo.pixels, box, LOOKED_AT))
    return moved(box.to_photo(1, 1), mesh.points[:, :2])


def carried_over(
    points: np.ndarray, first: tuple[Photo, Box], second: tuple[Photo, Box]
) -> np.ndarray:
    """Points of one photo of a person in another photo, in whose squares the face lies alike.

    The upper halves of the faces are laid over each other by an affine map (Evangelidis and Psarakis,
    Parametric image alignment using enhanced correlation coefficient maximization, 2008); where that
    fails, the squares are taken as they are.
    """
    one, other = (_grey(photo, box) for photo, box in (first, second))
    top, bottom, left, right = (round(SIDE * share) for share in UPPER)
    weight = np.zeros((SIDE, SIDE), np.uint8)
    weight[top:bottom, left:right] = 1
    warp = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    try:
        # The map is from places in the first picture to those in the second.
        _, found = cv2.findTransformECC(one, other, warp, cv2.MOTION_AFFINE, stop, weight, 5)
        warp = np.asarray(found, np.float32)
    except cv2.error:
        warp = np.eye(2, 3, dtype=np.float32)
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]], float)
    if np.abs(moved(warp, corners) - corners).max() > FARTHEST * SIDE:
        warp = np.eye(2, 3, dtype=np.float32)
    seen = moved(inverse(first[1].to_photo(SIDE, SIDE)), points)
    # OpenCV counts pixels by their middles.
    there = moved(warp.astype(float), seen - 0.5) + 0.5
    return moved(second[1].to_photo(SIDE, SIDE), there)


def _grey(photo: Photo, box: Box) -> np.ndarray:
    """(SIDE, SIDE), float32."""
    picture: Tensor = crop(photo.pixels, box, SIDE)[None]
    return np.ascontiguousarray(luminance(picture)[0, 0].to(torch.float32).numpy())
