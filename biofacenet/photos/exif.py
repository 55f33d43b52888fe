"""What a photo's EXIF block says: which way is up, and what is worth keeping."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

__all__ = ["exif_block", "is_adobe_rgb", "orientation_of", "upright"]

POINTERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop)


OF_THE_FILE = (
    ExifTags.Base.ColorSpace,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.MakerNote,
)
"""EXIF tags that speak of the stored file, or that only its maker can read."""


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1..8; 1 where there is none that makes sense."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF spoils no photo
        return 1
    return orientation if orientation in range(1, 9) else 1


def is_adobe_rgb(image: Image.Image) -> bool:
    """Whether EXIF says Adobe RGB, as cameras do that write no profile.

    By the colour space "uncalibrated" with the interoperability index R03 (DCF 2.0), or by 2, which
    is in no standard but in files.
    """
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except Exception:  # damaged EXIF spoils no photo
        return False
    return space == 2 or (space == 0xFFFF and str(index).startswith("R03"))


def exif_block(stream: BinaryIO, formats: tuple[str, ...]) -> bytes:
    """The EXIF block of a file, for a picture that is upright, in sRGB and without a thumbnail."""
    try:
        with Image.open(stream, formats=formats) as image:
            if image.format == "TIFF" or "exif" not in image.info:
                return b""
            exif = image.getexif()
            kept = Image.Exif()
            for tag, value in exif.items():
                if tag not in (ExifTags.Base.Orientation, *POINTERS):
                    kept[tag] = value
            for pointer in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                inner = {
                    tag: value
                    for tag, value in exif.get_ifd(pointer).items()
                    if tag not in OF_THE_FILE
                }
                if inner:
                    kept[pointer] = inner
            return kept.tobytes() if len(kept) else b""
    except Exception:  # damaged EXIF spoils no photo
        return b""


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Values (H, W, C) turned and mirrored as an EXIF orientation says."""
    if orientation >= 5:
        values = values.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values
