"""Hair as wisps: lines in space that grow on a head of a model, lie over it and fall.

Some guides are grown step by step along the run of the hair, kept out of the head by its nearest vertex;
around each, wisps follow that draw together toward their tips (Ward et al., A survey on hair modeling, IEEE
TVCG 2007, section 2.3). A wisp is half as thin as a sample of the picture
(`wisp_samples` draws them).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...physics.lighting import unit
from .draws import Draws
from .features import smoothstep
from .hair import Hair
from .heads.marks import KINDS
from .heads.shell import ShellMaker
from .strands import Run
from .wisp_samples import FINER, Wisps, draw_wisps

__all__ = ["lay_wisps"]

GUIDES, STEPS = 900, 14
"""How many guides, and of how many places each."""

NEAREST = 1600
"""Of so many vertices at most, the nearest to a place says how far it is from the head."""

DENSITY = 9.0
"""How many wisps lie over each other where hair grows, in the mean."""

MOST = 800_000
"""Points of wisps at most, but for one around each guide."""

THIN = 0.1
"""How far from its edge hair grows as thick as it does, in canonical units."""

BESIDE, PAST = 0.25, -0.06
"""Depth behind which hair hangs beside the face, and how far past its edge other hair reaches."""

FLATTER = 0.6
"""How high long hair stands, as a share of what others do: it is heavy."""

TOUCHES = 0.2
"""How far beside a vertex of the head hair may be that lies on it, in canonical units."""


@dataclass(frozen=True)
class _Manner:
    """How the hair of a style grows; lengths are canonical."""

    length: Tensor
    """(G,), of each guide."""
    lift: float
    """How far from the head a hair starts to go."""
    flow: float
    """How well it follows the run."""
    gravity: float
    bend: float
    """How fast it turns where it is to go."""
    stray: float
    """How much guides differ in direction."""
    spread: float
    """How far from their guide wisps grow."""
    clump: float
    """0..1, how far they draw together."""
    curl: float
    """Radius of curls or waves at the tips."""
    turns: float
    """Of curls, in a canonical unit."""


def _manner(draws: Draws, style: Hair, run: Run, roots: Tensor, pose: Tensor) -> _Manner:
    """That of a style whose guides begin at places (G, 3), in camera coordinates."""
    vary = torch.from_numpy(draws.rng.uniform(0.7, 1.1, len(roots)).astype(np.float32))
    clump = draws.uniform(0.0, 0.7)
    wave = draws.uniform(0.0, 0.02) if draws.chance(0.5) else 0.003
    lift, stray, size = (
        draws.uniform(0.0, 0.4),
        draws.uniform(0.03, 0.2),
        draws.uniform(0.018, 0.045),
    )
    # Cut shorter at the sides than above.
    above = smoothstep(-0.1, 0.9, (roots @ pose)[:, 1])
    short = _Manner(
        length=(0.16 + 2.0 * style.volume * above) * vary,
        lift=lift,
        flow=1.0,
        gravity=0.2,
        bend=0.6,
        stray=stray,
        spread=0.035,
        clump=clump,
        curl=wave,
        turns=1.5,
    )
    if style.kind == "curly":
        curls = replace(short, lift=2.0, flow=0.15, gravity=0.25, stray=0.5, spread=0.06, clump=0.3)
        length = (0.12 + 0.8 * style.volume) * vary
        return replace(curls, length=length, curl=size, turns=0.6 / (math.tau * size))
    if style.kind == "tied":
        length = 0.9 * (roots - pose @ run.middle).norm(dim=1) * vary
        return replace(short, length=length, lift=0.0, gravity=0.0, stray=0.03, turns=0.6)
    if style.kind == "long":
        length = (roots[:, 1] - style.length + 0.3).clamp(min=0.4) * (0.85 + 0.15 * vary)
        falling = replace(short, lift=0.4, flow=0.8, gravity=0.9, bend=1.5, stray=0.04)
        return replace(falling, length=length, curl=1.5 * wave, turns=1.2)
    return short


def lay_wisps(
    draws: Draws,
    style: Hair,
    run: Run,
    shells: ShellMaker,
    inside: Tensor,
    risen: Tensor,
    pose: Tensor,
) -> Wisps | None:
    """Grow a head's hair; None where none is long enough.

    Args:
        draws: of this face.
        style: of the hair.
        run: which way it lies.
        shells: the head.
        inside: (V,), how far within the hair vertices are.
        risen: (V,), how high it stands there.
        pose: (3, 3), of the head.
    """
    random = np.random.default_rng(int(draws.rng.integers(2**32)))
    if style.kind in ("bald", "shaved"):
        return None
    roots = _roots(random, shells, inside.numpy())
    if roots is None:
        return None
    start, area = roots
    manner = _manner(draws, style, run, start, pose)
    if style.kind == "long":
        risen = FLATTER * risen
    scalp = _Scalp.of(shells, inside, risen)
    guides, normals, alive = _grown(random, manner, run, scalp, pose, start)
    step = shells.step / FINER
    mean_length = float(manner.length.mean())
    each = DENSITY * area / (step * mean_length * GUIDES)
    each = min(each, MOST * step / (mean_length * GUIDES))
    lines = _around(random, manner, guides, max(1, round(each)))
    return draw_wisps(random, lines, normals, alive, shells)


def _roots(
    random: np.random.Generator, shells: ShellMaker, inside: np.ndarray
) -> tuple[Tensor, float] | None:
    """Places of guides on the head, (G, 3) in camera coordinates, and the area that grows hair."""
    model = shells.model
    grows = (model.kinds == KINDS.index("skin")) & (inside[model.triangles] > 0.0).all(axis=1)
    corners = shells.vertices[model.triangles[grows]]
    if len(corners) == 0:
        return None
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = 0.5 * np.linalg.norm(cross, axis=1)
    # Toward its edge hair is thin.
    thick = np.clip(inside[model.triangles[grows]].mean(axis=1) / THIN, 0.02, 1.0)
    areas = areas * thick
    chosen = random.choice(len(areas), GUIDES, p=areas / areas.sum())
    u, v = np.sort(random.uniform(size=(2, GUIDES)), axis=0)
    weights = np.stack((u, v - u, 1.0 - v), axis=1)[:, :, None]
    places = (weights * corners[chosen]).sum(axis=1)
    return torch.from_numpy(places.astype(np.float32)), float(areas.sum())


@dataclass(frozen=True)
class _Scalp:
    """Vertices of the skin that hair lies on, without the ears, over which it lies: (N, ..)."""

    vertices: Tensor
    squares: Tensor
    """(N,), of their distances from the origin."""
    normals: Tensor
    places: Tensor
    """Canonical."""
    inside: Tensor
    risen: Tensor

    @classmethod
    def of(cls, shells: ShellMaker, inside: Tensor, risen: Tensor) -> _Scalp:
        model = shells.model
        skin = np.unique(model.triangles[model.kinds == KINDS.index("skin")])
        skin = skin[~shells.ears.numpy()[skin]]
        skin = skin[:: max(1, len(skin) // NEAREST)]
        vertices = torch.from_numpy(shells.vertices[skin])
        return cls(
            vertices=vertices,
            squares=vertices.square().sum(dim=1),
            normals=torch.from_numpy(shells.normals[skin]),
            places=torch.from_numpy(model.places[skin]),
            inside=inside[skin],
            risen=risen[skin],
        )

    def nearest(self, points: Tensor) -> Tensor:
        """Of places (G, 3): (G,)."""
        return torch.addmm(self.squares, points, self.vertices.T, alpha=-2.0).argmin(dim=1)


def _grown(
    random: np.random.Generator,
    manner: _Manner,
    run: Run,
    scalp: _Scalp,
    pose: Tensor,
    start: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Guides, (G, K, 3), normals of the head below them, and where they are shown, (G, K)."""
    count = len(start)
    size = manner.length[:, None] / STEPS
    stray = torch.from_numpy(random.standard_normal((count, 3), dtype=np.float32)) * manner.stray
    layer = torch.from_numpy(random.uniform(size=(count, 1)).astype(np.float32)).sqrt()
    down = torch.tensor([0.0, -1.0, 0.0])
    point, direction, shown = start, stray, torch.ones(count, dtype=torch.bool)
    path, normals, alive = [], [], []
    for number in range(STEPS):
        at = scalp.nearest(point)
        vertex, normal, place = scalp.vertices[at], scalp.normals[at], scalp.places[at]
        within = scalp.inside[at, None]
        flow = (pose @ run.direction(place.T, pose.T @ normal.T)).T
        away = ((point - vertex) * normal).sum(dim=1, keepdim=True).clamp(min=0.0)
        if number == 0:
            direction = unit(flow + manner.lift * normal + stray, dim=1)
        near = (within > -0.15).float() * torch.exp(-away / 0.3)
        turn = manner.flow * near * flow + manner.gravity * down + 0.3 * stray
        following = point + size * unit(direction + manner.bend * turn, dim=1)
        # Not below its layer on the head, and drawn back to it above the neck; what hangs free of the head
        # is not pushed by what it has passed.
        away = ((following - vertex) * normal).sum(dim=1, keepdim=True)
        beside = (following - vertex - away * normal).norm(dim=1, keepdim=True)
        least = (0.2 + 0.8 * layer) * scalp.risen[at, None].clamp(min=0.02)
        least = least * min(1.0, (number + 1.0) / 4.0)
        following = following + (beside < TOUCHES) * normal * torch.relu(least - away)
        held = smoothstep(-0.7, -0.4, place[:, 1:2]) * torch.exp(-away.clamp(min=0.0) / 0.6)
        following = following - 0.6 * held * normal * torch.relu(away - 1.2 * least - 0.01)
        face = (within < PAST) & (place[:, 2:3] > BESIDE) & (away < 0.4)
        shown = shown & ~face[:, 0]
        path.append(point)
        normals.append(normal)
        alive.append(shown)
        direction, point = unit(following - point, dim=1), following
    return torch.stack(path, 1), torch.stack(normals, 1), torch.stack(alive, 1)


def _around(random: np.random.Generator, manner: _Manner, guides: Tensor, each: int) -> Tensor:
    """Wisps around guides: (G, each, K, 3)."""
    count, steps, _ = guides.shape

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(random.standard_normal(shape, dtype=np.float32))

    along = torch.linspace(0.0, 1.0, steps)[:, None]
    offset = manner.spread * normal(count, each, 1, 3)
    together = 1.0 - manner.clump * along
    length = manner.length.view(-1, 1, 1, 1)
    chance = torch.from_numpy(random.uniform(size=(count, each, 1, 1)).astype(np.float32))
    phase = math.tau * chance
    if manner.turns < 3.0:  # waves are those of neighbours
        phase = 0.15 * phase + phase[:, :1]
    angle = math.tau * manner.turns * length * along + phase
    first, second = unit(normal(count, 1, 1, 3), dim=3), unit(normal(count, 1, 1, 3), dim=3)
    curl = manner.curl * along.clamp(max=0.5) * 2.0 * (angle.sin() * first + angle.cos() * second)
    wild = 0.006 * normal(count, each, steps, 3).cumsum(dim=2)
    return guides[:, None] + offset * together + curl + wild
