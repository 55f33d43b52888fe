"""What the methods see of a person: a photo and its changed copies, the other photos, pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...photos.boxes import Box, Part, crop
from ...photos.changes import as_jpeg
from ...photos.framing import choose_parts
from ...photos.reading import Photo, read_photo
from ...photos.skin_pixels import seen_skin
from ...physics.colour import srgb_to_linear
from ...preparation.people import Pair, PeopleFolder, Person, Shot
from .changes import SCALE, Implants, implanted
from .points import carried_over, found_points, inverse, moved
from .regions import Regions, regions_of
from .walls import before_walls

__all__ = ["Framed", "PersonViews", "PlainView", "Polarised", "views_of"]

PLAIN = "plain"


@dataclass(frozen=True)
class Framed:
    """A photo, and the square of it that is looked at."""

    photo: Photo
    part: Part
    points: np.ndarray
    """Landmarks (N, 2), in pixels of the photo."""


@dataclass(frozen=True)
class PlainView:
    """A photo as the methods see it."""

    image: Tensor
    """(1, 3, S, S), linear sRGB."""
    regions: Regions
    expression: str = ""


@dataclass(frozen=True)
class Polarised:
    """A photo and what is true of its two reflections."""

    image: Tensor
    """(1, 3, S, S), linear sRGB."""
    diffuse: Tensor
    """(1, 3, S, S), body reflection, at the photo's exposure."""
    mask: Tensor
    """(1, 1, S, S), 1 where skin is."""

    @property
    def specular(self) -> Tensor:
        """(1, 3, S, S), surface reflection."""
        return (self.image - self.diffuse).clamp(min=0.0)


