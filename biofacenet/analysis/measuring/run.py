"""Measure file by file, and write the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import BioFaceNetError
from ...network.unet import BioFaceNet
from ...photos.framing import Wanted
from ...system.console import console, progress
from ...system.device import choose_device
from ...system.files import check_folder, whole_file, write_csv
from ...system.names import complain, shown
from ..batch import result_folders
from ..methods import ByNetwork
from .codebook import codebook
from .files import Measurer
from .rows import Row, table
from .settings import Settings

__all__ = ["CODEBOOK", "SHEETS", "TABLE", "measure", "measurer_of", "write_tables"]

TABLE, CODEBOOK, SHEETS = "faces.csv", "codebook.md", "sheets"
"""What lies in the folder for results."""


def measurer_of(settings: Settings) -> Measurer:
    """What measures a file under these settings."""
    device = choose_device(settings.device)
    model = BioFaceNet.from_pretrained(settings.model).to(device)
    method = ByNetwork(model, settings.size, resolution=settings.resolution)
    # Not the device: rows are the same wherever they are computed.
    said = f"network {settings.model}, size {settings.size}"
    return Measurer(method, said, Wanted(settings.crop, settings.face), settings.every)


def measure(photos: Sequence[Path], settings: Settings) -> None:
    """Measure files and write the table, its codebook and sheets.

    Args:
        photos: files; one that cannot be used becomes a row that says why.
        settings: how, and where to.

    Raises:
        BioFaceNetError: no file is named, or results cannot be written.
        SystemExit: with status 2, after everything else, where a file could not be measured.
    """
    if not photos:
        raise BioFaceNetError(
            "no photo named; name one or more, such as portrait.jpg (--help shows all settings)"
        )
    folder = settings.out / SHEETS
    check_folder(folder)
    measurer = measurer_of(settings)
    rows: list[Row] = []
    failed = 0
    with progress("photos", len(photos), unit="photos", watched=True) as bar:
        for path, name in zip(photos, result_folders(folder, tuple(photos)), strict=True):
            bar.update(what=shown(path.name))
            found = measurer(path, name if settings.sheets else None)
            failed += _tell(found)
            rows.extend(found)
            bar.advance()
    write_tables(settings.out, rows)
    faces = sum(row["region"] == "skin" for row in rows)
    console.print(f"{shown(settings.out / TABLE)}: {faces} faces of {len(photos)} photos")
    if failed:
        console.print(
            f"{failed} of {len(photos)} photos could not be measured: see the column problem"
        )
        raise SystemExit(2)


def _tell(rows: Sequence[Row]) -> bool:
    """Complain of the problems of a file; whether there is one."""
    problems = [row for row in rows if row["problem"]]
    for row in problems:
        path, said = str(row["photo"]), str(row["problem"])
        complain(said if shown(path) in said else f"{path}: {said}")
    return bool(problems)


def write_tables(out: Path, rows: Sequence[Row]) -> None:
    """Write faces.csv and codebook.md, each whole or not at all."""
    write_csv(out / TABLE, table(rows))
    with whole_file(out / CODEBOOK) as temporary:
        temporary.write_text(codebook(), "utf-8")
