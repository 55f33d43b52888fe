"""A method in photos in whose light a white is seen: pigments at their absolute level."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from ..fitting.absolute import absolute
from ..photos.boxes import Part
from ..photos.framing import choose_parts
from ..photos.images import Picture, as_photo
from ..photos.reading import Photo
from ..photos.white import White, balanced, read_white
from ..photos.white_choice import WhiteChoice
from ..system.device import plain_defaults
from .measuring.regions import regions_of
from .methods import Method
from .results import Result

__all__ = ["SITE", "WithWhite", "at_level"]

SITE = ("forehead", "left_cheek", "right_cheek")
"""Regions at which the level is read: even, towards the viewer, without beards."""


@dataclass(frozen=True)
class WithWhite:
    """A method whose photos are told what white is.

    Example:
        >>> method = WithWhite(ByNetwork(model), WhiteChoice("40,60,120,80"))  # doctest: +SKIP
        >>> method("portrait.jpg").numbers.melanosomes.median  # doctest: +SKIP
        3.2
    """

    method: Method
    choice: WhiteChoice
    seen: dict[int, tuple[Photo, White]] = field(
        default_factory=dict, compare=False, repr=False, init=False
    )
    """The last photo and its white: several faces share them."""

    @plain_defaults()
    def __call__(self, photo: Picture, part: Part | None = None) -> Result:
        """What a part of a photo is made of; see `biofacenet.analysis.ByNetwork.__call__`.

        Raises:
            PhotoError: there is no white, as of `biofacenet.photos.white.read_white`, or the photo cannot be
                used.
        """
        photo = as_photo(photo)
        part = part or choose_parts(photo, face="largest")[0]
        if id(photo) not in self.seen:
            white = read_white(photo, self.choice)
            self.seen.clear()
            self.seen[id(photo)] = (photo, white)
        white = self.seen[id(photo)][1]
        return at_level(self.method(balanced(photo, white), part), white)


def at_level(result: Result, white: White) -> Result:
    """A result of a balanced photo, with its pigments at their absolute level.

    Args:
        result: of a photo from `biofacenet.photos.white.balanced`.
        white: by which it was balanced.
    """
    regions = regions_of(result)
    site = torch.stack([regions.masks[name] for name in SITE]).amax(dim=0)
    found = absolute(result.decomposition, result.image, site, linear=result.photo.linear)
    return replace(
        result,
        decomposition=found.decomposition,
        reconstruction=found.decomposition.render(),
        white=white,
        absolute=found,
    )
