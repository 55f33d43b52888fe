"""Hair on a head of a model: a shell over the scalp, made of strands whose edge no two share.

Shading of strands: what a fibre returns goes by the angle to its tangent (Kajiya and Kay, Rendering fur with
three dimensional textures, SIGGRAPH 1989), with a second, coloured highlight (Marschner et al., Light
scattering from human hair fibers, SIGGRAPH 2003).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...physics.lighting import sh_shading, unit
from .draws import Draws
from .features import smoothstep
from .hair import Hair, draw_hair
from .heads.shell import Shell
from .identity import Identity
from .light import Lights
from .loose_hair import CURTAIN_TOP, LOCKS, STRANDS, curls, curtain, gaps, stray_hairs
from .shape import read_texture
from .strands import Run, draw_run, long_noise, shares
from .view import View, ball_normals
from .wisp_samples import Wisps
from .wisps import lay_wisps

__all__ = ["GrownHair", "grow_hair"]

HIGHER = 0.06
"""How much higher than on a parametric head, whose forehead is low, a hairline lies, in canonical units."""

TEMPLE, NAPE = 0.24, -0.72
"""Canonical depth of the hairline at the temples, and height of its end at the back."""

FINE = 130.0
"""How many of the finest strands lie side by side in a canonical unit."""

FUZZ = -0.07, 0.08
"""Distances within the hair between which single hairs on skin become as many as can be."""

BESIDE = 0.25
"""Depth behind which hair hangs over the sides of a head."""

THIN = 0.12
"""How far from its edge hair grows as thick as it does, in canonical units."""

WHOLE = 0.99
"""Share of a sample from which on hair covers it."""

MOSTLY = 0.6
"""Share of hair around a place from which on there is more of it behind."""

BELOW = 0.65
"""Share of the light that reaches hair between and below wisps."""

IN_GAPS = 0.3
"""Share of the light in gaps that more hair shows through."""


@dataclass(frozen=True)
class GrownHair:
    """Hair, as the samples of a picture show it; (S, S) or (3, S, S)."""

    on_head: Tensor
    """bool, samples of the head that it covers."""
    behind: Tensor
    """bool, samples beside and behind the head with hair."""
    near: Tensor
    """0..1, how near to the hair's edge skin is, which gets less light there."""
    fuzz: Tensor
    """0..1, how much of the skin at the hair's edge single hairs hide."""
    sheer: Tensor
    """0..1, how much hair hides of other samples than those that it covers."""
    normal: Tensor
    """Unit normals, in camera coordinates."""
    tangent: Tensor
    """Unit, along the strands, in camera coordinates."""
    locks: Tensor
    """Noise of the locks and strands, about 1 in size."""
    open: Tensor
    """0..1, share of the light that is left between strands and below others."""
    shaved: bool
    dull: bool
    """Whether it is curly: its highlights lie everywhere."""

    def shading(self, view: View) -> View:
        """The view in which hair takes light from the skin beside it."""
        occlusion = view.surface.occlusion * (1.0 - 0.55 * self.near)
        return replace(view, surface=replace(view.surface, occlusion=occlusion))

    def colour(self, draws: Draws, who: Identity, lights: Lights) -> Tensor:
        """Linear RGB of hair on all samples: (3, S, S)."""
        base = torch.from_numpy(who.hair_colour).float()[:, None, None]
        if self.shaved:
            skin = torch.tensor([0.16, 0.1, 0.075])[:, None, None] * (0.25 + 0.75 * who.light)
            base = 0.7 * base + 0.3 * skin
        # Single strands differ in colour as in brightness: sun, grey hairs.
        varied = draws.uniform(0.1, 0.3) * (0.3 if self.shaved else 0.6 if self.dull else 1.0)
        base = base * torch.exp(varied * self.locks)
        gloss = draws.uniform(0.01, 0.06) * (0.25 if self.dull or self.shaved else 1.0)
        lit = sh_shading(self.normal[None], lights.ambient[None])[0, 0] * self.open
        white, coloured = torch.zeros_like(lit), torch.zeros_like(lit)
        for source in lights.sources:
            half = unit(source.direction + torch.tensor([0.0, 0.0, 1.0]))
            facing = torch.einsum("c,chw->hw", source.direction, self.normal)
            reaches = source.strength * self.open * ((facing + 0.25) / 1.25).clamp(0.0, 1.0)
            at_light = torch.einsum("c,chw->hw", source.direction, self.tangent)
            at_half = torch.einsum("c,chw->hw", half, self.tangent)
            lit = lit + reaches * (0.45 + 0.55 * (1.0 - at_light.square()).clamp(min=0.0).sqrt())
            # The scales of a hair tilt its mirror images: one toward the root, one away from it.
            white = white + reaches * (1.0 - (at_half + 0.08).square()).clamp(min=0.0) ** 40
            coloured = coloured + reaches * (1.0 - (at_half - 0.12).square()).clamp(min=0.0) ** 12
        broken = (1.0 + (0.2 if self.dull or self.shaved else 0.5) * self.locks).clamp(min=0.0)
        return base * (0.8 * lit + 0.45 * coloured * broken) + gloss * white * broken


