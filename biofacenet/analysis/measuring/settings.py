"""Settings of `measure`; to be read without importing what obeys them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import BioFaceNetError
from ...network.folders import find
from ...photos.white_choice import white_choice
from ...system.files import check_folder
from ...system.settings import option
from ...system.shares import share_of
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
    is a row that says why. A run that was stopped goes on when the command is given again.
    """

    photos: tuple[Path, ...] = option((), shown="none", metavar="PHOTO", positional=True)
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
    white: str = option("", shown="not known", metavar="auto|LEFT,TOP,WIDTH,HEIGHT")
    """What white is: a box of a white or grey card in each photo, in whole pixels; or auto, which looks for
    a grey card or a ColorChecker. Then levels of pigments are absolute."""
    reference: Path | None = option(None, shown="none", metavar="PHOTO")
    """A photo of the card under the same light and exposure, that --white is looked for in: in its middle
    when that is not given."""
    white_reflectance: str = option("", shown="white", metavar="SHARE|white|grey|paper|diffuser")
    """Share of light that the box returns; cards that are found know their own."""
    every: float = option(1.0, metavar="SECONDS")
    """Time between frames of a video that are measured; each has rows of its own."""
    sheets: bool = True
    """Draw a sheet for each face."""
    before: Path | None = option(None, shown="none", metavar="PHOTO")
    """Photo of a face to compare with that of --after, region by region, in differences.csv."""
    after: Path | None = option(None, shown="none", metavar="PHOTO")
    """The other photo."""
    pairs: Path | None = option(None, shown="none", metavar="CSV")
    """Table of pairs of photos to compare likewise: columns before and after, and if you like name."""
    repeats: Path | None = option(None, shown="none", metavar="FOLDER|CSV")
    """Repeated photos of people: a folder for each person, or a table with the columns person and photo.
    Their spread and agreement go to people.csv and repeats.csv."""
    repeatability: Path | None = option(None, shown="measured on 37 people", metavar="CSV")
    """The repeats.csv of one's own people and camera, by which differences are judged."""
    reliability: bool = False
    """Measure changed copies of each photo, too, and write reliability.csv: how far the same face moves
    under another exposure, white balance and side light."""
    share: str = option("", shown="all", metavar="NUMBER/COUNT|auto")
    """Measure a share of the photos, such as 3/8, into a folder of its own in OUT; auto takes that of
    this process in a Slurm array. Under torchrun each process takes its share."""
    join: tuple[Path, ...] = option((), shown="none", metavar="FOLDER")
    """Join the shares in these folders to one table, and measure nothing."""
    workers: int | None = option(None, shown="one for each processor")
    """Processes; the numbers are the same whatever their number."""
    device: str = option("auto", metavar="auto|cpu|cuda")
    """Where to compute."""
    overwrite: bool = False
    """Replace an earlier table of other photos or settings in OUT; the folder is numbered otherwise."""


def check(settings: Settings) -> None:
    """Raise BioFaceNetError unless these settings can be obeyed."""
    white_choice(settings.white, settings.reference, settings.white_reflectance)
    check_size(settings.size)
    check_resolution(settings.resolution)
    if not 0.0 < settings.every <= LONGEST_STEP:
        raise BioFaceNetError(
            f"every {settings.every:g}: expected above 0 to {LONGEST_STEP:g} seconds, such as 1"
        )
    _check_sources(settings)
    share_of(settings.share)
    if settings.workers is not None and settings.workers < 0:
        raise BioFaceNetError(f"workers {settings.workers}: expected 0 or more, such as 4")
    check_folder(settings.out)
    find(settings.model)


def _check_sources(settings: Settings) -> None:
    """Raise BioFaceNetError unless photos are named in one way."""
    for one, other in (("before", "after"), ("after", "before")):
        if getattr(settings, one) is not None and getattr(settings, other) is None:
            raise BioFaceNetError(f"--{one} needs --{other}; name both photos of the face")
    given = [
        name
        for name, value in (
            ("photos", settings.photos),
            ("--before and --after", settings.before),
            ("--pairs", settings.pairs),
            ("--repeats", settings.repeats),
            ("--join", settings.join),
        )
        if value
    ]
    if len(given) > 1:
        raise BioFaceNetError(f"{given[0]} together with {given[1]}; give one of the two")
    if settings.join and settings.share:
        raise BioFaceNetError(
            "--share together with --join; shares are joined when all are measured"
        )
