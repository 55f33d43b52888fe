"""Settings of an evaluation; to be read without importing what obeys them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import BioFaceNetError
from ..physics.names import SkinName

__all__ = ["METHODS", "TITLES", "Settings", "chosen_methods"]

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
    """Name of a network that comes with the package, a folder that training wrote, or owner/name of one on
    the Hugging Face hub."""
    methods: str = ",".join(METHODS)
    """What to compare, separated by commas: network, untrained (a network of the same size), constant
    (the best constant maps), ica (independent components of log RGB), fit."""
    count: int = COUNT
    """KnownFaces of the synthetic set."""
    iset: Path | None = None
    """Instead: an ISET scene (.mat), or a folder of them. They are photographed under D65 by the mean
    camera; the truth is what the skin model makes of their spectra."""
    polarised: Path | None = None
    """Instead: a folder of photo pairs, NAME_diffuse.* (crossed polarisers) and NAME_specular.*
    (parallel less crossed, in linear light)."""
    skin: SkinName | None = None
    """Constants of the skin model of the synthetic faces, which maps must be of to be compared; those of
    the network when not given."""
    training_faces: int = 200
    """KnownFaces of the training distribution that constant and ica know the statistics of."""
    out: Path = Path("evaluation")
    """Folder for tables and pictures."""
    cache: Path = Path("data/evaluation")
    """Folder in which the synthetic faces are kept, so that they are made once."""
    device: str = "auto"
    """Where networks and fit compute: auto, cpu or cuda."""


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
