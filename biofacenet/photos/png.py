"""PNG: what its chunks say of colour, and pixels of 16 bits, for which Pillow has no mode."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from .kinds import KindError
from .numbered_colour import Colour, by_chromaticities, by_numbers

__all__ = ["SIGNATURE", "Header", "decode_deep", "read_header"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MOST = 2**20
"""Bytes of chunks before the pixels that are looked at, besides those of profiles and notes."""

SHORT = {b"IHDR", b"cICP", b"sRGB", b"gAMA", b"cHRM"}


@dataclass(frozen=True)
class Header:
    """What stands before the pixels."""

    bits: int
    """Of a channel."""
    colour: Colour | None
    """By number, where the file says so; None also where that is sRGB."""
    has_numbers: bool
    """Whether `cICP` is there, which counts more than a profile."""


def read_header(stream: BinaryIO) -> Header | None:
    """The chunks before the pixels of a PNG; None of another file.

    Which of them counts: cICP, then the profile, sRGB, and gAMA with cHRM (PNG, third edition, 4.3).

    Raises:
        KindError: a colour that is not converted.
    """
    if stream.read(8) != SIGNATURE:
        return None
    chunks: dict[bytes, bytes] = {}
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"IDAT", b"IEND"):
            break
        if kind in SHORT and length <= 32:
            chunks.setdefault(kind, stream.read(length))
            stream.seek(4, 1)
        else:
            chunks.setdefault(kind, b"")
            stream.seek(length + 4, 1)
    bits = chunks.get(b"IHDR", b"")[8:9]
    return Header(bits[0] if bits else 0, _colour(chunks), b"cICP" in chunks)


def _colour(chunks: dict[bytes, bytes]) -> Colour | None:
    numbers = chunks.get(b"cICP", b"")
    if len(numbers) == 4:
        primaries, transfer, matrix, full = numbers
        if matrix != 0 or full != 1:
            raise KindError(
                "colour of PNG that is not RGB of full range; expected sRGB, export it as JPEG"
            )
        return by_numbers(primaries, transfer)
    if b"iCCP" in chunks or b"sRGB" in chunks:
        return None
    gamma, places = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    exponent = int.from_bytes(gamma, "big") / 1e5 if len(gamma) == 4 else None
    if len(places) == 32:
        white, *others = (
            (
                struct.unpack_from(">I", places, at)[0] / 1e5,
                struct.unpack_from(">I", places, at + 4)[0] / 1e5,
            )
            for at in range(0, 32, 8)
        )
        return by_chromaticities((*others, white), 1.0 / exponent if exponent else None)
    return by_chromaticities(None, 1.0 / exponent) if exponent else None


def decode_deep(content: bytes) -> np.ndarray:
    """Pixels of 16 bits a channel: (H, W) or (H, W, C), straight opacity last."""
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(content))
