"""A modelled head before the camera: what each sample of a picture sees of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....physics.lighting import unit
from ..features import EYE_X, Brows, smoothstep
from ..surface import Features, Pose, Surface
from .faces import ModelledHead, eyeball_middle
from .marks import KINDS
from .prepared import IRIS, PreparedModel
from .raster import Grid, depth_maps, rasterise
from .shell import ShellMaker
from .sky import occlusion

__all__ = ["Seen", "see_modelled_head"]

BODY = 0.4
"""Share of the head's turn that the shoulders make."""

NECK_TOP, NECK_FOOT = -0.75, -1.55
"""Canonical heights between which the neck bends."""

PIVOT = (0.0, -0.6, -0.25)
"""About which the head turns on its neck."""

SHADOW_MAP, SHADOW_HALF = 160, 1.7
"""Points to a side of the picture from a light, and half its side in canonical units."""

SHADOW_BIAS, MOST_BIAS, SHADOW_SOFT = 0.02, 0.2, 5
"""How much nearer to the light something must be to cast a shadow on what faces the light, and at most on
what turns away from it; points over which edges are soft."""

FOLD, LASH_ROOT, LID_SHADE = 0.014, 0.018, 0.035
"""Width of the fold above a lid, of the line at its edge, and of its shade on the eye, in canonical units."""

SEAM = 0.55
"""How much of the light the line between lips takes."""

BROW_EDGE = 0.013
"""Softness of the borders of brows, in canonical units."""

EYES_Z = 0.6
"""Depth of the eyes, at which a picture is as large from any distance."""

FAR = 9.0
"""Distance from an iris where there is no eye."""


@dataclass(frozen=True)
class Seen:
    """What the samples of a picture see."""

    surface: Surface
    features: Features
    landmarks: Tensor
    """(68, 3), in camera coordinates."""
    neck: float
    """Place of the neck across the picture."""
    shells: ShellMaker
    """The head, for what lies over it."""


