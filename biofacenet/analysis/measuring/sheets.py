"""The sheet of a measured face: what was measured, and the numbers."""

from __future__ import annotations

from pathlib import Path

from ...plotting.regions import RegionNumbers, regions_sheet
from .photo import MeasuredFace
from .regions import REGIONS, WHOLE

__all__ = ["write_sheet"]


def write_sheet(face: MeasuredFace, path: Path) -> None:
    """Write the sheet of a face as PNG: its regions on photo and maps, and their main numbers."""
    masks = {name: face.regions.masks[name] for name in REGIONS if name != WHOLE}
    numbers = [
        RegionNumbers(
            name=str(row["region"]),
            pixels=int(row.number("pixels")),
            melanosomes=(
                row.number("melanosomes_percent"),
                row.number("melanosomes_percent_low"),
                row.number("melanosomes_percent_high"),
            ),
            blood=(
                row.number("blood_percent"),
                row.number("blood_percent_low"),
                row.number("blood_percent_high"),
            ),
            ita=row.number("ita_degrees"),
            ita_class=str(row["ita_class"] or ""),
        )
        for row in face.rows
    ]
    regions_sheet(
        face.result.image,
        face.result.decomposition,
        masks,
        numbers,
        path,
        title=face.result.photo.path.name,
        note=str(face.rows[0]["warnings"] or "").replace(";", ", "),
    )
