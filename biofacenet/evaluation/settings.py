"""Settings of an evaluation; to be read without importing what obeys them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..analysis.choices import check_resolution, check_size
from ..errors import BioFaceNetError, DataError
from ..network.folders import SHIPPED, find
from ..physics.names import SkinName
from ..system.files import check_folder
from ..system.numbering import beside_earlier, holds
from ..system.settings import option

__all__ = [
    "METHODS",
    "PHOTO_METHODS",
    "TITLES",
    "Settings",
    "beside_earlier_results",
    "check",
    "chosen_methods",
]

TITLES = {
    "network": "network",
    "untrained": "untrained network",
    "constant": "constant maps",
    "ica": "independent components",
    "fit": "fit",
    "indices": "plain indices of colour",
}
"""Methods by name, in words."""

METHODS = ("network", "untrained", "constant", "ica", "fit")

PHOTO_METHODS = ("network", "fit", "indices")
"""Of real photographs."""

PHOTO_DEFAULT = ("network", "indices")
"""Without fit, which takes several times as long as all else."""

COUNT = 500

EVALUATION_FILE, PEOPLE_FILE, CALIBRATION_FILE = (
    "evaluation.json",
    "people.json",
    "calibration.json",
)
"""What tells that OUT holds results: of known faces, of people's photographs, and of calibrating."""


@dataclass
class Settings:
    """Measure how far maps, light and camera are from the truth, beside baselines.

    On a fixed set of synthetic faces that no training set holds, or on your multispectral faces or
    polarised photo pairs. Leaves in OUT the tables (evaluation.json, evaluation.csv, skin_tones.csv,
    evaluation.md) and a sheet of the best, the median and the worst faces (cases.png).

    With --photos, real photographs of people: what must stay the same, what is implanted and must be
    found, and who is who. Leaves in OUT people.md, people.json, people.csv, each_person.csv and sheets of
    the best, the median and the worst person.

    With --calibrate, how often the 68 % intervals of maps hold the truth, and what brings them there by
    skin; a network keeps it in its config.json. Leaves calibration.json in OUT.
    """

    model: str = "small"
    """Network to measure: small, which comes with the package; a folder that training wrote; or
    owner/name of one on the Hugging Face hub."""
    methods: str | None = option(None, shown="all; network,indices with --photos")
    """What to compare, separated by commas: network, untrained (a network of the same size), constant
    (the best constant maps), ica (independent components of log RGB), fit; with --photos: network,
    indices (plain ones of colour), fit."""
    count: int = option(COUNT, metavar="FACES")
    """Faces of the synthetic set."""
    iset: Path | None = option(None, shown="the synthetic set", metavar="SCENES")
    """Instead: an ISET scene (.mat), or a folder of them. They are photographed under D65 by the mean
    camera; the truth is what the skin model makes of their spectra."""
    polarised: Path | None = option(None, shown="the synthetic set", metavar="FOLDER")
    """Instead: a folder of photo pairs, NAME_diffuse.* (crossed polarisers) and NAME_specular.*
    (parallel less crossed, in linear light)."""
    photos: Path | None = option(None, shown="the synthetic set", metavar="FOLDER")
    """Instead: a folder of photographs of people, with people.csv (id, group) and landmarks.csv; the
    documentation's page on evaluation says more."""
    people: str = option("", shown="all", metavar="IDS")
    """Of --photos: only these ids, separated by commas, or a text file (.txt) with an id a line."""
    without: str = option("", shown="nobody", metavar="IDS")
    """Of --photos: all but these, such as those that a network was trained on."""
    size: int = 96
    """Side of the images that are looked at with --photos, in pixels, a multiple of 16."""
    resolution: int | None = option(None, shown="as --size", metavar="SIDE")
    """Longer side of the maps that are measured with --photos, in pixels, where it is larger than --size:
    fine contrast of the photos is then shared out among a network's maps, as predict does."""
    skin: SkinName | None = option(None, shown="of the network")
    """Constants of the skin model of the synthetic faces, which maps must be of to be compared; those of
    the network when not given."""
    training_faces: int = 200
    """Faces of the training distribution that constant and ica know the statistics of."""
    calibrate: bool = False
    """Instead: measure how far intervals are right on COUNT synthetic faces that nobody trained on, store
    it with the network, and try it on as many others. --methods fit measures fitting, and stores
    nothing."""
    out: Path = Path("evaluation")
    """Folder for tables and pictures."""
    cache: Path = Path("data/evaluation")
    """Folder in which the synthetic faces are kept, so that they are made once."""
    device: str = option("auto", metavar="auto|cpu|cuda")
    """Where to compute."""
    overwrite: bool = False
    """Replace earlier results of the same kind in OUT; the folder is numbered otherwise."""


