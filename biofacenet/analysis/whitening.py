"""A method in photos in whose light a white is seen: pigments at their absolute level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition
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

__all__ = ["SITE", "WithWhite", "at_level", "beside_white", "forehead_of"]

SITE = ("forehead", "left_cheek", "right_cheek")
"""Regions at which the level is read: even, towards the viewer, without beards."""


FEWEST_PIXELS = 40
"""Of a forehead that tells the light on a face."""


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


def beside_white(method: Method, choice: WhiteChoice) -> Method:
    """A method that is told what white is, where that is asked for; else the method itself."""
    return WithWhite(method, choice) if choice.given else method


def at_level(result: Result, white: White) -> Result:
    """A result of a balanced photo, with its pigments at their absolute level.

    What another method finds beside it is brought to that level, too.

    Args:
        result: of a photo from `biofacenet.photos.white.balanced`.
        white: by which it was balanced.
    """
    own = _at_level(result, white)
    if result.beside is None:
        return own
    other = _at_level(replace(result.beside, beside=result), white)
    return replace(own, beside=replace(other, beside=replace(own, beside=None)))


def forehead_of(result: Result) -> Tensor:
    """(1, 1, H, W), more than 0.5 on the forehead, which faces the viewer; else where the level is read."""
    return _forehead_of(regions_of(result).masks)


def _forehead_of(masks: Mapping[str, Tensor]) -> Tensor:
    forehead = masks["forehead"]
    return forehead if float(forehead.sum()) >= FEWEST_PIXELS else _site_of(masks)


def _site_of(masks: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([masks[name] for name in SITE]).amax(dim=0)


def _at_level(result: Result, white: White) -> Result:
    own, masks = result.decomposition, regions_of(result).masks
    found = absolute(
        _with_shape(result),
        result.image,
        _site_of(masks),
        _forehead_of(masks),
        linear=result.photo.linear,
        of_network=result.method.startswith("network"),
    )
    maps = replace(found.decomposition, normals=own.normals, parts=own.parts)
    return replace(
        result,
        decomposition=maps,
        reconstruction=maps.render(),
        white=white,
        absolute=found,
    )


def _with_shape(result: Result) -> Decomposition:
    """Maps with the normals and parts of what is beside them, where they have none themselves.

    The light on a face is told by its normals; see `biofacenet.fitting.absolute`.
    """
    own, other = result.decomposition, result.beside
    if own.normals is not None or other is None or other.decomposition.normals is None:
        return own
    size = result.image.shape[2:]
    told = other.decomposition.detach().map(
        lambda x: (
            F.interpolate(x, size=size, mode="bilinear", align_corners=False) if x.ndim == 4 else x
        )
    )
    told = told.renormalised()
    return replace(own, normals=told.normals, parts=told.parts)
