"""Hair of the head: which style, where it grows, how far it stands out, and its strands."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import Draws
from .identity import Identity
from .shading import Shading
from .shape import read_texture
from .view import View

__all__ = ["Hair", "draw_hair", "hair_colour"]

HEAD_WIDTH, HEAD_HEIGHT = 0.73, 1.12
"""Half the width of a head and how far its crown lies over its middle, in canonical units."""


@dataclass(frozen=True)
class Hair:
    """A style."""

    kind: str
    """bald, shaved, short, tied, long or curly"""
    crest: float
    """Height of the hairline in the middle, canonical."""
    drop: float
    """How far it falls toward the temples."""
    fringe: float
    """How far hair hangs into the forehead; 0 for none."""
    parting: float
    """Where a fringe parts, canonical x."""
    tip: float
    """Height of a sideburn's end."""
    volume: float
    """How far it stands out from the head."""
    length: float
    """Height, in the picture, that long hair reaches down to."""
    edge: Tensor
    """Textures of uneven edges, (1, 2, ..)."""

    @property
    def bald(self) -> bool:
        """Whether hair grows on the sides of the head alone."""
        return self.kind == "bald"

    def on_head(self, view: View, fine: Tensor) -> Tensor:
        """Samples of the head that hair covers: (S, S), bool."""
        x, y, z = view.surface.point
        ax, face = x.abs(), view.surface.hit & ~view.surface.neck
        free = face & ~view.surface.ear
        coarse, small = read_texture(self.edge, x, y)
        uneven = 0.015 * coarse + 0.01 * small + 0.006 * fine
        if self.bald:
            return free & (z < -0.05 + uneven) & (y > -0.2) & (y < 0.55 + uneven)
        line = self.crest - (ax / 0.72) ** 3 * self.drop + uneven
        if self.fringe > 0.0:
            parted = ((x - self.parting).abs() / 0.25).clamp(max=1.0)
            line = line - self.fringe * parted * (1.0 - 0.5 * (ax / 0.7) ** 2) + 1.5 * uneven
        # The front edge draws back behind the ear toward its lower end: a sideburn has a tip.
        tip = ((self.tip + 0.2 - y) / 0.2).clamp(min=0.0)
        sides = (z < 0.08 + uneven - 0.22 * tip) & (y > -0.7)
        return (face & (y > line)) | (free & sides)

    def behind(self, view: View, fine: Tensor) -> Tensor:
        """Samples of the picture with hair beside, above and behind the head: (S, S), bool."""
        if self.kind in ("bald", "shaved"):
            return torch.zeros_like(view.surface.hit)
        shift = float(view.pose[0, 2]) * -0.25
        x, y = view.x - shift, view.y - 0.1
        wide, tall = HEAD_WIDTH + self.volume, HEAD_HEIGHT + self.volume
        coarse, small = read_texture(self.edge, view.x * 0.7, view.y * 0.7)
        rough = 0.07 if self.kind == "curly" else 0.03
        wave = rough * (0.6 * coarse + 0.4 * small) + 0.007 * fine
        crown = (x / wide).square() + (y / tall).square() < 1.0 + 2.0 * wave
        low = -0.35 if self.kind == "curly" else -0.05
        shown = crown & (y > low + wave)
        if self.kind in ("long", "curly") and self.length < -0.2:
            flare = wide + 0.14 * (0.1 - y).clamp(0.0, 1.0) + wave
            shown = shown | ((x.abs() < flare) & (y < 0.1) & (view.y > self.length + 2.0 * wave))
        head = view.surface.hit & ~view.surface.neck
        throat = view.surface.neck & (view.x - view.neck.middle).abs().lt(0.3)
        return shown & ~head & ~throat


def draw_hair(draws: Draws, who: Identity) -> Hair:
    """Draw a style that a person may wear."""
    man = who.masculine > 0.55
    odds = (
        {"bald": 0.1 + 0.15 * who.age, "shaved": 0.22, "short": 0.5, "long": 0.06, "curly": 0.1}
        if man
        else {
            "bald": 0.01,
            "shaved": 0.04,
            "short": 0.12,
            "tied": 0.25,
            "long": 0.43,
            "curly": 0.15,
        }
    )
    if who.modelled:  # as among people of any age
        odds |= {"bald": 0.03 + 0.12 * who.age, "shaved": 0.1} if man else {"shaved": 0.01}
    if who.child:
        odds.pop("bald")
    names = list(odds)
    total = sum(odds.values())
    kind = str(draws.rng.choice(names, p=[odds[name] / total for name in names]))
    volume = {"short": (0.02, 0.12), "tied": (0.0, 0.04), "long": (0.03, 0.16)}
    if who.modelled:
        volume |= {"short": (0.04, 0.2), "tied": (0.01, 0.07), "long": (0.06, 0.2)}
    thin, thick = volume.get(kind, (0.1, 0.36))
    edge = torch.cat((draws.field(14), draws.field(60)), dim=1)
    receding = 0.16 * who.age * draws.uniform(0.0, 1.0) if man else 0.0
    fringe = draws.uniform(0.08, 0.34) if kind in ("short", "long") and draws.chance(0.35) else 0.0
    return Hair(
        kind=kind,
        crest=draws.uniform(0.6, 0.76) + receding,
        drop=draws.uniform(0.2, 0.5),
        fringe=fringe,
        parting=draws.gaussian(0.25),
        tip=draws.uniform(-0.35, 0.1),
        volume=draws.uniform(thin, thick),
        length=draws.uniform(-1.4, -0.1),
        edge=edge,
    )


def hair_colour(
    draws: Draws, who: Identity, hair: Hair, view: View, shading: Shading, fine: Tensor
) -> Tensor:
    """Linear RGB of hair on all samples: (3, S, S)."""
    # Strands run from the crown outwards and hang down the sides.
    across = view.x / (1.35 - view.y.clamp(0.0, 1.1)).clamp(min=0.25)
    along = 0.12 * view.y + draws.uniform(-0.3, 0.3)
    wavy = 0.05 * draws.uniform(0.0, 1.0) * torch.sin(9.0 * view.y + draws.uniform(0.0, 6.0))
    fields = torch.cat((draws.field(26), draws.field(80)), dim=1)
    curly = hair.kind in ("curly", "shaved")
    places = (0.8 * view.x, 0.8 * view.y) if curly else (0.8 * (across + wavy), along)
    locks, strands = read_texture(fields, *places)
    run = fine if curly else 2.2 * F.avg_pool2d(fine[None, None], (9, 1), 1, (4, 0))[0, 0]
    lightness = (1.0 + 0.22 * locks + 0.25 * strands + 0.3 * run).clamp(0.25, 2.2)
    colour = torch.from_numpy(who.hair_colour).float()[:, None, None]
    if hair.kind == "shaved":
        colour = 0.7 * colour + 0.3 * torch.tensor([0.16, 0.1, 0.075])[:, None, None] * (
            0.25 + 0.75 * who.light
        )
    shine = torch.zeros_like(view.x)
    for source in shading.sources:
        half = source.direction + torch.tensor([0.0, 0.0, 1.0])
        half = half / half.norm().clamp(min=1e-3)
        # Highlights of fibres lie across them: they are as sharp as the cosine up and down alone.
        facing = half[1] * shading.normal[1] + half[2] * shading.normal[2].clamp(min=0.05)
        shine = shine + source.strength * facing.clamp(0.0, 1.0) ** 30
    gloss = draws.uniform(0.0, 0.07) * (0.3 if curly else 1.0)
    return colour * lightness * shading.open + gloss * shine * lightness
