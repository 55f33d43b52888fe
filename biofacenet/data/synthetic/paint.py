"""Everything in a picture that is not skin, in layers: clothes, hair, eyes, mouth, hats, glasses."""

from __future__ import annotations

import torch
from torch import Tensor

from ...decomposition.parts import part_index
from .covers import Covers, cloth_of
from .draws import Draws
from .dressing import Dressed
from .eyes import eye_colour, mouth_colour
from .grown import GrownHair
from .hair import hair_colour
from .identity import Identity
from .light import Lights
from .parts import Parts
from .pigments import Pigments
from .shading import Shading, light_on

__all__ = ["label_person", "paint_person"]

HIDING = 0.6
"""How much of the skin a beard hides where it counts as hair."""


def label_person(parts: Parts, pigments: Pigments, covers: Covers, behind: Tensor) -> Tensor:
    """The part that each sample shows, 0 where only the background: (S, S), uint8.

    Args:
        parts: of the head, below its covers.
        pigments: of the skin, with its beard.
        covers: glasses, hat or scarf.
        behind: hair beside and behind the head.
    """
    labels = parts.labels()
    brows = parts.brows > 0.5
    labels.masked_fill_(parts.skin & (pigments.hairy > HIDING) & ~brows, part_index("hair"))
    labels.masked_fill_(behind & ~parts.cloth, part_index("hair"))
    labels.masked_fill_(covers.cloth, part_index("cloth"))
    labels.masked_fill_(covers.glasses, part_index("glasses"))
    return labels


def paint_person(
    draws: Draws,
    who: Identity,
    parts: Parts,
    worn: Dressed,
    shading: Shading,
    lights: Lights,
) -> Tensor:
    """Linear RGB of all of a person but skin, in the scale of the shading: (3, S, S).

    Args:
        draws: of this face.
        who: whose face.
        parts: of the head.
        worn: hair, clothes and covers, with what the samples see.
        shading: of the samples.
        lights: that shade them.
    """
    view, hair, covers, clothes = worn.view, worn.hair, worn.covers, worn.clothes
    fine = draws.grain(view.x)
    folds = (1.0 + 0.1 * fine) * shading.open
    picture = torch.zeros(3, *view.x.shape)
    rows = _rows(parts.cloth)
    below, above = folds, folds
    if clothes is not None:
        below = (1.0 + 0.05 * fine) * clothes.shade * light_on(clothes.normal, lights)
    if covers.worn is not None:
        above = (1.0 + 0.06 * fine) * covers.worn.shade * light_on(covers.worn.normal, lights)
    _put(picture, parts.cloth, rows, cloth_of(draws, view, rows, varied=who.modelled) * below[rows])
    if clothes is not None:
        outer = parts.cloth & clothes.outer
        _put(picture, outer, rows, cloth_of(draws, view, rows, varied=True) * below[rows])
    if isinstance(hair, GrownHair):
        strands = hair.colour(draws, who, lights)
        picture = torch.where((worn.behind | (hair.sheer > 0.0)) & ~parts.cloth, strands, picture)
    else:
        strands = hair_colour(draws, who, hair, view, shading, fine)
        # Behind the head it is dark, most of all beside the neck.
        depth = (0.75 + 0.35 * view.y).clamp(0.25, 0.8)
        picture = torch.where(worn.behind & ~parts.cloth, depth * strands, picture)
    picture = torch.where(parts.hair, strands, picture)
    rows = _rows(parts.eye)
    _put(picture, parts.eye, rows, eye_colour(draws, who, view, parts, shading, fine, rows))
    rows = _rows(parts.mouth)
    _put(picture, parts.mouth, rows, mouth_colour(draws, view, parts, shading, rows))
    rows = _rows(covers.cloth)
    _put(
        picture, covers.cloth, rows, cloth_of(draws, view, rows, varied=who.modelled) * above[rows]
    )
    return torch.where(covers.glasses, covers.glasses_colour * shading.unoccluded, picture)


def _rows(where: Tensor) -> slice:
    """The rows between the first and the last with any of (S, S): colours are computed there alone."""
    rows = where.any(dim=1).nonzero()[:, 0]
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) > 0 else slice(0, 0)


def _put(picture: Tensor, where: Tensor, rows: slice, colour: Tensor) -> None:
    """Paint some rows of a picture (3, S, S), where a part is, with colours (3, R, S)."""
    picture[:, rows] = torch.where(where[rows], colour, picture[:, rows])
