"""Which part of a photo to look at, and its pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import BioFaceNetError, NoFaceError, PhotoError
from ..physics.colour import srgb_to_linear
from ..system.device import plain_defaults
from .boxes import Box, Part, crop, into_photo
from .faces import find_faces
from .reading import MIN_SIDE, Photo
from .skin_pixels import face_region

__all__ = [
    "Wanted",
    "choose_parts",
    "crop_text",
    "cut",
    "parse_crop",
    "parse_face",
    "region",
]

ALL, LARGEST = "all", "largest"
FACE, WHOLE, IMAGE = "face", "whole", "image"
NAMED_CROPS = (FACE, WHOLE, IMAGE)
NAMED_BOX = re.compile(
    r"(-?\d+),(-?\d+),(\d+)(?:x(\d+))?(?:@(-?\d+(?:\.\d+)?))?", re.ASCII
)  # LEFT,TOP,SIZE or LEFT,TOP,WIDTHxHEIGHT, and @DEGREES clockwise

# Choosing ------------------------------------------------------------------------------------


def parse_crop(text: str) -> Box | None:
    """The box that ``LEFT,TOP,SIZE`` means; None for ``face``, ``whole`` and ``image``.

    A rectangle is ``LEFT,TOP,WIDTHxHEIGHT``; ``@DEGREES`` behind either turns it clockwise about its
    centre. `crop_text` writes what this reads.

    Raises:
        BioFaceNetError: the text is none of these.
    """
    if text in NAMED_CROPS:
        return None
    found = NAMED_BOX.fullmatch(text.replace(" ", ""))
    if found is not None:
        left, top, width = (int(found[i]) for i in (1, 2, 3))
        tall = None if found[4] is None else int(found[4])
        angle = float(found[5] or 0.0)
        if min(width, width if tall is None else tall) >= MIN_SIDE and abs(angle) <= 360.0:
            return Box(left, top, width, angle, None if tall == width else tall)
    raise BioFaceNetError(
        f"crop {text!r}: expected face, whole, image, or LEFT,TOP,SIZE in whole pixels with SIZE "
        f"at least {MIN_SIDE}, such as 100,50,300 (100,50,300x400 for a rectangle, 100,50,300@12.5 "
        "turned clockwise)"
    )


def crop_text(box: Box) -> str:
    """A box as `parse_crop` reads it, whole: place, shape and angle."""
    shape = f"{box.width}" if box.tall is None else f"{box.width}x{box.tall}"
    turned = f"@{box.angle:.6f}".rstrip("0").rstrip(".") if box.angle else ""
    return f"{box.left},{box.top},{shape}{turned}"


def parse_face(text: str) -> int | None:
    """The number of a face, from 1; None for ``all``.

    Raises:
        BioFaceNetError: the text is none of ``all``, ``largest`` and a number from 1.
    """
    if text == ALL:
        return None
    if text == LARGEST:
        return 1
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise BioFaceNetError(
            f"face {text!r}: expected all, largest, or a number from 1, which is the largest"
        )
    return int(text)


@plain_defaults()
def choose_parts(photo: Photo, choice: str = FACE, face: str = ALL) -> list[Part]:
    """The parts of a photo to look at: its faces, the largest first, or what was named instead.

    Args:
        photo: where to look.
        choice: ``face``, ``whole`` (the central square), ``image`` (all of the photo) or
            ``LEFT,TOP,SIZE`` in pixels, see `parse_crop`.
        face: which one: ``all``, ``largest``, or its number by size, from 1.

    Returns:
        At least one part.

    Raises:
        BioFaceNetError: ``choice`` or ``face`` is none of these.
        PhotoError: there is no face, or there are fewer than named; or the named square misses the
            photo or is far larger than it.
    """
    number = parse_face(face)
    box = parse_crop(choice)
    if box is not None:
        across = -box.width < box.left < photo.width and -box.height < box.top < photo.height
        if not across or max(box.width, box.height) > 2 * max(photo.width, photo.height):
            raise PhotoError(
                f"{photo.path}: crop {choice} does not fit; expected a square on the photo of "
                f"{photo.width} x {photo.height} pixels, give LEFT,TOP,SIZE"
            )
        return [Part(box, "named", "square as named" if box.tall is None else "box as named")]
    if choice == IMAGE:
        return [Part(Box.whole(photo.height, photo.width), "whole", "whole image")]
    if choice == WHOLE:
        return [Part(Box.central(photo.height, photo.width), "central", "central square")]
    faces = find_faces(photo.pixels)
    if not faces:
        raise NoFaceError(
            f"{photo.path}: no face found; expected one to look at, name its square with --crop "
            "LEFT,TOP,SIZE, or take all of the photo with --whole-image"
        )
    if number is not None and number > len(faces):
        raise PhotoError(
            f"{photo.path}: no face {number}; expected a number up to {len(faces)}, as many as were "
            "found, name another with --face"
        )
    if len(faces) == 1:
        return [Part(faces[0], "face", "face found")]
    parts = [
        Part(box, "face", f"face {i + 1} of {len(faces)} found") for i, box in enumerate(faces)
    ]
    return parts if number is None else [parts[number - 1]]


@dataclass(frozen=True)
class Wanted:
    """Which parts of photos to look at, checked: see `choose_parts` for what the words mean."""

    crop: str = FACE
    face: str = ALL

    def __post_init__(self) -> None:
        parse_crop(self.crop)
        parse_face(self.face)

    def of(self, photo: Photo) -> list[Part]:
        """Those of a photo; at least one."""
        return choose_parts(photo, self.crop, self.face)


@plain_defaults()
def cut(photo: Photo, box: Box, size: int) -> Tensor:
    """The pixels of a box: (1, 3, H, W), linear sRGB, the longer side of `size` pixels.

    Raises:
        PhotoError: the box is so long that its shorter side would have less than 16.
    """
    longer = max(box.height, box.width)
    height, width = (round(side * size / longer) for side in (box.height, box.width))
    if min(height, width) < MIN_SIDE:
        raise PhotoError(
            f"{photo.path}: {box.width} x {box.height} pixels are too long a strip to look at as a "
            f"whole with size {size}; expected at least {MIN_SIDE} pixels for the shorter side, give "
            "a larger --size or a --crop"
        )
    return srgb_to_linear(crop(photo.pixels, box, (height, width))).unsqueeze(0)


@plain_defaults()
def region(photo: Photo, part: Part, height: int, width: int) -> Tensor | None:
    """Where mostly skin of faces is in a part: (1, 1, height, width), 0 or 1; None if not known."""
    if part.is_face:
        return face_region(height, width)
    if part.kind != "whole":
        return None
    faces = find_faces(photo.pixels)
    if not faces:
        return None
    plane = torch.zeros(photo.height, photo.width)
    for box in faces:
        middle, rows, columns = into_photo(face_region(64, 64)[0], box, photo.height, photo.width)
        plane[rows, columns] = torch.maximum(plane[rows, columns], middle[0])
    resized = cv2.resize(plane.numpy(), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy((resized > 0.5).astype(np.float32))[None, None]