def grow_hair(draws: Draws, who: Identity, view: View, *, covered: bool) -> GrownHair:
    """Draw hair on a head of a model; with a hat or scarf over it, ``covered``, it lies flat."""
    style = draw_hair(draws, who)
    man = who.masculine > 0.55
    kinds = {"tied": "back", "long": "parting", "curly": "curls", "shaved": "curls"}
    kind = kinds.get(style.kind, "crown")
    if style.kind == "short" and style.fringe == 0.0 and draws.chance(0.5):
        kind = "back" if draws.chance(0.5) else "parting"
    run = draw_run(draws, kind, style.parting)
    rise = {"bald": 0.02, "shaved": 0.012, "short": 0.03 + 0.9 * style.volume}
    rising = rise.get(style.kind, 0.03 + style.volume)
    rising = min(rising, 0.03) if covered else rising
    temple = TEMPLE + draws.gaussian(0.05) + (0.0 if man else 0.06)
    shells = view.shells
    if shells is None:
        raise ValueError("hair grows on heads of a model")
    places = shells.places
    inside = _inside(style, places, temple)
    risen = _risen(style, places, inside, rising, run)
    inside = inside.masked_fill(shells.ears, -1.0)
    over_ears = style.kind == "long" and not covered and draws.chance(0.7)
    if style.kind == "long" and draws.chance(0.7):  # to the shoulders or longer
        style = replace(style, length=draws.uniform(-1.8, -1.2))
    wisps = None
    if not covered:
        wisps = lay_wisps(draws, style, run, shells, inside, risen, view.pose)
    shell = shells.make(
        inside + (0.03 if wisps is None else 0.0), risen if wisps is None else 0.6 * risen
    )
    grown = _as_seen(style, run, shell, view, temple, covered=covered, over_ears=over_ears)
    return grown if wisps is None else _with(grown, wisps, view)


def _inside(style: Hair, point: Tensor, temple: float) -> Tensor:
    """How far within the hair canonical places (3, ..) are, about in canonical units; negative outside."""
    x, y, z = point
    ax = x.abs()
    if style.bald:
        return torch.minimum(torch.minimum(-0.05 - z, y + 0.45), 0.6 - y)
    line = style.crest + HIGHER - (ax / 0.78) ** 3 * style.drop
    if style.fringe > 0.0:
        parted = ((x - style.parting).abs() / 0.25).clamp(max=1.0)
        line = line - 1.3 * style.fringe * parted * (1.0 - 0.5 * (ax / 0.7) ** 2)
    front = y - line
    tip = ((style.tip + 0.2 - y) / 0.2).clamp(min=0.0)
    sides = temple - 0.3 * tip - z
    # Rounded where they meet.
    both = torch.maximum(front, sides) + 0.25 * (0.2 - (front - sides).abs()).clamp(min=0.0)
    return torch.minimum(both, y - NAPE)


def _risen(style: Hair, places: Tensor, inside: Tensor, rising: float, run: Run) -> Tensor:
    """How far the hair stands out at the vertices: (V,)."""
    across, along = run.places(places)
    rough = 0.3 if style.kind == "curly" else 0.25
    lumps = 0.6 * long_noise(5.0 * across, 4.0 * along)
    lumps = (lumps + 0.4 * long_noise(14.0 * across, 6.0 * along)).clamp(-1.8, 1.8)
    top = 1.0 + 0.35 * smoothstep(0.4, 1.1, places[1])
    risen = 0.004 + rising * top * smoothstep(0.0, 0.22, inside) * (1.0 + rough * lumps)
    return risen.clamp(min=0.004)


@dataclass(frozen=True)
class _Rooted:
    """Hair of the shell, (S, S) or (3, S, S)."""

    cover: Tensor
    """bool"""
    locks: Tensor
    tangent: Tensor
    open: Tensor


