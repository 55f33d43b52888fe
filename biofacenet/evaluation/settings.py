"""Settings of an evaluation; to be read without importing what obeys them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import BioFaceNetError, DataError
from ..network.folders import find
from ..physics.names import SkinName
from ..system.files import check_folder
from ..system.settings import option

__all__ = ["METHODS", "TITLES", "Settings", "check", "chosen_methods"]

TITLES = {
    "network": "network",
    "untrained": "untrained network",
    "constant": "constant maps",
    "ica": "independent components",
    "fit": "fit",
}
"""Methods by name, in words."""

METHODS = tuple(TITLES)
COUNT = 500


@dataclass
class Settings:
    """Measure how far maps, light and camera are from the truth, beside baselines.

    On a fixed set of synthetic faces that no training set holds, or on your multispectral faces or
    polarised photo pairs. Leaves in OUT the tables (evaluation.json, evaluation.csv, skin_tones.csv,
    evaluation.md) and a sheet of the best, the median and the worst faces (cases.png).
    """

    model: str = "small"
    """Network to measure: small, which comes with the package; a folder that training wrote; or
    owner/name of one on the Hugging Face hub."""
    methods: str = ",".join(METHODS)
    """What to compare, separated by commas: network, untrained (a network of the same size), constant
    (the best constant maps), ica (independent components of log RGB), fit."""
    count: int = option(COUNT, metavar="FACES")
    """Faces of the synthetic set."""
    iset: Path | None = option(None, shown="the synthetic set", metavar="SCENES")
    """Instead: an ISET scene (.mat), or a folder of them. They are photographed under D65 by the mean
    camera; the truth is what the skin model makes of their spectra."""
    polarised: Path | None = option(None, shown="the synthetic set", metavar="FOLDER")
    """Instead: a folder of photo pairs, NAME_diffuse.* (crossed polarisers) and NAME_specular.*
    (parallel less crossed, in linear light)."""
    skin: SkinName | None = option(None, shown="of the network")
    """Constants of the skin model of the synthetic faces, which maps must be of to be compared; those of
    the network when not given."""
    training_faces: int = 200
    """Faces of the training distribution that constant and ica know the statistics of."""
    out: Path = Path("evaluation")
    """Folder for tables and pictures."""
    cache: Path = Path("data/evaluation")
    """Folder in which the synthetic faces are kept, so that they are made once."""
    device: str = option("auto", metavar="auto|cpu|cuda")
    """Where to compute."""


def check(settings: Settings) -> None:
    """Raise BioFaceNetError where a setting is out of range, or what it names is not there."""
    names = chosen_methods(settings.methods)
    if settings.count < 1:
        raise BioFaceNetError(f"--count must be at least 1, got {settings.count}")
    if settings.training_faces < 1:
        raise BioFaceNetError(f"--training-faces must be at least 1, got {settings.training_faces}")
    if settings.iset and settings.polarised:
        raise BioFaceNetError("--iset and --polarised are two sets; evaluate one at a time")
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


def chosen_methods(text: str) -> list[str]:
    """The methods of a list separated by commas, each once.

    Raises:
        BioFaceNetError: one is unknown, or there is none.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        what = f"unknown method {unknown[0]!r}" if unknown else "no method named"
        raise BioFaceNetError(f"{what}; --methods takes {', '.join(METHODS)}, separated by commas")
    return names
