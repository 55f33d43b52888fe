"""TIFF of any depth and layout, decoded by tifffile and imagecodecs; what values mean is computed here.

Sources: TIFF 6.0; Adobe Photoshop TIFF Technical Notes, for its white of CIELab.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image

from ..physics.colour import linear_to_srgb
from . import profiles
from .kinds import KindError
from .numbered_colour import adapted
from .stored import Stored

__all__ = ["MAGIC", "Page", "open_page"]

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Classic and Big TIFF, of both byte orders."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9

CHANNELS = {
    WHITE_IS_ZERO: 1,
    BLACK_IS_ZERO: 1,
    PALETTE: 1,
    RGB: 3,
    YCBCR: 3,
    CIELAB: 3,
    ICCLAB: 3,
    CMYK: 4,
}

OTHERS = {
    4: "of a mask and no picture",
    10: "of ITULab colour",
    32803: "of raw data of a camera",
    34892: "of raw data of a camera",
    32844: "of LogL colour",
    32845: "of LogLuv colour",
    51177: "of a depth map",
}
"""Photometric interpretations that are not converted."""

JPEG = 7

COMPRESSIONS = {
    1: "none",
    5: "LZW",
    JPEG: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
}
COMPRESSIONS |= {34925: "LZMA", 34926: "Zstandard", 50000: "Zstandard", 50001: "WebP"}

MOST_CHANNELS = 5  # CMYK and opacity

LARGEST_TILE = 2**24
"""Pixels of a tile, which may be larger than its picture."""

ASSOCIATED, STRAIGHT = 1, 2
"""Kinds of opacity (extra samples)."""

# Tags.
ORIENTATION, WHITE_POINT, COEFFICIENTS, INK_SET, REFERENCE, PROFILE = 274, 318, 529, 332, 532, 34675

D50 = (0.3457, 0.3585)


def _kind(what: str) -> KindError:
    return KindError(f"a TIFF file {what}; expected grey, RGB or CMYK, convert it")


class Page:
    """The first picture of a TIFF file, of which nothing but tags was read."""

    def __init__(self, page: Any, size: int) -> None:
        self._page = page
        self.width, self.height = int(page.imagewidth), int(page.imagelength)
        self._size = size

    def check(self) -> None:
        """Raise KindError where it is of a kind that is not read; says which."""
        page, kind = self._page, int(self._page.photometric)
        samples = int(page.samplesperpixel)
        if samples > MOST_CHANNELS:
            raise _kind(f"of {samples} channels")
        if kind not in CHANNELS:
            raise _kind(OTHERS.get(kind, f"of photometric interpretation {kind}"))
        if page.is_reduced:
            raise _kind("that begins with a thumbnail, as camera raw files do")
        if int(page.compression) not in COMPRESSIONS:
            raise _kind(f"compressed by method {int(page.compression)}")
        if samples < CHANNELS[kind]:
            raise _kind(f"of {samples} channels where its colour needs {CHANNELS[kind]}")
        if page.imagedepth != 1 or page.dtype is None or not isinstance(page.bitspersample, int):
            raise _kind(f"of {page.bitspersample} bits a channel of a rare layout")
        if page.dtype.kind == "f" and kind not in (BLACK_IS_ZERO, RGB):
            raise _kind("of floating point in a colour other than grey and RGB")
        if page.dtype.kind not in "buf" or page.bitspersample > (
            64 if page.dtype.kind == "f" else 32
        ):
            raise _kind(f"of numbers of the kind {page.dtype}, whose white is unknown")
        if kind == YCBCR and page.compression != JPEG and tuple(page.subsampling or ()) != (1, 1):
            raise _kind("of YCbCr colour of reduced resolution")
        if kind == CMYK and page.tags.valueof(INK_SET, 1) != 1:
            raise _kind("of printing inks other than CMYK")
        if kind in (CMYK, YCBCR, CIELAB, ICCLAB) and page.bitspersample not in DEPTHS[kind]:
            raise _kind(
                f"of {page.bitspersample} bits a channel of a colour other than grey and RGB"
            )
        self._check_parts()

    def _check_parts(self) -> None:
        """Strips and tiles must lie in the file: decoders would fill in black."""
        page = self._page
        area = int(page.tilewidth or 0) * int(page.tilelength or 0)
        if page.is_tiled and not 0 < area <= max(LARGEST_TILE, self.width * self.height):
            raise ValueError(f"damaged: tiles of {page.tilewidth} x {page.tilelength}")
        needed = math.prod(page.chunked)
        parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        if len(parts) < needed:
            raise ValueError(f"damaged: {len(parts)} of {needed} strips or tiles")
        for offset, count in parts[:needed]:
            whole = offset > 0 and count > 0 and offset + count <= self._size
            if not whole or (page.compression == JPEG and not self._ends(offset, count)):
                raise ValueError("cut short: a part of the picture is not in the file")

    def _ends(self, offset: int, count: int) -> bool:
        """Whether a JPEG stream has its end."""
        handle = self._page.parent.filehandle
        length = min(count, 16)  # some are padded
        handle.seek(offset + count - length)
        return b"\xff\xd9" in handle.read(length)

    def read(self) -> Stored:
        """The picture, decoded.

        Raises:
            ValueError: a part is damaged; libraries raise others too.
        """
        page, kind = self._page, int(self._page.photometric)
        raw, count = self._samples(), CHANNELS[kind]
        values, extra = raw[:, :, :count], page.extrasamples
        stored = Stored(values, 1.0 if raw.dtype.kind == "f" else 2.0**page.bitspersample - 1.0)
        stored.orientation = int(page.tags.valueof(ORIENTATION, 1) or 1)
        if stored.orientation not in range(1, 9):
            stored.orientation = 1
        for place, what in enumerate(extra[: raw.shape[2] - count]):
            if int(what) in (ASSOCIATED, STRAIGHT):
                stored.alpha, stored.opaque = raw[:, :, count + place], stored.white
                stored.multiplied = int(what) == ASSOCIATED
                break
        if raw.dtype.kind == "f":
            stored.notes.append("floating point")
        elif page.bitspersample != 8:
            stored.notes.append(f"{page.bitspersample} bits a channel")
        self._convert(stored, kind)
        return stored

    def _samples(self) -> np.ndarray:
        """As they are stored: (H, W, C)."""
        page = self._page
        separate = page.planarconfig == 2 and page.samplesperpixel > 1
        planes, depth = (page.samplesperpixel, 1) if separate else (1, page.samplesperpixel)
        kind = np.dtype(np.uint8) if page.dtype.kind == "b" else page.dtype.newbyteorder("=")
        found = np.empty((planes, self.height, self.width, depth), kind)
        for data, (plane, _, top, left, _), _ in page.segments(maxworkers=1):
            if data is None:
                raise ValueError("a part of the picture is missing")
            place = found[plane, top : top + data.shape[1], left : left + data.shape[2]]
            place[...] = data[0, : place.shape[0], : place.shape[1]]
        return found.transpose(1, 2, 3, 0)[:, :, 0] if separate else found[0]

    def _convert(self, stored: Stored, kind: int) -> None:
        """Colours to grey or RGB, and those to sRGB where there is a profile."""
        page, white = self._page, stored.white
        if kind == WHITE_IS_ZERO:
            stored.values = np.asarray(white, stored.values.dtype) - stored.values
        elif kind == PALETTE:
            table = np.asarray(page.colormap)
            # Some files count colours to 255, whatever the standard says.
            stored.white = 255.0 if table.max() < 256 else 65535.0
            stored.values = table.T[stored.values[:, :, 0]].astype(np.uint16)
            stored.notes.append("palette converted to RGB")
        elif kind in (CIELAB, ICCLAB):
            stored.values = _lab_to_srgb(stored.values, kind, page.tags.valueof(WHITE_POINT))
            stored.white = 1.0
            stored.notes.append("CIELab converted to RGB")
            return
        elif kind == YCBCR and page.compression != JPEG:
            stored.values = _ycbcr_to_rgb(
                stored.values, page.tags.valueof(COEFFICIENTS), page.tags.valueof(REFERENCE)
            )
            stored.notes.append("YCbCr converted to RGB")
        profile = page.tags.valueof(PROFILE)
        if kind == CMYK:
            _from_inks(stored, profile if isinstance(profile, bytes) else b"")
        elif isinstance(profile, bytes) and profile:
            profiles.through(stored, profile)


DEPTHS = {CMYK: (8, 16), YCBCR: (8,), CIELAB: (8, 16), ICCLAB: (8,)}
"""Bits a channel of colours that are converted."""


@contextmanager
def open_page(stream: BinaryIO) -> Iterator[Page]:
    """The first picture of a TIFF file."""
    import tifffile

    logger = logging.getLogger("tifffile")
    silent, logger.disabled = logger.disabled, True  # what matters is raised
    try:
        size = stream.seek(0, 2)
        stream.seek(0)
        with tifffile.TiffFile(stream) as file:
            yield Page(file.pages.first, size)
    finally:
        logger.disabled = silent


# Colours -------------------------------------------------------------------------------------


def _from_inks(stored: Stored, profile: bytes) -> None:
    """Amounts of ink, 0 for none, at 8 bits."""
    values = stored.values
    if values.dtype != np.uint8:
        values = (values.astype(np.float32) * (255.0 / stored.white)).round().astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(values), "CMYK")
    note = ""
    if profile:
        image, note = profiles.to_srgb(image, profile)
        stored.notes.append(note)
    if image.mode != "RGB":
        image = image.convert("RGB")
        stored.notes.append("CMYK converted to RGB")
    if stored.alpha is not None:
        stored.alpha, stored.opaque = stored.alpha.astype(np.float32) / stored.opaque, 1.0
    stored.values, stored.white = np.asarray(image), 255.0


def _lab_to_srgb(values: np.ndarray, kind: int, white: Any) -> np.ndarray:
    """CIELab as TIFF stores it, to sRGB-encoded values (H, W, 3), float32 (CIE 15)."""
    deep = values.dtype == np.uint16
    lightness = values[:, :, 0].astype(np.float32) * (100.0 / (65535.0 if deep else 255.0))
    chroma = values[:, :, 1:].astype(np.float32)
    if kind == CIELAB:
        chroma = values[:, :, 1:].astype(values.dtype).view(np.int16 if deep else np.int8)
        chroma = chroma.astype(np.float32) / (256.0 if deep else 1.0)
    else:
        chroma -= 128.0
    y = (lightness + 16.0) / 116.0
    cubes = np.stack([y + chroma[:, :, 0] / 500.0, y, y - chroma[:, :, 1] / 200.0])
    share = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29))
    place = D50
    if white is not None:
        x, y_white = white[0] / max(white[1], 1), white[2] / max(white[3], 1)
        if not (0.0 < x < 1.0 and 0.0 < y_white < 1.0):
            raise ValueError(f"damaged: a white point of {white}")
        place = (x, y_white)
    reference = np.array([place[0] / place[1], 1.0, (1.0 - sum(place)) / place[1]])
    matrix = adapted(place) * reference
    linear = torch.from_numpy(np.einsum("ij,jhw->hwi", matrix, share).astype(np.float32))
    return np.asarray(linear_to_srgb(linear))


def _ycbcr_to_rgb(values: np.ndarray, coefficients: Any, reference: Any) -> np.ndarray:
    """YCbCr of full resolution and 8 bits (TIFF 6.0, section 21), white at 255."""
    red, green, blue = (0.299, 0.587, 0.114)
    if coefficients is not None:
        red, green, blue = (coefficients[i] / max(coefficients[i + 1], 1) for i in (0, 2, 4))
    black, full = np.array([0.0, 128.0, 128.0]), np.array([255.0, 255.0, 255.0])
    if reference is not None:
        pairs = np.array(reference, float).reshape(-1, 2)
        black, full = (pairs[:, 0] / np.maximum(pairs[:, 1], 1)).reshape(3, 2).T
    if min(red, green, blue) <= 0.0 or (full <= black).any():
        raise ValueError("damaged: coefficients of YCbCr")
    codes = (values.astype(np.float32) - black) * (np.array([255.0, 127.0, 127.0]) / (full - black))
    y, cb, cr = codes.transpose(2, 0, 1)
    r, b = y + cr * (2.0 - 2.0 * red), y + cb * (2.0 - 2.0 * blue)
    rgb = np.stack([r, (y - blue * b - red * r) / green, b], axis=-1)
    return np.asarray(rgb.round().clip(0.0, 255.0).astype(np.uint8))
