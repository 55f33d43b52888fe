"""Hair, clothes, hats and glasses of a person, of either kind of head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .clothes import Clothes, draw_clothes
from .covers import Covers, draw_covers
from .draws import Draws
from .grown import GrownHair, grow_hair
from .hair import Hair, draw_hair
from .identity import Identity
from .view import View

__all__ = ["Dressed", "dress"]


@dataclass(frozen=True)
class Dressed:
    """What lies over a head, below it and behind it."""

    view: View
    """The head, with less light where hair keeps it."""
    hair: Hair | GrownHair
    on_head: Tensor
    """(S, S), bool, samples of the head that hair covers."""
    behind: Tensor
    """(S, S), bool, samples beside and behind the head with hair."""
    covers: Covers
    clothes: Clothes | None
    """Of a person with a head of a model; others have plain shoulders."""


def dress(draws: Draws, who: Identity, view: View) -> Dressed:
    """Draw what a person wears."""
    if who.modelled:
        covers = draw_covers(draws, who, view)
        hair = grow_hair(draws, who, view, covered=bool(covers.cloth.any()))
        view = hair.shading(view)
        clothes = draw_clothes(draws, view)
        return Dressed(view, hair, hair.on_head, hair.behind, covers, clothes)
    plain, covers = draw_hair(draws, who), draw_covers(draws, who, view)
    fine = draws.grain(view.x)
    on_head, behind = plain.on_head(view, fine), plain.behind(view, fine)
    return Dressed(view, plain, on_head, behind, covers, None)
