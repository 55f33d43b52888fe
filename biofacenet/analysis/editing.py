"""Photos and stored maps with their skin, shading, light or camera changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ..decomposition import Decomposition, Edit
from ..decomposition.maps import NO_NORMALS
from ..errors import DataError
from ..photos.boxes import Box, into_photo
from ..photos.framing import Wanted
from ..photos.reading import Photo, read_photo
from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..plotting.encoding import display, write_image, write_photo
from ..plotting.figures import edit_sheet
from ..system.device import plain_defaults
from ..system.files import whole_directory
from ..system.names import shown
from .batch import one_by_one, result_folders
from .methods import Method
from .results import Result

__all__ = [
    "apply",
    "combine",
    "edit_all",
    "edit_maps",
    "edit_photo",
    "paste",
    "soft",
]

MAPS = ".npz"
"""Ending of a stored decomposition."""


@plain_defaults()
def apply(
    image: Tensor, before: Decomposition, after: Decomposition, mask: Tensor | None = None
) -> Tensor:
    """An image with the difference that an edit makes; what the maps do not explain stays.

    Args:
        image: (B, 3, H, W), linear sRGB.
        before: maps, light and camera of the image.
        after: what they are changed to.
        mask: (B or 1, 1, H, W), 0..1, where the image changes; everywhere when not given.

    Returns:
        (B, 3, H, W), linear sRGB, not below 0.
    """
    return combine(image, before.render(), after.render(), mask)


@plain_defaults()
def combine(image: Tensor, before: Tensor, after: Tensor, mask: Tensor | None = None) -> Tensor:
    """The same from what the maps render to, before and after: (B, 3, H, W), linear sRGB.

    Where the maps explain a pixel badly, such as dark eyes and hair at the edge of the skin, the whole
    difference would leave less than no light: no pixel loses a larger share than the rendering does.
    """
    difference = after - before
    share = (after / before.clamp(min=1e-4)).clamp(0.0, 1.0) - 1.0
    if mask is not None:
        weight = mask.to(difference)
        difference, share = difference * weight, share * weight
    return torch.maximum(image + difference, image + image * share)


def soft(mask: Tensor) -> Tensor:
    """A mask (1, 1, H, W) that fades beyond its outline, and within itself towards its holes.

    Masks of skin end a little before the skin does, and a fade within them would leave a pale rim; holes
    are eyes and teeth, which keep their colour.
    """
    inside = (mask[0, 0].cpu().numpy() > 0.5).astype(np.uint8)
    if not inside.any():
        return torch.zeros_like(mask, device="cpu")
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(inside), outlines, -1, 1, cv2.FILLED)
    width = max(inside.shape[1] / 100, 1.0)  # whole so far beyond the outline, nothing twice as far
    fading = np.clip(2.0 - cv2.distanceTransform(1 - filled, cv2.DIST_L2, 5) / width, 0.0, 1.0)
    if (filled > inside).any():
        holes = (filled > inside).astype(np.uint8)
        fading *= np.clip(cv2.distanceTransform(1 - holes, cv2.DIST_L2, 5) / width, 0.0, 1.0)
    return torch.from_numpy(fading.astype(np.float32))[None, None]


def paste(photo: Photo, box: Box, difference: Tensor) -> Tensor:
    """The whole photo, (3, H, W), sRGB-encoded, with a difference (3, h, w) of linear light in a box."""
    part, rows, columns = into_photo(difference, box, photo.height, photo.width)
    pixels = photo.pixels.clone()
    linear = srgb_to_linear(pixels[:, rows, columns])
    pixels[:, rows, columns] = linear_to_srgb((linear + part).clamp(0.0, 1.0))
    return pixels


def edit_photo(
    photo: Photo, results: Sequence[Result], edit: Edit, folder: Path, *, everywhere: bool = False
) -> None:
    """Write a photo with its faces changed, a sheet and the maps of each; all of them or none."""
    edited = photo
    with whole_directory(folder) as place:
        for number, result in enumerate(results, start=1):
            before = result.decomposition
            mask = None if everywhere else soft(result.skin())
            image = apply(result.image, before, before.edit(edit), mask)
            pixels = paste(edited, result.part.box, (image - result.image)[0])
            edited = dataclasses.replace(edited, pixels=pixels)
            ending = "" if number == 1 else f"-{number}"
            sheet = place / f"figure{ending}.png"
            edit_sheet(result.image, image, sheet, title=photo.path.name, note=edit.words())
            before.edit(edit, mask=mask).save(place / f"maps{ending}.npz")
        write_photo(edited, place / "edited.png")


def edit_maps(path: Path, edit: Edit, folder: Path) -> None:
    """Write a stored decomposition with its maps changed, and what they render to."""
    before = Decomposition.load(path)[0]
    if edit.light_from is not None and before.normals is None:
        raise DataError(f"{path}: {NO_NORMALS}")
    after = before.edit(edit)
    rendered = after.render()
    with whole_directory(folder) as place:
        write_image(display(rendered[0]), place / "edited.png")
        sheet = place / "figure.png"
        edit_sheet(before.render(), rendered, sheet, title=path.name, note=edit.words())
        after.save(place / "maps.npz")


def edit_all(
    sources: Sequence[Path],
    out: Path,
    method: Method,
    wanted: Wanted,
    edit: Edit,
    *,
    everywhere: bool = False,
) -> None:
    """Edit photos and stored maps one after the other, a folder in `out` for each.

    Args:
        sources: files; one that cannot be used is told of, and the others are done all the same.
        out: folder for results.
        method: what decomposes a part of a photo.
        wanted: which parts of each photo.
        edit: what to change.
        everywhere: not only where skin is.

    Raises:
        SystemExit: with status 2, after everything else, where a source could not be used.
    """

    def edited(path: Path, folder: Path) -> Iterator[str]:
        if path.suffix.lower() == MAPS:
            edit_maps(path, edit, folder)
        else:
            photo = read_photo(path)
            results = [method(photo, part) for part in wanted.of(photo)]
            edit_photo(photo, results, edit, folder, everywhere=everywhere)
        yield f"{shown(path)} -> {shown(folder / 'edited.png')}  ({edit.words()})"

    one_by_one(tuple(sources), result_folders(out, tuple(sources)), edited, what="sources")