def bend(places: np.ndarray, vertices: np.ndarray, pose: Pose) -> np.ndarray:
    """Turn a head on its neck: vertices (V, 3) in camera coordinates; ``places`` are canonical."""
    head = pose.rotation().numpy()
    body = pose.part(BODY).rotation().numpy()
    share = np.clip((places[:, 1:2] - NECK_FOOT) / (NECK_TOP - NECK_FOOT), 0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    pivot = np.array(PIVOT, dtype=np.float32)
    # The head turns as that of any kind does, about the origin; the body goes with its neck.
    foot = head @ pivot
    turned = vertices @ head.T
    below = (vertices - pivot) @ body.T + foot
    return (share * turned + (1.0 - share) * below).astype(np.float32)


def nearer(vertices: np.ndarray, distance: float) -> np.ndarray:
    """Vertices (V, 3) in camera coordinates as a camera sees them from so far: what is nearer is larger."""
    scale = (distance - EYES_Z) / (distance - vertices[:, 2:])
    return np.concatenate((vertices[:, :2] * scale, vertices[:, 2:]), axis=1).astype(np.float32)


def see_modelled_head(
    head: ModelledHead,
    pose: Pose,
    brows: Brows,
    x: Tensor,
    y: Tensor,
    distance: float = math.inf,
    thin_lips: float = 0.0,
) -> Seen:
    """What samples at camera places x, y (S, S), a regular grid, see of a head.

    Args:
        head: who is seen.
        pose: how the head is turned.
        brows: painted on it.
        x: and
        y: (S, S), places in the picture, in canonical units.
        distance: of the camera from the middle of the head, in canonical units of about 10 cm.
        thin_lips: by how much their border lies within that of the model, in widths of its softness.
    """
    model, size = head.model, x.shape[0]
    vertices = bend(model.mean, head.vertices, pose)
    normals, from_afar = model.normals(vertices), vertices
    if math.isfinite(distance):
        vertices = nearer(vertices, distance)
    grid = _drawn(head, vertices, x, y)
    hit = grid.triangle >= 0
    shown = torch.from_numpy(hit)
    sky = occlusion(model.coarse, head.vertices, model.normals(head.vertices))
    of_vertices = (model.places, vertices, normals, sky[:, None], model.marks, from_afar)
    mixed = _mixed(model, grid, of_vertices)
    kinds = torch.full((size, size), -1)
    kinds[shown] = torch.from_numpy(model.kinds[grid.triangle[hit]])
    camera, normal = mixed[3:6], unit(mixed[6:9])
    caster = _Caster(vertices.T, model.triangles[model.kinds == KINDS.index("skin")].T)

    def shadow(direction: Tensor) -> Tensor:
        return caster.shadow(direction, camera[:, shown], normal[:, shown], shown)

    lips, lid, neck, ear, inner, seam, over = mixed[10:17]
    lips = torch.sigmoid(torch.logit(lips, 1e-6) - thin_lips)
    eyes = kinds == KINDS.index("eye")
    surface = Surface(
        hit=shown,
        neck=(neck > 0.5) & shown,
        ear=(ear > 0.5) & shown,
        point=torch.where(shown, mixed[:3], torch.stack((x, y, torch.zeros_like(x)))),
        normal=torch.where(shown, normal, torch.tensor([0.0, 0.0, 1.0])[:, None, None]),
        occlusion=torch.where(shown, mixed[9], 1.0),
        crevice=torch.where(shown, _crevices(head, mixed[0].abs(), seam, over, eyes), 1.0),
        shadow=shadow,
    )
    # Eyeballs are round as they are, not as a near camera sees them.
    marks = lips, lid, inner
    features = _features(head, from_afar, pose, brows, surface, kinds, mixed[17:20], marks)
    landmarks = torch.from_numpy(vertices[model.landmarks])
    depth = np.where(hit, mixed[5].numpy(), np.float32(-np.inf))
    first, step = float(x[0, 0]), float(x[0, 1] - x[0, 0])
    shells = ShellMaker(model, vertices, normals, depth, first, float(y[0, 0]), step)
    return Seen(surface, features, landmarks, _middle_of_neck(model, vertices), shells)


def _middle_of_neck(model: PreparedModel, vertices: np.ndarray) -> float:
    """Across the picture, at its foot, or of the whole head where the model ends above."""
    foot = vertices[model.mean[:, 1] < NECK_FOOT]
    return float((foot if len(foot) else vertices)[:, 0].mean())


def _mixed(model: PreparedModel, grid: Grid, columns: tuple[np.ndarray, ...]) -> Tensor:
    """What vertices have, each (V, ..), at the samples that show triangles between them: (C, S, S)."""
    hit = grid.triangle >= 0
    values = np.concatenate(columns, axis=1)
    corners = model.triangles[grid.triangle[hit]]
    weights = grid.weights[:, hit]
    found = sum(weights[k][:, None] * values[corners[:, k]] for k in range(3))
    mixed = torch.zeros(values.shape[1], *hit.shape)
    mixed[:, torch.from_numpy(hit)] = torch.from_numpy(np.ascontiguousarray(np.asarray(found).T))
    return mixed


def _crevices(head: ModelledHead, ax: Tensor, seam: Tensor, over: Tensor, eyes: Tensor) -> Tensor:
    """Share of light that the folds of lids, the line between the lips and lids over eyes leave: (S, S)."""
    depth, height = head.crease
    along = torch.exp(-(((ax - EYE_X) / 0.15) ** 4))
    fold = depth * torch.exp(-((over - height) / FOLD).square())
    root = 0.75 * torch.exp(-(over / LASH_ROOT).square())
    shaded = 0.08 + 0.6 * torch.exp(-(over.clamp(max=0.0) / LID_SHADE).square())
    taken = torch.where(eyes, shaded, along * torch.maximum(fold, root))
    return 1.0 - torch.maximum(taken, SEAM * seam)


def _drawn(head: ModelledHead, vertices: np.ndarray, x: Tensor, y: Tensor) -> Grid:
    """The nearest triangle at each sample; what a closed mouth hides is left out."""
    left, step = float(x[0, 0]), float(x[0, 1] - x[0, 0])
    places = np.ascontiguousarray(vertices.T)
    places[0] = (places[0] - np.float32(left)) / np.float32(step)
    places[1] = (np.float32(y[0, 0]) - places[1]) / np.float32(step)
    model = head.model
    shown = np.arange(len(model.triangles))
    if not head.opened:
        shown = np.flatnonzero(model.kinds < KINDS.index("teeth"))
    grid = rasterise(places, model.triangles[shown].T, x.shape[0])
    triangle = np.where(grid.triangle >= 0, shown[grid.triangle], -1)
    return Grid(triangle, grid.weights)


def _features(
    head: ModelledHead,
    vertices: np.ndarray,
    pose: Pose,
    brows: Brows,
    surface: Surface,
    kinds: Tensor,
    camera: Tensor,
    marks: tuple[Tensor, Tensor, Tensor],
) -> Features:
    """Eyes, mouth and brows of the samples; see `Features`."""
    lips, lid, inner = marks
    place_x, place_y, place_z = surface.point
    skin = kinds == KINDS.index("skin")
    eye, teeth = kinds == KINDS.index("eye"), kinds == KINDS.index("teeth")
    mouth = teeth | (kinds == KINDS.index("mouth")) | (skin & (inner > 0.5) & head.opened)
    front = skin & ~mouth & ~surface.neck & (place_z > 0.0)
    iris = torch.full_like(place_x, FAR)
    for ball, gaze in zip(head.model.eyeballs, head.gaze, strict=True):
        middle = torch.from_numpy(eyeball_middle_in_camera(vertices[ball.vertices], pose))
        toward = pose.rotation() @ torch.from_numpy(gaze)
        outward = camera - middle[:, None, None]
        along = torch.einsum("c,chw->hw", toward, outward)
        off = (outward.square().sum(dim=0) - along.square()).clamp(min=0.0).sqrt()
        iris = torch.minimum(iris, torch.where(along > 0.0, off / IRIS, FAR))
    nostril = torch.exp(
        -((place_x.abs() - 0.06) / 0.022).square() - ((place_y + 0.372) / 0.016).square()
    )
    down = smoothstep(0.0, 0.35, -surface.normal[1])
    return Features(
        eye=eye,
        mouth=mouth,
        teeth=teeth,
        lips=torch.where(front, lips, 0.0),
        brows=brows.places(place_x, place_y, BROW_EDGE) * front,
        iris=torch.where(eye, iris, FAR),
        lid=torch.where(front, lid, 0.0),
        nostril=torch.where(front, nostril * down, 0.0),
    )


def eyeball_middle_in_camera(ball: np.ndarray, pose: Pose) -> np.ndarray:
    """The middle of an eyeball's vertices (E, 3) in camera coordinates: (3,)."""
    turn = pose.rotation().numpy()
    return (turn @ eyeball_middle(ball @ turn)).astype(np.float32)


@dataclass(frozen=True)
class _Caster:
    """What casts shadows."""

    vertices: np.ndarray
    """(3, V), in camera coordinates."""
    triangles: np.ndarray
    """(3, T), those of the skin."""

    def shadow(self, direction: Tensor, places: Tensor, normals: Tensor, shown: Tensor) -> Tensor:
        """See `Surface.shadow`; places and normals, (3, N), are those of the samples that show the head."""
        view = _view_from(unit(direction))
        scale, middle = SHADOW_MAP / (2.0 * SHADOW_HALF), 0.5 * (SHADOW_MAP - 1)
        seen = view.numpy() @ self.vertices
        seen[0] = seen[0] * np.float32(scale) + np.float32(middle)
        seen[1] = np.float32(middle) - seen[1] * np.float32(scale)
        nearest = torch.from_numpy(depth_maps(seen[:, None], self.triangles, SHADOW_MAP)[0])
        places = view @ places
        # A point of the map stands for all of its width, over which what is turned away lies deeper.
        cosine = (view[2] @ normals).clamp(0.05, 1.0)
        slope = (1.0 - cosine.square()).sqrt() / cosine
        bias = (SHADOW_BIAS + 0.5 * SHADOW_SOFT * slope / scale).clamp(max=MOST_BIAS)
        column, row = places[0] / SHADOW_HALF, -places[1] / SHADOW_HALF
        passed = torch.zeros_like(places[0])
        reach = SHADOW_SOFT // 2
        for down in range(-reach, reach + 1):
            for across in range(-reach, reach + 1):
                columns = (column * 0.5 * SHADOW_MAP + middle).round().long() + across
                rows = (row * 0.5 * SHADOW_MAP + middle).round().long() + down
                before = nearest[rows.clamp(0, SHADOW_MAP - 1), columns.clamp(0, SHADOW_MAP - 1)]
                passed += places[2] + bias >= before
        share = torch.ones(shown.shape)
        share[shown] = passed / SHADOW_SOFT**2
        return share


def _view_from(direction: Tensor) -> Tensor:
    """A rotation whose third row is a direction (3,): (3, 3)."""
    helper = torch.tensor([0.0, 1.0, 0.0])
    if abs(float(direction[1])) > 0.9:
        helper = torch.tensor([1.0, 0.0, 0.0])
    right = unit(torch.linalg.cross(helper, direction))
    return torch.stack((right, torch.linalg.cross(direction, right), direction))