def check(settings: Settings) -> None:
    """Raise BioFaceNetError where a setting is out of range, or what it names is not there."""
    names = chosen_methods(settings.methods, photos=settings.photos is not None)
    if settings.count < 1:
        raise BioFaceNetError(f"--count must be at least 1, got {settings.count}")
    if settings.training_faces < 1:
        raise BioFaceNetError(f"--training-faces must be at least 1, got {settings.training_faces}")
    sets = {"--iset": settings.iset, "--polarised": settings.polarised, "--photos": settings.photos}
    named = [name for name, folder in sets.items() if folder]
    if len(named) > 1:
        raise BioFaceNetError(f"{' and '.join(named)} are two sets; evaluate one at a time")
    if settings.calibrate:
        _check_calibrated(settings, named)
    _check_photos(settings)
    if settings.iset is not None and not settings.iset.exists():
        raise DataError(
            f"{settings.iset}: no such file or folder; expected an ISET scene (.mat), or a folder of them"
        )
    if settings.polarised is not None and not settings.polarised.is_dir():
        raise DataError(
            f"{settings.polarised}: no such folder; expected one with NAME_diffuse.* beside "
            "NAME_specular.*"
        )
    check_folder(settings.out)
    if "network" in names:
        find(settings.model)


def beside_earlier_results(settings: Settings) -> Settings:
    """The same with another folder where OUT holds results of this kind, which stay; says so in a line."""
    kind = EVALUATION_FILE
    if settings.photos is not None:
        kind = PEOPLE_FILE
    elif settings.calibrate:
        kind = CALIBRATION_FILE
    out = beside_earlier(settings.out, holds([kind]), overwrite=settings.overwrite)
    return replace(settings, out=out)


CALIBRATED = ("network", "fit")
"""Methods whose intervals can be calibrated."""

LEAST_COUNT = 30
"""Faces that intervals can be calibrated on: ten in each group of skin."""


def _check_calibrated(settings: Settings, sets: list[str]) -> None:
    if sets:
        raise BioFaceNetError(
            f"--calibrate needs faces whose maps are known, the synthetic ones; leave {sets[0]} out"
        )
    if settings.methods is not None and settings.methods not in CALIBRATED:
        raise BioFaceNetError(
            f"--calibrate measures one method, {' or '.join(CALIBRATED)}, got {settings.methods!r}"
        )
    if settings.count < LEAST_COUNT:
        raise BioFaceNetError(
            f"--count {settings.count} with --calibrate: expected at least {LEAST_COUNT} faces"
        )
    own = settings.methods == "fit" or settings.model in SHIPPED
    if not own and not Path(settings.model).is_dir():
        raise BioFaceNetError(
            "--calibrate stores what it finds with the network; expected a folder that can be written to, "
            f"got {settings.model}: download it first"
        )


def _check_photos(settings: Settings) -> None:
    if settings.photos is None:
        for name in ("people", "without"):
            if getattr(settings, name):
                raise BioFaceNetError(f"--{name} chooses people of --photos FOLDER; name that too")
        if settings.resolution is not None:
            raise BioFaceNetError("--resolution is of the maps with --photos FOLDER; name that too")
        return
    check_size(settings.size)
    if settings.resolution is not None:
        check_resolution(settings.resolution)
    if not settings.photos.is_dir():
        raise DataError(
            f"{settings.photos}: no such folder; expected one with photos and people.csv (id, group)"
        )


def chosen_methods(text: str | None, *, photos: bool = False) -> list[str]:
    """The methods of a list separated by commas, each once.

    Args:
        text: the list; the usual methods when not given.
        photos: whether they are for real photographs of people.

    Raises:
        BioFaceNetError: one is unknown, or there is none.
    """
    known = PHOTO_METHODS if photos else METHODS
    if text is None:
        return list(PHOTO_DEFAULT if photos else METHODS)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"unknown method {unknown[0]!r}" if unknown else "no method named"
        where = " with --photos" if photos else ""
        raise BioFaceNetError(
            f"{what}; --methods takes {', '.join(known)}{where}, separated by commas"
        )
    return names
