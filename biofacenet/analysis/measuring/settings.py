"""Settings of `measure`; to be read without importing what obeys them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import BioFaceNetError
from ...network.folders import find
from ...system.files import check_folder
from ...system.settings import option
from ..choices import check_resolution, check_size

__all__ = ["Settings", "check"]

LONGEST_STEP = 3600.0
"""Seconds."""


@dataclass
class Settings:
    """Measure skin in photos and videos: numbers for a table, with intervals and warnings.

    Leaves in OUT faces.csv, a row for each face and region: melanin and blood, indices, colour, spots,
    asymmetry, highlights, the light, and what to be careful about; codebook.md, which says what each
    column means; and a sheet for each face, which shows what was measured. A photo that cannot be used
    is a row that says why.
    """

    photos: tuple[Path, ...] = option(metavar="PHOTO", positional=True)
    """Photos (JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, HEIC or JXL), videos (MP4, MOV, MKV, WebM or AVI),
    folders of them, or patterns in quotes."""
    out: Path = Path("measurements")
    """Folder for the table, the codebook and the sheets."""
    model: str = "small"
    """Network to decompose with: small, which comes with the package; a folder that training wrote; or
    owner/name of one on the Hugging Face hub."""
    crop: str = option("face", metavar="face|whole|LEFT,TOP,SIZE")
    """Part of each photo: face finds it; whole is the central square; LEFT,TOP,SIZE is a square in
    pixels."""
    face: str = option("all", metavar="all|largest|NUMBER")
    """Which face of several; 1 is the largest. Of a video, one is followed."""
    size: int = 96
    """Longer side of the image that the network sees, in pixels; a multiple of 16."""
    resolution: int = 512
    """Longer side of the maps at most, in pixels; they are as large as the face is in the photo."""
    every: float = option(1.0, metavar="SECONDS")
    """Time between frames of a video that are measured; each has rows of its own."""
    sheets: bool = True
    """Draw a sheet for each face."""
    device: str = option("auto", metavar="auto|cpu|cuda")
    """Where to compute."""


def check(settings: Settings) -> None:
    """Raise BioFaceNetError unless these settings can be obeyed."""
    check_size(settings.size)
    check_resolution(settings.resolution)
    if not 0.0 < settings.every <= LONGEST_STEP:
        raise BioFaceNetError(
            f"every {settings.every:g}: expected above 0 to {LONGEST_STEP:g} seconds, such as 1"
        )
    check_folder(settings.out)
    find(settings.model)