def _rooted(style: Hair, run: Run, shell: Shell, view: View) -> _Rooted:
    """Where the strands of a shell grow, and how they lie there."""
    shown = shell.hit
    point, normal = shell.point[:, shown], shell.normal[:, shown]
    across, along = run.places(point)
    strands = run.noise(across, along, STRANDS)
    fine = run.noise(across, along, FINE)
    single = run.noise(across, along, 3.0 * FINE)
    cropped, curly = style.kind in ("shaved", "bald"), style.kind == "curly"
    locks, turned = torch.zeros_like(view.x), torch.zeros(3, *view.x.shape)
    locks[shown] = 0.5 * run.noise(across, along, LOCKS) + 0.5 * strands + 0.45 * fine
    chance = shares(0.45 * strands + 0.5 * fine + 0.75 * single)
    if cropped:  # single hairs
        chance = shares(0.8 * long_noise(4.0 * FINE * across, 3.0 * FINE * along) + 0.6 * single)
    elif curly:
        locks = curls(run, view.x, view.y)
        chance = shares(locks)[shown]
    edge = shell.inside[shown] - 0.03 + 0.015 * read_texture(style.edge, *point[:2, None])[0, 0]
    grows = smoothstep(-0.01, 2.2 * THIN if cropped else THIN, edge) > 0.98 * chance
    # At its outline hair ends strand by strand.
    ragged = {"shaved": 0.0, "curly": 0.35}.get(style.kind, 0.18)
    cover = torch.zeros_like(shown)
    cover[shown] = grows & (normal[2] > ragged * chance**2)
    turned[:, shown] = view.pose @ run.direction(point, view.pose.T @ normal)
    free = torch.ones_like(view.x)
    free[shown] = 0.55 + 0.45 * smoothstep(-0.02, 0.12, edge)
    deep = {"shaved": 0.08, "curly": 0.22}.get(style.kind, 0.38)
    return _Rooted(cover, locks, turned, free * (1.0 + deep * locks.clamp(-2.0, 0.0)))


def _as_seen(
    style: Hair,
    run: Run,
    shell: Shell,
    view: View,
    temple: float,
    *,
    covered: bool,
    over_ears: bool,
) -> GrownHair:
    """Which samples show hair, and how it lies there."""
    surface, cropped = view.surface, style.kind in ("shaved", "bald")
    rooted = _rooted(style, run, shell, view)
    cover, free = rooted.cover, rooted.open
    head = surface.hit & ~surface.neck
    behind = cover & ~head
    if not cropped:
        open_gaps = gaps(cover, surface.hit, view)
        behind, free = behind | open_gaps, free.masked_fill(open_gaps, IN_GAPS)
    hanging, fall = curtain(style, view, run)
    if covered:
        hanging = torch.zeros_like(hanging)
    beside = surface.point[2] < BESIDE if over_ears else torch.zeros_like(head)
    on_ears = hanging & head & beside & (surface.point[1] < CURTAIN_TOP)
    hanging = (hanging & ~head | on_ears) & ~cover
    behind = behind | (hanging & ~head)
    if not cropped and covered:
        much = 0.4 if style.kind == "curly" else 0.16
        behind = behind | stray_hairs(cover | behind | hanging, surface.hit, view, run, much)
    below = smoothstep(-1.3, 0.3, view.y) * (1.0 + 0.25 * fall.clamp(-2.0, 0.0))
    free = torch.where(hanging, 0.25 + 0.55 * below, free)
    within = _inside(style, surface.point, temple)
    near = torch.exp(within.clamp(max=0.0) / 0.06) * head * ~surface.ear * (not cropped)
    fuzz = torch.zeros_like(view.x)
    if style.fringe == 0.0 and not covered:
        fuzz = smoothstep(*FUZZ, within) * (0.8 + 0.3 * _hairs(run, surface.point))
        fuzz = fuzz.clamp(0.0, 0.95) * head * ~surface.ear
    return GrownHair(
        on_head=(cover | hanging) & head,
        behind=behind,
        near=near,
        fuzz=fuzz,
        sheer=torch.zeros_like(view.x),
        normal=torch.where(cover, shell.normal, ball_normals(view)),
        tangent=torch.where(cover, rooted.tangent, torch.tensor([0.0, -1.0, 0.0])[:, None, None]),
        locks=torch.where(hanging, fall, rooted.locks),
        open=free.clamp(0.1, 1.0),
        shaved=style.kind == "shaved",
        dull=style.kind == "curly",
    )


def _with(grown: GrownHair, wisps: Wisps, view: View) -> GrownHair:
    """Hair with wisps over it."""
    head, whole = view.surface.hit & ~view.surface.neck, wisps.share > WHOLE
    behind = grown.behind | (whole & ~head)
    around = F.avg_pool2d((behind | head)[None, None].float(), 5, 1, 2)[0, 0]
    behind = behind | (~view.surface.hit & (around > MOSTLY))
    on_head, hit = grown.on_head | (whole & head), wisps.share > 0.0
    return replace(
        grown,
        on_head=on_head,
        behind=behind,
        sheer=torch.where(on_head | behind, 0.0, wisps.share),
        normal=torch.where(hit, wisps.normal, grown.normal),
        tangent=torch.where(hit, wisps.tangent, grown.tangent),
        locks=torch.where(hit, wisps.locks, grown.locks),
        open=torch.where(hit, wisps.open, BELOW * grown.open),
    )


def _hairs(run: Run, point: Tensor) -> Tensor:
    """Noise of single hairs at canonical places (3, S, S), about 1 in size: (S, S)."""
    across, along = run.places(point.reshape(3, -1))
    noise = 0.6 * run.noise(across, along, FINE) + 0.6 * run.noise(across, along, 3.0 * FINE)
    return noise.reshape(point.shape[1:])