@dataclass(frozen=True)
class PersonViews:
    """All that the methods see of a person."""

    person: Person
    plain: tuple[PlainView, ...]
    """One for each photo; changes are implanted in the first."""
    changed: dict[str, Tensor]
    """Changed copies of the first photo by their name in `changes.CHANGES`: (1, 3, S, S), linear sRGB."""
    implants: Implants | None
    """None without a photo."""
    back: dict[str, np.ndarray]
    """Of copies in another frame: the affine map from the first photo's pixels to theirs, (2, 3)."""
    polarised: tuple[Polarised, ...] = ()
    shrunk: float = 1.0
    """Pixels of what is seen for a pixel of the photo, at most 1."""

    def returned(self, name: str, values: Tensor) -> Tensor:
        """A map (1, C, S, S) of a changed copy, in the frame of the unchanged one."""
        if name == "mirror":
            return values.flip(3)
        if name not in self.back:
            return values
        planes = np.ascontiguousarray(values[0].permute(1, 2, 0).float().numpy())
        # OpenCV counts pixels by their middles.
        matrix = self.back[name].copy()
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        warped = cv2.warpAffine(
            planes,
            matrix,
            planes.shape[1::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return torch.from_numpy(np.atleast_3d(warped)).permute(2, 0, 1)[None]


def views_of(folder: PeopleFolder, person: Person, size: int) -> PersonViews:
    """Read a person's photos and change the first.

    Args:
        folder: which the person is of.
        person: whose photos.
        size: side of what the methods see.

    Raises:
        DataError: a photo has no landmarks, or they do not lie on the face.
        PhotoError: a photo cannot be read.
    """
    polarised = tuple(_polarised(pair, size) for pair in person.pairs)
    if not person.shots:
        return PersonViews(person, (), {}, None, {}, polarised)
    framed: list[Framed] = []
    for shot in _known_first(folder, person):
        framed.append(_framed(folder, shot, framed[0] if framed else None))
    by_path = {one.photo.path: one for one in framed}
    first, *others = (by_path[shot.path] for shot in person.shots)
    plain, changed, implants, back = _first(first, size)
    views = [replace(plain, expression=person.shots[0].expression)]
    for shot, other in zip(person.shots[1:], others, strict=True):
        image = srgb_to_linear(crop(other.photo.pixels, other.part.box, size))[None]
        views.append(PlainView(image, _regions(other, other.part.box, image), shot.expression))
    shrunk = min(1.0, size / first.part.box.size)
    return PersonViews(person, tuple(views), changed, implants, back, polarised, shrunk)


def _first(
    framed: Framed, size: int
) -> tuple[PlainView, dict[str, Tensor], Implants, dict[str, np.ndarray]]:
    """The unchanged photo, its changed copies, and how those in another frame lie."""
    photo, box = framed.photo, framed.part.box
    step = max(1, size // 16)
    # One canvas for the plain and the shifted square, so that their pixels are the same.
    wide = _widened(box, (size + 2 * step) / size)
    canvas = _cut(photo, wide, size + 2 * step)
    inner = slice(step, step + size)
    image = canvas[..., inner, inner].contiguous()
    to_photo = wide.to_photo(size + 2 * step, size + 2 * step)
    to_photo[:, 2] += to_photo[:, :2] @ (step, step)
    points = moved(inverse(to_photo), framed.points)
    regions = regions_of(points, image, str(photo.path))
    changed, implants = implanted(image, regions)
    changed |= before_walls(image, regions)
    changed["shift"] = canvas[..., :size, :size].contiguous()
    larger = _widened(box, SCALE)
    changed["scale"] = _cut(photo, larger, size)
    changed["jpeg"] = _cut(as_jpeg(photo), wide, size + 2 * step)[..., inner, inner].contiguous()
    shifted = np.array([[1.0, 0.0, step], [0.0, 1.0, step]])
    scaled = _joined(inverse(larger.to_photo(size, size)), to_photo)
    return PlainView(image, regions), changed, implants, {"shift": shifted, "scale": scaled}


def _cut(photo: Photo, box: Box, size: int) -> Tensor:
    return srgb_to_linear(crop(photo.pixels, box, size))[None]


def _widened(box: Box, factor: float) -> Box:
    """A square about the same middle."""
    size = round(factor * box.size)
    move = (box.size - size) / 2.0
    return replace(box, left=round(box.left + move), top=round(box.top + move), size=size)


def _joined(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """One affine map (2, 3) of two."""
    linear = after[:, :2] @ before[:, :2]
    return np.column_stack((linear, after[:, :2] @ before[:, 2] + after[:, 2]))


def _known_first(folder: PeopleFolder, person: Person) -> list[Shot]:
    """Photos whose landmarks are in the table before the others."""
    known = folder.landmarks or {}
    return sorted(person.shots, key=lambda shot: shot.path.stem not in known)


def _framed(folder: PeopleFolder, shot: Shot, known: Framed | None) -> Framed:
    photo = read_photo(shot.path)
    part = choose_parts(photo, face="largest")[0]
    if folder.landmarks is not None and shot.path.stem in folder.landmarks:
        points = folder.landmarks[shot.path.stem]
    elif folder.landmarks is not None and known is not None:
        points = carried_over(known.points, (known.photo, known.part.box), (photo, part.box))
    else:
        points = found_points(photo, part.box)
    return Framed(photo, part, points)


def _regions(framed: Framed, box: Box, image: Tensor) -> Regions:
    size = image.shape[-1]
    points = moved(inverse(box.to_photo(size, size)), framed.points)
    return regions_of(points, image, str(framed.photo.path))


def _polarised(pair: Pair, size: int) -> Polarised:
    photo, diffuse = (read_photo(path) for path in (pair.photo, pair.diffuse))
    if photo.pixels.shape != diffuse.pixels.shape:
        raise DataError(
            f"{pair.diffuse}: {diffuse.width} x {diffuse.height} pixels, and {pair.photo.name} "
            f"{photo.width} x {photo.height}; expected one size"
        )
    part = choose_parts(photo, face="largest")[0]
    image = _cut(photo, part.box, size)
    return Polarised(
        image=image,
        diffuse=pair.factor * _cut(diffuse, part.box, size),
        mask=seen_skin(image, part, skin="measured"),
    )
