"""Photo pairs separated by polarisation: body reflection and surface reflection of one face.

With a polariser before the light and another before the camera, a crossed photo holds half of the body
reflection, and a parallel one the other half and the surface reflection. A folder holds

- ``NAME_diffuse.*``, the crossed photo,
- ``NAME_specular.*``, the parallel photo less the crossed one, in linear light,

in any format that photos are read in, at one exposure and of one size. (crossed + parallel) / 2, which
is diffuse + specular / 2, is what the camera would have seen at half the exposure without polarisers:
the photo that is decomposed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..photos.boxes import Box, crop
from ..photos.faces import find_face
from ..photos.reading import read_photo
from ..photos.skin_pixels import face_region, skin_mask
from ..physics.colour import linear_to_srgb, srgb_to_linear

__all__ = [
    "PolarisedFaces",
    "find_pairs",
    "polarised_faces",
]

LAYOUT = "NAME_diffuse.png beside NAME_specular.png, or of another photo format"

ENDS = ("_diffuse", "_specular")

LEAST_SKIN = 0.02
"""Share of the square that must be skin."""


@dataclass(frozen=True)
class PolarisedFaces:
    """Photos and the two reflections that they are the sum of; all (B, 3, H, W) linear sRGB."""

    name: str
    """What they are, in words."""
    image: Tensor
    diffuse: Tensor
    """Body reflection: shading times albedo."""
    specular: Tensor
    """Surface reflection."""
    mask: Tensor
    """(B, 1, H, W), 1 where to compare."""

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, part: slice) -> PolarisedFaces:
        return PolarisedFaces(
            self.name, self.image[part], self.diffuse[part], self.specular[part], self.mask[part]
        )


def find_pairs(folder: str | Path) -> list[tuple[Path, Path]]:
    """The pairs of a folder, sorted by name.

    Raises:
        DataError: there is no folder, no pair, or half of one is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with {LAYOUT}")
    halves: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        for end in ENDS:
            if path.stem.endswith(end) and path.is_file():
                pair = halves.setdefault(path.stem.removesuffix(end), {})
                if end in pair:
                    raise DataError(
                        f"{folder}: both {pair[end].name} and {path.name}; expected one of them"
                    )
                pair[end] = path
    if not halves:
        raise DataError(f"{folder}: no photo pair; expected {LAYOUT}")
    for name, pair in halves.items():
        for end in ENDS:
            if end not in pair:
                raise DataError(f"{folder}: {name}{end}.* is missing; expected {LAYOUT}")
    return [(pair[ENDS[0]], pair[ENDS[1]]) for pair in halves.values()]


def polarised_faces(
    folder: str | Path, *, size: int = 64, tick: Callable[[int], object] = lambda _: None
) -> PolarisedFaces:
    """The photo pairs of a folder.

    The face is found and framed as in photos (the central square, where none is found); the mask is
    `skin_mask`.

    Args:
        folder: see `find_pairs`.
        size: side of the images, a multiple of 16.
        tick: told of how many pairs are done.

    Raises:
        DataError: the folder holds no pairs, or the photos of one differ in size.
        PhotoError: a photo cannot be read.
    """
    parts = []
    for paths in find_pairs(folder):
        diffuse, specular = (read_photo(path).pixels for path in paths)
        if diffuse.shape != specular.shape:
            raise DataError(
                f"{paths[1]}: {specular.shape[2]} x {specular.shape[1]} pixels, and {paths[0].name} "
                f"{diffuse.shape[2]} x {diffuse.shape[1]}; expected one size"
            )
        whole = srgb_to_linear(diffuse) + srgb_to_linear(specular) / 2.0
        box = find_face(linear_to_srgb(whole))
        square = box or Box.central(*diffuse.shape[1:])
        body, surface = (srgb_to_linear(crop(p, square, size))[None] for p in (diffuse, specular))
        surface = surface / 2.0
        image = (body + surface).clamp(0.0, 1.0)
        region = None if box is None else face_region(size, size)
        mask = skin_mask(image, region=region)
        if mask.mean() < LEAST_SKIN:
            raise DataError(f"{paths[0]}: no skin found in this photo; expected a face")
        parts.append((image, body, surface, mask))
        tick(1)
    joined: list[Any] = [torch.cat(tensors) for tensors in zip(*parts, strict=True)]
    return PolarisedFaces(
        f"{len(parts)} photo pairs of {size} x {size} pixels separated by polarisation", *joined
    )
