"""A mean face, its pose in a picture, and what shape it gives there: a rough proxy that needs no model.

The head is the mean of those that `biofacenet.data.synthetic` draws. Its pose is found by what faces
have in common whatever their skin and light: eyes, brows, nostrils and mouth are darker than what is
around them. The places of these on the head come from synthetic faces too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor

from ..data.synthetic.faces import draw_heads, generate
from ..data.synthetic.features import EYE_X, EYE_Y
from ..data.synthetic.rays import find_surface
from ..data.synthetic.shape import Bump, Head, make_relief
from ..data.synthetic.surface import rotation
from ..data.synthetic.view import FRAME_CENTRE_Y, HALF_FRAME, SUPERSAMPLING
from ..physics.colour import luminance, srgb_to_linear
from ..physics.lighting import unit
from ..system.workers import one_thread
from .face_shape import FaceShape

__all__ = [
    "Pose",
    "find_pose",
    "mean_head",
    "shape_of_mean_face",
]

HEADS = 256

TEMPLATE_FACES = 40

SIDE = 64
"""Of the pictures in which a pose is sought."""

GRID = (41, 35)
"""Places on the face that are compared: rows (y) and columns (x)."""

GRID_Y, GRID_X = (0.5, -0.85), (-0.6, 0.6)

BLUR = 0.07
"""Spread of what counts as around a place, in sides of the picture."""

USUAL = (0.35, 0.18, 0.14, 0.09, 0.07, 0.07)
"""Standard deviations of yaw, pitch, roll (radians), log scale, shift across and down (canonical
units) of faces that a detector framed."""

PRIOR = 0.025
"""Loss of correlation that one squared standard deviation is worth."""

YAWS, PITCHES = (-0.7, -0.35, 0.0, 0.35, 0.7), (-0.2, 0.1)
"""Where the search begins."""

REFINED = 3
"""Best beginnings that are followed to their end."""

EYE_AXES = (0.135, 0.06)
"""Half width and height of what is left out around an eye."""

HAIRLINE, TEMPLES, JAW, GRAZING = 0.62, 0.35, -1.04, 0.15
"""Canonical height of the hair over the middle of the face, how far it comes down at its sides, height of
the jaw's edge; and the least component of a normal toward the viewer."""


@dataclass(frozen=True)
class Pose:
    """Where the head is in a square picture: angles in radians, lengths in canonical units."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    log_scale: float = 0.0
    """Of the half frame, against that of the published framing."""
    across: float = 0.0
    down: float = 0.0
    """Of the middle of the picture, against that of the published framing."""


@cache
def mean_head() -> Head:
    """The mean of the heads that synthetic faces have."""
    heads = draw_heads(HEADS)
    bumps = np.mean([[list(vars(bump).values()) for bump in head.bumps] for head in heads], axis=0)
    middle = {
        name: float(np.mean([getattr(head, name) for head in heads]))
        for name in ("half_width", "depth", "jaw")
    }
    return Head(bumps=tuple(Bump(*map(float, bump)) for bump in bumps), **middle)


@cache
def _surface_grid() -> tuple[np.ndarray, np.ndarray]:
    """Places and normals on the front of the mean head: twice (N, 3), row by row."""
    with one_thread():
        y, x = torch.meshgrid(
            torch.linspace(*GRID_Y, GRID[0]), torch.linspace(*GRID_X, GRID[1]), indexing="ij"
        )
        surface = find_surface(make_relief(mean_head()), torch.eye(3), x, y)
    return tuple(  # type: ignore[return-value]
        value.reshape(3, -1).T.double().numpy() for value in (surface.point, surface.normal)
    )


def contrast(image: Tensor) -> np.ndarray:
    """How bright places are against what is around them, whatever light and skin: (S, S), -2..2.

    Args:
        image: (3, S, S), sRGB-encoded.
    """
    grey = luminance(srgb_to_linear(image)[None])[0, 0].clamp(min=0.0).add(0.01).log().numpy()
    spread = BLUR * grey.shape[1]
    high = cv2.GaussianBlur(grey, (0, 0), 0.012 * grey.shape[1])
    high = high - cv2.GaussianBlur(grey, (0, 0), spread)
    strength = np.sqrt(cv2.GaussianBlur(high * high, (0, 0), 3.0 * spread)) + 0.03
    return np.clip(high / strength, -2.0, 2.0).astype(np.float32)


def _project(parameters: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 3) in pixels of a picture of `SIDE`, columns and rows: twice (N,)."""
    yaw, pitch, roll, log_scale, across, down = parameters
    turned = points @ rotation(yaw, pitch, roll).numpy()[:2].T
    half = HALF_FRAME * math.exp(log_scale)
    columns = (turned[:, 0] - across) / half
    rows = (down + FRAME_CENTRE_Y - turned[:, 1]) / half
    return (columns + 1.0) * SIDE / 2.0 - 0.5, (rows + 1.0) * SIDE / 2.0 - 0.5


