"""Pictures as Pillow decodes them: 8 bits a channel, and grey of any depth."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from . import profiles
from .exif import is_adobe_rgb, orientation_of
from .iso_boxes import numbers_of
from .kinds import KindError
from .numbered_colour import ADOBE_RGB, Colour, by_numbers
from .png import Header, decode_deep
from .stored import Stored

__all__ = ["decoded"]

EMBEDDED, CALIBRATED = b"DEBM", b"\0\0\0\0"
"""Colour spaces of BMP (BITMAPV5HEADER), as they stand in the file."""


def decoded(image: Image.Image, stream: BinaryIO, header: Header | None) -> Stored:
    """A picture that Pillow opened, decoded.

    Args:
        image: as it was opened.
        stream: the file.
        header: of a PNG.

    Raises:
        KindError: a colour that is not converted; libraries raise others.
    """
    if header is not None and header.bits == 16:
        return _deep_png(image, stream, header)
    turned = orientation_of(image)
    several = getattr(image, "is_animated", False) and image.format in ANIMATED
    colour = _by_number(image, stream, header)  # reads the file, so before or after loading
    image.load()
    stored = _loaded(image, colour)
    stored.orientation = turned
    if several:
        stored.notes.insert(0, "the first of several frames")
    return stored


ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")


def _loaded(image: Image.Image, number: tuple[Colour | None, bool]) -> Stored:
    if image.mode == "F":
        return Stored(np.array(image, np.float32)[:, :, None], 1.0)
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.uint16)[:, :, None]
        return Stored(values, 65535.0, notes=["16 bits a channel"])
    colour, alpha = _colour_and_alpha(image)
    by_number, first = number
    profile, notes = b"" if first else image.info.get("icc_profile"), []
    if profile:
        by_number = None
        colour, note = profiles.to_srgb(colour, profile)
        notes += [note] if note else []
    if colour.mode not in ("L", "RGB"):
        notes.append(f"{colour.mode} converted to RGB")
        colour = colour.convert("RGB")
    stored = Stored(np.atleast_3d(np.asarray(colour)), 255.0, colour=by_number, notes=notes)
    if alpha is not None:
        stored.alpha = np.asarray(alpha)
    return stored


def _by_number(
    image: Image.Image, stream: BinaryIO, header: Header | None
) -> tuple[Colour | None, bool]:
    """Colour that is told by number, and whether it counts more than a profile."""
    if header is not None:
        return header.colour, header.has_numbers
    if image.format == "AVIF":
        place = stream.tell()
        stream.seek(0)
        numbers = numbers_of(stream.read())
        stream.seek(place)
        return (by_numbers(*numbers) if numbers and not _profiled(image) else None), False
    if image.format == "HEIF" and (said := image.info.get("nclx_profile")) and not _profiled(image):
        numbers = (said.get("color_primaries", 2), said.get("transfer_characteristics", 2))
        return by_numbers(*map(int, numbers)), False
    if image.format == "BMP":
        _check_bmp(stream)
    if image.mode in ("RGB", "RGBA") and not _profiled(image) and is_adobe_rgb(image):
        return ADOBE_RGB, False
    return None, False


def _profiled(image: Image.Image) -> bool:
    return bool(image.info.get("icc_profile"))


def _check_bmp(stream: BinaryIO) -> None:
    """Raise KindError where a BMP tells a colour of its own, which Pillow passes over."""
    place = stream.tell()
    stream.seek(0)
    head = stream.read(14 + 108)
    stream.seek(place)
    if len(head) < 122 or struct.unpack_from("<I", head, 14)[0] < 108:
        return
    space, ends = head[14 + 56 : 14 + 60], head[14 + 60 : 14 + 96]
    if space in (EMBEDDED, b"KNIL"):
        raise KindError("a BMP with a colour profile; expected sRGB, save it as PNG")
    if space == CALIBRATED and any(ends):  # most that say so leave them empty
        raise KindError("a BMP with primaries of its own; expected sRGB, save it as PNG")


def _colour_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Straight colour in a mode that a colour profile may speak of, and opacity."""
    if image.has_transparency_data:
        straight = image.convert("RGBA")
        grey = image.mode in ("L", "LA", "La")
        return straight.convert("L" if grey else "RGB"), straight.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK", "YCbCr"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _deep_png(image: Image.Image, stream: BinaryIO, header: Header) -> Stored:
    """PNG of 16 bits a channel."""
    # Asked for EXIF that is not in its header, Pillow would decode the whole picture.
    orientation = orientation_of(image) if "exif" in image.info else 1
    profile = b"" if header.has_numbers else image.info.get("icc_profile")
    image.verify()
    stream.seek(0)
    values = np.atleast_3d(decode_deep(stream.read()))
    stored = Stored(values, 65535.0, colour=header.colour, orientation=orientation)
    stored.notes.append("16 bits a channel")
    if values.shape[2] in (2, 4):
        stored.values, stored.alpha, stored.opaque = values[:, :, :-1], values[:, :, -1], 65535.0
    if profile:
        stored.values, note = profiles.to_srgb_deep(stored.values, profile)
        stored.notes += [note] if note else []
    return stored
