"""From a part of a photo to its decomposition: by a network, or by fitting.

A method holds its own numbers, and is called with a photo and a part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from ..fitting.calibrated import of_fit
from ..fitting.enlarging import enlarge
from ..fitting.image import fit
from ..network.unet import BioFaceNet
from ..photos.boxes import Part
from ..photos.framing import choose_parts, cut, region
from ..photos.images import Picture, as_photo
from ..photos.reading import Photo
from ..photos.skin_pixels import seen_skin
from ..physics.skin import SkinName, skin_name
from ..system.device import plain_defaults
from .choices import check_fitted_size, check_refine, check_resolution, check_size, check_steps
from .results import Result

__all__ = ["Beside", "ByFitting", "ByNetwork", "Method", "decompose"]

Method: TypeAlias = Callable[[Photo, Part], Result]
"""What decomposes a part of a photo."""


@dataclass(frozen=True)
class ByNetwork:
    """Decomposes by a network.

    Example:
        >>> method = ByNetwork(BioFaceNet.from_pretrained("small"))
        >>> result = method("portrait.jpg")  # doctest: +SKIP
        >>> result.numbers.blood.words  # doctest: +SKIP
        '2.1 % (1.4 to 3.0)'
    """

    model: BioFaceNet
    """In evaluation mode; its device is used."""
    size: int = 96
    """Longer side of what the network sees, a multiple of 16."""
    refine: int = 0
    """Steps of `biofacenet.fitting.fit` from there, with light and camera found from the skin."""
    resolution: int | None = None
    """Longer side of the maps at most; as large as the part is in the photo up to there, and at least
    `size`. They are of `size` when not given."""

    def __post_init__(self) -> None:
        check_size(self.size)
        check_refine(self.refine)
        if self.resolution is not None:
            check_resolution(self.resolution)

    @plain_defaults()
    def __call__(self, photo: Picture, part: Part | None = None) -> Result:
        """What a part of a photo is made of.

        Args:
            photo: from `biofacenet.photos.read_photo`, or what `biofacenet.photos.as_photo` takes: a
                path, a Pillow image, an array or a tensor, sRGB-encoded.
            part: from `biofacenet.photos.choose_parts`; the largest face when not given.

        Raises:
            PhotoError: it cannot be used as a photo, or the part is too long a strip.
        """
        photo = as_photo(photo)
        part = part or choose_parts(photo, face="largest")[0]
        device = self.model.image_mean.device
        image = cut(photo, part.box, self.size).to(device)
        found = self.model.decompose(image.to(self.model.image_mean.dtype)).to(dtype=torch.float32)
        whole = max(part.box.height, part.box.width)
        longer = min(self.resolution or self.size, whole)
        if longer > self.size:
            large = cut(photo, part.box, longer).to(device)
            found, image = enlarge(found, image, large, shrunk=longer / whole), large
        mask = None
        if self.refine:
            where = region(photo, part, *image.shape[2:])
            mask = seen_skin(image, part, where, skin=found.skin)
            refined = fit(image, mask, start=found, steps=self.refine).decomposition
            found = replace(refined, normals=found.normals, parts=found.parts)
        return Result(
            photo=photo,
            part=part,
            image=image.cpu(),
            decomposition=found.to("cpu"),
            reconstruction=found.render().cpu(),
            mask=None if mask is None else mask.cpu(),
            calibration=of_fit(found.skin) if self.refine else self.model.calibration,
            method="network, refined" if self.refine else "network",
        )


@dataclass(frozen=True)
class ByFitting:
    """Decomposes without a network, by `biofacenet.fitting.fit`."""

    size: int = 256
    """Longer side of what is fitted, 16 to 2048."""
    steps: int = 80
    """Of each size, from coarse to fine."""
    skin: SkinName = "measured"
    """Which constants of the skin model to fit, ``published`` or ``measured``."""
    device: torch.device | str = "cpu"
    """Where to compute."""

    def __post_init__(self) -> None:
        check_fitted_size(self.size)
        check_steps(self.steps)
        skin_name(self.skin)

    @plain_defaults()
    def __call__(self, photo: Picture, part: Part | None = None) -> Result:
        """What a part of a photo is made of; see `ByNetwork.__call__`."""
        photo = as_photo(photo)
        part = part or choose_parts(photo, face="largest")[0]
        image = cut(photo, part.box, self.size)
        mask = seen_skin(image, part, region(photo, part, *image.shape[2:]), skin=self.skin)
        found = fit(image.to(self.device), mask.to(self.device), steps=self.steps, skin=self.skin)
        return Result(
            photo=photo,
            part=part,
            image=image,
            decomposition=found.decomposition.to("cpu"),
            reconstruction=found.reconstruction.cpu(),
            mask=mask,
            calibration=of_fit(self.skin),
            method="fit",
        )


@dataclass(frozen=True)
class Beside:
    """Decomposes by one method, and asks another whether it finds the same.

    The maps are the first's. The parts that either tells say which pixels are skin for the numbers of
    both.
    """

    method: Method
    other: Method

    def __call__(self, photo: Picture, part: Part | None = None) -> Result:
        """The first's result, with the other's beside it; see `ByNetwork.__call__`."""
        photo = as_photo(photo)
        part = part or choose_parts(photo, face="largest")[0]
        found, other = self.method(photo, part), self.other(photo, part)
        return replace(found, beside=replace(other, beside=replace(found, beside=None)))


def decompose(
    network: BioFaceNet,
    photo: Picture,
    part: Part | None = None,
    *,
    size: int = 96,
    refine: int = 0,
    resolution: int | None = None,
) -> Result:
    """What a network sees in the largest face of a photo, or in another part of it.

    The same as ``ByNetwork(network, ..)(photo, part)``, as `predict` does for each photo. For tensors of
    images that a face fills, in linear light, there is `BioFaceNet.decompose`.

    Args:
        network: in evaluation mode; its device is used.
        photo: a path, a Pillow image, an array or a tensor, sRGB-encoded: see
            `biofacenet.photos.as_photo`.
        part: from `biofacenet.photos.choose_parts`; the largest face when not given.
        size: as of `ByNetwork`.
        refine: as of `ByNetwork`.
        resolution: as of `ByNetwork`.

    Raises:
        PhotoError: it cannot be used as a photo.

    Example:
        >>> result = decompose(BioFaceNet.from_pretrained("small"), "portrait.jpg")  # doctest: +SKIP
        >>> result.decomposition.melanosomes().shape  # doctest: +SKIP
        torch.Size([1, 1, 96, 96])
    """
    return ByNetwork(network, size, refine, resolution)(photo, part)