def _sample(picture: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return cv2.remap(
        picture,
        columns.astype(np.float32)[None],
        rows.astype(np.float32)[None],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )[0]


@cache
def template() -> np.ndarray:
    """Mean contrast at each place of the grid, over synthetic faces and their mirror images: (N,)."""
    points, _ = _surface_grid()
    faces = generate(range(TEMPLATE_FACES), seed=7_000_003, size=SIDE)
    total = np.zeros(len(points))
    with one_thread():
        for image, mask, coordinates in zip(
            faces.image, faces.mask, faces.coordinates, strict=True
        ):
            # Where the camera sees canonical places: an affine map, read from the true coordinates.
            rows, columns = np.nonzero(mask[0].numpy())
            places = 2.6 * coordinates[:, rows, columns].double().numpy().T - 1.3
            places = np.concatenate((places, np.ones_like(places[:, :1])), axis=1)
            seen = np.stack((columns, rows), axis=1).astype(np.float64)
            camera = np.linalg.lstsq(places, seen, rcond=None)[0]
            at = np.concatenate((points, np.ones_like(points[:, :1])), axis=1) @ camera
            total += _sample(contrast(image), at[:, 0], at[:, 1])
    grid = total.reshape(GRID)
    return ((grid + grid[:, ::-1]) / (2 * TEMPLATE_FACES)).reshape(-1)


def find_pose(image: Tensor) -> tuple[Pose, float]:
    """Pose of the face in a square that was framed around it, and the correlation that it reaches.

    Args:
        image: (3, S, S), sRGB-encoded, 0..1; S at least `SIDE`.
    """
    points, normals = _surface_grid()
    wanted = template()
    reduced = F.interpolate(image[None], size=(SIDE, SIDE), mode="area")[0]
    picture = contrast(reduced)
    usual = np.array(USUAL)

    def likeness(parameters: np.ndarray) -> float:
        columns, rows = _project(parameters, points)
        facing = normals @ rotation(*parameters[:3]).numpy()[2]
        weights = np.clip((facing - 0.1) / 0.4, 0.0, 1.0)
        found = _sample(picture, columns, rows)
        return _correlation(found, wanted, weights)

    def loss(steps: np.ndarray) -> float:
        return PRIOR * float(steps @ steps) - likeness(steps * usual)

    beginnings = [
        np.array([yaw, pitch, 0.0, 0.0, across * math.sin(yaw), 0.0]) / usual
        for yaw in YAWS
        for pitch in PITCHES
        for across in (0.0, 0.3)
    ]
    beginnings.sort(key=loss)
    ends = [
        minimize(loss, steps, method="Powell", options={"maxiter": 6, "xtol": 1e-2, "ftol": 1e-4})
        for steps in beginnings[:REFINED]
    ]
    best = min(ends, key=lambda end: float(end.fun)).x * usual
    return Pose(*map(float, best)), likeness(best)


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """Weighted correlation, 0 where one of the two has no contrast."""
    weights = weights / weights.sum()
    a, b = a - weights @ a, b - weights @ b
    power = float((weights @ (a * a)) * (weights @ (b * b)))
    return float(weights @ (a * b)) / math.sqrt(power) if power > 1e-9 else 0.0


def shape_of_mean_face(pose: Pose, size: int, *, certainty: float = 1.0) -> FaceShape:
    """Normals and places of the mean face in a picture of `size` pixels.

    Args:
        pose: where the head is.
        size: side of the picture.
        certainty: what `find_pose` reached.
    """
    turn = rotation(pose.yaw, pose.pitch, pose.roll)
    samples = size * SUPERSAMPLING
    steps = (torch.arange(samples) + 0.5) / samples * 2.0 - 1.0
    half = HALF_FRAME * math.exp(pose.log_scale)
    x = (half * steps[None, :] + pose.across).expand(samples, samples)
    y = (FRAME_CENTRE_Y + pose.down - half * steps[:, None]).expand(samples, samples)
    surface = find_surface(make_relief(mean_head()), turn, x, y)
    px, py, pz = surface.point
    eye = ((px.abs() - EYE_X) / EYE_AXES[0]).square() + ((py - EYE_Y) / EYE_AXES[1]).square() < 1.0
    skin = surface.hit & ~surface.ear & ~eye & (pz > 0.0) & (py > JAW)
    skin = skin & (py < HAIRLINE - TEMPLES * (px.abs() / 0.72) ** 3)
    skin = skin & (surface.normal[2] > GRAZING)
    share = F.avg_pool2d(skin.float()[None, None], SUPERSAMPLING)[0]
    covered = (share > 0.5).float()
    values = torch.cat((surface.normal, surface.point)) * skin
    averaged = F.avg_pool2d(values[None], SUPERSAMPLING)[0] / share.clamp(min=1e-6)
    normals, places = averaged[:3], averaged[3:]
    return FaceShape(
        normals=unit(normals) * covered,
        coordinates=((places + 1.3) / 2.6).clamp(0.0, 1.0) * covered,
        covered=covered,
        certainty=certainty,
        turned=math.degrees(math.acos(min(1.0, float(turn[2, 2])))),
    )
