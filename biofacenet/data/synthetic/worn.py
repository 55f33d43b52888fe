"""Hats and scarves on a head of a model: shells over it, lit as what they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .draws import Draws
from .features import smoothstep
from .heads.shell import Shell, ShellMaker
from .identity import Identity
from .strands import long_noise
from .view import View, ball_normals

__all__ = ["Worn", "draw_worn"]

DRAPE_END = -1.3
"""Height in the picture where a scarf ends on the shoulders."""

MARGIN = 0.1
"""How much farther than cloth a shell is laid, so that its border is not that of triangles."""


@dataclass(frozen=True)
class Worn:
    """A hat or a scarf, as the samples of a picture show it."""

    cloth: Tensor
    """(S, S), bool."""
    normal: Tensor
    """(3, S, S), unit, in camera coordinates."""
    shade: Tensor
    """(S, S), 0..1, share of the light that folds, hems and a brim leave."""


def draw_worn(draws: Draws, who: Identity, view: View) -> Worn | None:
    """Draw whether a person wears a hat or a scarf."""
    if view.shells is None:
        raise ValueError("hats and scarves lie on heads of a model")
    if draws.chance(0.08):
        return _hat(draws, view, view.shells)
    if who.masculine < 0.5 and draws.chance(0.1):
        return _scarf(draws, view, view.shells)
    return None


def _hat(draws: Draws, view: View, shells: ShellMaker) -> Worn:
    """A knitted or a stiff cap, with a brim or without: all above a line around the head."""
    x, y, z = shells.places
    line, tilt = draws.uniform(0.56, 0.78), draws.uniform(0.1, 0.35)
    knitted, volume = draws.chance(0.45), draws.uniform(0.04, 0.1)
    offset = draws.uniform(0.0, 40.0)
    inside = (y - line - tilt * (z - 0.8).clamp(max=0.0)).masked_fill(shells.ears, -1.0)
    top = draws.uniform(0.0, 0.14) * smoothstep(0.5, 1.15, y)
    lumps = 1.0 + 0.25 * long_noise(4.0 * x + offset, 4.0 * y)
    rise = volume * (0.4 + 0.6 * smoothstep(0.0, 0.12, inside)) * lumps + top
    shell = shells.make(inside + MARGIN, rise.clamp(min=0.01))
    hem = draws.uniform(0.08, 0.16)
    edge = shell.inside - MARGIN
    shade = 1.0 - 0.35 * torch.exp(-((edge - hem) / 0.018).square())  # where the hem ends
    if knitted:
        across = torch.atan2(shell.point[0], shell.point[2] + 0.2)
        ribs = torch.sin(draws.uniform(60.0, 110.0) * across)
        shade = shade * (0.88 + 0.12 * ribs)
    shade = shade * (0.7 + 0.3 * smoothstep(0.0, 0.03, edge))
    cloth, normal = shell.hit & (edge > 0.0), shell.normal
    if not knitted and draws.chance(0.6):
        brim, low = _brim(draws, view, shells, line)
        shade = torch.where(brim & ~cloth, low, shade)
        up = torch.tensor([0.0, 0.75, 0.66])[:, None, None]
        normal = torch.where(brim & ~cloth, up, normal)
        cloth = cloth | brim
    return Worn(cloth, normal, shade)


def _brim(draws: Draws, view: View, shells: ShellMaker, line: float) -> tuple[Tensor, Tensor]:
    """The peak of a cap or the brim of a hat, seen from ahead and a little below: where, and its shade."""
    all_round = draws.chance(0.2)
    wide, deep = (draws.uniform(1.0, 1.25), 0.14) if all_round else (draws.uniform(0.5, 0.62), 0.16)
    # A disc about the head's middle, level with the line: an ellipse in the picture.
    x, y, z = shells.places
    ahead = int((x.abs() + (y - line).abs() + 9.0 * (z < 0.0)).argmin())
    middle = torch.from_numpy(shells.vertices[ahead])
    if all_round:
        middle = middle - 0.7 * view.pose[:, 2]
    tilted = deep + 0.5 * abs(float(view.pose[1, 2]))
    across = (view.x - middle[0]) / wide
    down = (view.y - middle[1] - 0.2 * across.square() * deep) / tilted
    inside = 1.0 - across.square() - down.square()
    if not all_round:
        inside = torch.minimum(inside, 0.35 - down)
    below = (0.45 + 0.4 * smoothstep(-0.6, 0.4, down)) * (
        0.75 + 0.25 * smoothstep(0.0, 0.2, inside)
    )
    return inside > 0.0, below


def _scarf(draws: Draws, view: View, shells: ShellMaker) -> Worn:
    """A scarf around head and neck that leaves an oval of the face, in folds."""
    wide, tall = draws.uniform(0.58, 0.68), draws.uniform(0.8, 0.95)
    offset = draws.uniform(0.0, 40.0)

    def inside_of(place: Tensor) -> Tensor:
        x, y, z = place
        oval = ((x / wide).square() + ((y + 0.16) / tall).square()).sqrt() - 1.0
        return torch.maximum(0.6 * oval, -0.1 - z)

    places = shells.places
    inside = inside_of(places).masked_fill(shells.ears, -1.0)  # which what falls beside it covers
    x, y, z = places
    around = torch.atan2(x, z + 0.3)
    folds = long_noise(6.0 * y + 2.0 * around.abs() + offset, 1.2 * around)
    fine = long_noise(17.0 * y + 5.0 * around.abs() + offset, 2.0 * around)
    rise = 0.03 + 0.07 * smoothstep(0.0, 0.3, inside) + 0.02 * folds + 0.008 * fine
    shell = shells.make(inside + MARGIN, rise.clamp(min=0.012))
    shell = replace(shell, inside=shell.inside - MARGIN)
    within = inside_of(view.surface.point)
    drape = _drape(draws, view) & ~(view.surface.hit & (within < 0.0))
    drape = drape | (view.surface.hit & (within > 2.0 * MARGIN) & (view.y > DRAPE_END))
    edge = shell.inside
    shade = (0.6 + 0.4 * smoothstep(0.0, 0.05, edge)) * (1.0 + 0.12 * _again(shell, offset))
    cloth = shell.hit & (edge > 0.0)
    drape = (drape | view.surface.ear) & ~cloth
    falls = 0.9 + 0.1 * long_noise(5.0 * view.y + offset, 3.0 * view.x.abs())
    return Worn(
        cloth | drape,
        torch.where(drape, ball_normals(view, 1.05), shell.normal),
        torch.where(drape, falls, shade).clamp(0.2, 1.0),
    )


def _drape(draws: Draws, view: View) -> Tensor:
    """How far a scarf reaches in the picture, over ears and down to the shoulders: (S, S), bool."""
    out = draws.uniform(0.08, 0.16)
    shift = float(view.pose[0, 2]) * -0.2
    x, y = (view.x - shift).abs(), view.y
    crown = (x / (0.76 + out)).square() + ((y - 0.1) / (1.06 + out)).square() < 1.0
    below = x < 0.76 + out - 0.28 * (1.0 - smoothstep(-1.0, 0.1, y))
    return torch.where(y > 0.1, crown, below & (y > DRAPE_END))


def _again(shell: Shell, offset: float) -> Tensor:
    """Noise of folds at the samples of a shell: (S, S)."""
    x, y, z = shell.point
    around = torch.atan2(x, z + 0.3)
    return long_noise(6.0 * y + 2.0 * around.abs() + offset, 1.2 * around)
