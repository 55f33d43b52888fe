"""Hair that is not of a shell over the scalp: what hangs free, stands out, shows through gaps; and curls."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .features import smoothstep
from .hair import Hair
from .strands import Run, long_noise, shares
from .view import View

__all__ = ["CURTAIN_TOP", "LOCKS", "STRANDS", "curls", "curtain", "gaps", "stray_hairs"]

LOCKS, STRANDS = 16.0, 48.0
"""How many of them lie side by side in a canonical unit."""

STRAY = 0.06
"""How far single hairs stand out from the rest, in canonical units."""

CURTAIN_TOP = 0.35
"""Height in the picture from which long hair hangs free."""

HALF_HEAD = 0.8

GAP = 0.05
"""Half the width of gaps that more hair shows through, in canonical units."""


def gaps(cover: Tensor, head: Tensor, view: View) -> Tensor:
    """Where nothing lies between hair and hair, or hair and head: more of it is behind. (S, S), bool."""
    radius = max(1, round(GAP / abs(float(view.x[0, 1] - view.x[0, 0]))))

    def wider(mask: Tensor, beyond: float = 0.0) -> Tensor:
        around = F.pad(mask[None, None].float(), [radius] * 4, value=beyond)
        return F.max_pool2d(around, 2 * radius + 1, 1)[0, 0] > 0.5

    filled = ~wider(~wider(cover | head), beyond=1.0)
    return filled & wider(cover) & ~cover & ~head


def curtain(style: Hair, view: View, run: Run) -> tuple[Tensor, Tensor]:
    """Where long hair hangs beside and behind the neck, (S, S), bool, and noise of its strands."""
    if style.kind not in ("long", "curly") or style.length > -0.2:
        return torch.zeros_like(view.surface.hit), torch.zeros_like(view.x)
    shift = float(view.pose[0, 2]) * -0.25
    curly = style.kind == "curly"
    x = view.x - shift + run.wave * torch.sin(7.0 * view.y + run.offset[0])
    x = x + (0.05 if curly else 0.02) * long_noise(2.5 * x + run.offset[1], 3.0 * view.y)
    strands = long_noise(STRANDS * x, 2.5 * view.y)
    fine = long_noise(2.3 * STRANDS * x, 3.5 * view.y)
    chance = shares(0.75 * strands + 0.65 * fine)
    locks = 0.5 * long_noise(LOCKS * x, 1.5 * view.y) + 0.5 * strands + 0.45 * fine
    if curly:
        locks = curls(run, view.x, view.y)
        chance = shares(locks)
    wide = HALF_HEAD + style.volume + 0.12 * (0.1 - view.y).clamp(0.0, 1.0)
    wide = wide + 0.04 * long_noise(4.0 * view.y + run.offset[1], x.sign())
    hangs = x.abs() < wide - (0.1 if curly else 0.025) * chance
    hangs = hangs & (view.y < CURTAIN_TOP - 1.5 * (x.abs() - HALF_HEAD).clamp(min=0.0))
    ends = style.length + 0.05 * long_noise(5.0 * x + run.offset[0], torch.zeros_like(x))
    ends = ends + curly * 0.6 * (x.abs() - HALF_HEAD).clamp(min=0.0)  # round below
    reach = 0.14 if curly else 0.1
    hangs = hangs & (smoothstep(-reach, reach, view.y - ends) > 0.98 * chance)
    throat = view.surface.neck & (view.x - view.neck.middle).abs().lt(0.3)
    return hangs & ~throat, locks


def curls(run: Run, x: Tensor, y: Tensor) -> Tensor:
    """Noise of curls at places in the picture, about 1 in size: (S, S)."""
    x, y = x + run.offset[0], y + run.offset[1]
    warp = 0.035 * long_noise(7.0 * x, 7.0 * y), 0.035 * long_noise(7.0 * y, 7.0 * x + 9.0)
    x, y = x + warp[0], y + warp[1]
    found = torch.zeros_like(x)
    for fineness, share in ((11.0, 0.45), (26.0, 0.6), (60.0, 0.5)):
        # Of two lattices, turned, neither is seen.
        noise = torch.zeros_like(x)
        for angle in (0.05 * fineness, 0.05 * fineness + 0.8):
            across = math.cos(angle) * x + math.sin(angle) * y
            along = math.cos(angle) * y - math.sin(angle) * x
            noise = noise + math.sqrt(0.5) * long_noise(fineness * across, fineness * along)
        found = found + share * (1.1 - 1.6 * noise.abs())
    return found + 0.4 * long_noise(140.0 * x, 140.0 * y)


def stray_hairs(hair: Tensor, head: Tensor, view: View, run: Run, much: float) -> Tensor:
    """Single hairs that stand out beside the rest, as many as ``much`` says, 0..1: (S, S), bool."""
    radius = max(1, round(STRAY / abs(float(view.x[0, 1] - view.x[0, 0]))))
    around = F.avg_pool2d(hair[None, None].float(), 2 * radius + 1, 1, radius)[0, 0]
    x, y = view.x, view.y - 0.1
    turn, away = torch.atan2(y, x), (x.square() + y.square()).sqrt()
    strands = long_noise(110.0 * turn + run.offset[0], 9.0 * away)
    strands = 0.5 * strands + 0.8 * long_noise(300.0 * turn + run.offset[1], 14.0 * away)
    return ~hair & ~head & (much * around > shares(strands))
