"""Photos and stored maps with their skin, shading, light or camera changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decomposition import Decomposition, Edit
from ..decomposition.maps import NO_NORMALS
from ..errors import DataError
from ..network.unet import BioFaceNet
from ..photos.boxes import Box, into_photo
from ..photos.framing import Wanted, cut
from ..photos.reading import Photo, read_photo
from ..physics.colour import linear_to_srgb, srgb_to_linear
from ..plotting.encoding import display, write_image, write_photo
from ..plotting.figures import edit_sheet
from ..system.device import plain_defaults
from ..system.files import whole_directory
from ..system.names import shown
from .areas import MARGIN, Frame, areas_of, frame_of
from .batch import new_folders, one_by_one
from .methods import Method
from .results import Result
from .retouching import Change, Retouch, change_of

__all__ = [
    "Doing",
    "apply",
    "edit_all",
    "edit_maps",
    "edit_photo",
    "paste",
    "retouch",
    "with_parts",
]

MAPS = ".npz"
"""Ending of a stored decomposition."""

TELLS_PARTS = "small"
"""The network that tells the parts of faces whose maps were found without."""

SEEN = 96
"""Longer side of what it sees, in pixels."""


@plain_defaults()
def apply(
    image: Tensor, before: Decomposition, after: Decomposition, mask: Tensor | None = None
) -> Tensor:
    """An image with the change of reflectance and shading that an edit makes; highlights stay in place.

    Each pixel, less its highlight, is multiplied by what the maps' rendering changes to: see
    `biofacenet.analysis.retouching`.

    Args:
        image: (B, 3, H, W), linear sRGB.
        before: maps, light and camera of the image.
        after: what they are changed to.
        mask: (B or 1, 1, H, W), 0..1, where the image changes; everywhere when not given.

    Returns:
        (B, 3, H, W), linear sRGB, not below 0.
    """
    return change_of(image, before, after, mask).of(image)


def paste(photo: Photo, box: Box, change: Change) -> Tensor:
    """The whole photo, (3, H, W), sRGB-encoded, with a change of a box: of any resolution."""
    parts = torch.cat((change.gain[0] - 1.0, change.offset[0]))
    found, rows, columns = into_photo(parts, box, photo.height, photo.width)
    pixels = photo.pixels.clone()
    linear = srgb_to_linear(pixels[:, rows, columns])
    edited = linear_to_srgb((linear * (1.0 + found[:3]) + found[3:]).clamp(0.0, 1.0))
    touched = found.abs().amax(dim=0) > 0.0  # what is not, stays to the last digit
    pixels[:, rows, columns] = torch.where(touched, edited, pixels[:, rows, columns])
    return pixels


def retouch(
    result: Result,
    *,
    network: BioFaceNet | None = None,
    others: Sequence[Box] = (),
    everywhere: bool = False,
    margin: float = MARGIN,
) -> Retouch:
    """A decomposed photo, ready to be edited.

    Args:
        result: of any method.
        network: that tells the parts of the face where the result does not; the small one that comes with
            the package when not given.
        others: squares of other faces in the photo, whose skin stays.
        everywhere: whether all of the square is taken for skin.
        margin: how far skin is followed beyond the square, in sides of it.

    Example:
        >>> face = retouch(decompose(network, "portrait.jpg"))  # doctest: +SKIP
        >>> tanned = face.edited(Edit(melanin="x2"))  # doctest: +SKIP
    """
    result = with_parts(result, network)
    maps = result.decomposition
    assert maps.parts is not None
    frame = frame_of(result.photo, result.part, *result.image.shape[2:], margin=margin)
    # The mask is the same with any margin: what is around tells what is hair and wall.
    wide = frame
    if margin < MARGIN:
        wide = frame_of(result.photo, result.part, *result.image.shape[2:])
    areas = areas_of(wide, maps.parts, result.photo, others).within(wide, frame)
    return Retouch(frame, maps, areas, everywhere=everywhere)


def with_parts(result: Result, network: BioFaceNet | None = None) -> Result:
    """A result that tells the parts of the face, by a network where it did not; see `retouch`."""
    maps = result.decomposition
    if maps.parts is not None:
        return result
    network = network or BioFaceNet.from_pretrained(TELLS_PARTS)
    device = network.image_mean.device
    image = cut(result.photo, result.part.box, SEEN).to(device, network.image_mean.dtype)
    with torch.no_grad():
        parts = network.decompose(image).parts
    if parts is None:
        return with_parts(result)
    size = maps.melanin.shape[2:]
    wide = F.interpolate(parts.float().cpu(), size=size, mode="bilinear", align_corners=False)
    return dataclasses.replace(result, decomposition=dataclasses.replace(maps, parts=wide))


def edit_photo(
    photo: Photo, results: Sequence[Result], edit: Edit, folder: Path, *, everywhere: bool = False
) -> None:
    """Write a photo with its faces changed, a sheet and the maps of each; all of them or none."""
    edited = photo
    with whole_directory(folder) as place:
        for number, result in enumerate(results, start=1):
            others = [other.part.box for other in results if other is not result]
            face = retouch(result, others=others, everywhere=everywhere)
            change = face.change(edit)
            edited = dataclasses.replace(edited, pixels=paste(edited, face.frame.box, change))
            ending = "" if number == 1 else f"-{number}"
            sheet = place / f"figure{ending}.png"
            seen = (..., *face.frame.on(photo))
            before, after = (x[seen] for x in (face.frame.picture, change.of(face.frame.picture)))
            edit_sheet(before, after, sheet, title=photo.path.name, note=edit.words())
            face.maps_under(edit).save(place / f"maps{ending}.npz")
        write_photo(edited, place / "edited.png")


def edit_maps(path: Path, edit: Edit, folder: Path, *, everywhere: bool = False) -> None:
    """Write a stored decomposition with its maps changed, and what they render to.

    Where the parts of the face are stored, pigments change where the edit says; else everywhere.
    """
    before = Decomposition.load(path)[0]
    if edit.light_from is not None and before.normals is None:
        raise DataError(f"{path}: {NO_NORMALS}")
    picture = before.render()
    if before.parts is None or everywhere:
        if edit.resolved().areas is not None:
            raise DataError(
                f"{path}: areas {edit.resolved().areas} are not known, as these maps hold no parts of the "
                "face; decompose with a network that tells them, such as small"
            )
        after = before.edit(edit)
    else:
        height, width = before.melanin.shape[2:]
        whole = Box(0, 0, width, tall=None if width == height else height)
        frame = Frame(whole, picture, slice(0, height), slice(0, width))
        after = Retouch(frame, before, areas_of(frame, before.parts)).maps_under(edit)
    rendered = after.render()
    with whole_directory(folder) as place:
        write_image(display(rendered[0]), place / "edited.png")
        sheet = place / "figure.png"
        edit_sheet(picture, rendered, sheet, title=path.name, note=edit.words())
        after.save(place / "maps.npz")


@dataclass(frozen=True)
class Doing:
    """How edits are done, whatever they change."""

    everywhere: bool = False
    """Not only where skin is."""
    overwrite: bool = False
    """Whether folders of earlier edits may be written to; new ones are numbered otherwise."""


def edit_all(
    sources: Sequence[Path],
    out: Path,
    method: Method,
    wanted: Wanted,
    edit: Edit,
    doing: Doing | None = None,
) -> None:
    """Edit photos and stored maps one after the other, a folder in `out` for each.

    Args:
        sources: files; one that cannot be used is told of, and the others are done all the same.
        out: folder for results.
        method: what decomposes a part of a photo.
        wanted: which parts of each photo.
        edit: what to change.
        doing: how.

    Raises:
        SystemExit: with status 2, after everything else, where a source could not be used.
    """
    doing = doing or Doing()

    def edited(path: Path, folder: Path) -> Iterator[str]:
        if path.suffix.lower() == MAPS:
            edit_maps(path, edit, folder, everywhere=doing.everywhere)
        else:
            photo = read_photo(path)
            results = [method(photo, part) for part in wanted.of(photo)]
            edit_photo(photo, results, edit, folder, everywhere=doing.everywhere)
        yield f"{shown(path)} -> {shown(folder / 'edited.png')}  ({edit.words()})"

    folders = new_folders(out, tuple(sources), overwrite=doing.overwrite)
    one_by_one(tuple(sources), folders, edited, what="sources")
