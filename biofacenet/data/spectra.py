"""Measured reflectance spectra from a file.

The file has a column of wavelengths in nanometres, and then a column for each sample:

    wavelength, anna cheek, anna brow, ben cheek
    group,      light,      light,     dark
    400,        0.114,      0.121,     0.052
    410,        0.117,      0.125,     0.053
    ...

The row of groups may be left out.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..physics.spectra import wavelength_problem
from ..system.brief import Brief

__all__ = [
    "Spectra",
    "read_spectra",
]


@dataclass(frozen=True, repr=False)
class Spectra(Brief):
    """Measured reflectances."""

    wavelengths: Tensor
    """(L,), nm, ascending."""
    reflectances: Tensor
    """(N, L), 0..1."""
    names: tuple[str, ...]
    """Of the N samples."""
    groups: tuple[str, ...] | None = None
    """Of each sample, where the file has them."""


# Reading -------------------------------------------------------------------------------------


def read_spectra(path: str | Path, *, percent: bool = False) -> Spectra:
    """Read measured reflectances; the head of this module says how the file looks.

    Args:
        path: a CSV file with commas, semicolons or tabs.
        percent: reflectances are in percent.

    Raises:
        DataError: the file is missing or not of this form.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a CSV file of reflectance spectra")
    try:
        text = path.read_text("utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: not a text file ({error}); expected a CSV file") from error
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        rows = [
            (number, [cell.strip() for cell in row])
            for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=separator), 1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error})") from error
    if not rows or len(rows[0][1]) < 2:
        raise DataError(
            f"{path}: no samples; expected a heading with wavelength and a name for each sample"
        )
    if _number(rows[0][1][0]) is not None:
        raise DataError(f"{path}: line 1 holds numbers; expected a heading, wavelength and names")
    names = tuple(rows.pop(0)[1][1:])
    groups = None
    if rows and rows[0][1][0].lower() == "group":
        number, cells = rows.pop(0)
        if len(cells) != len(names) + 1 or not all(cells):
            raise DataError(
                f"{path}: line {number} has groups for {sum(map(bool, cells[1:]))} of {len(names)} samples"
            )
        groups = tuple(cells[1:])
    table = np.array([_row(path, number, cells, len(names) + 1) for number, cells in rows])
    if len(table) == 0:
        raise DataError(f"{path}: no spectra; expected a line for each wavelength")
    table = table[table[:, 0].argsort(kind="stable")]
    if problem := wavelength_problem(table[:, 0].tolist()):
        raise DataError(f"{path}: {problem}")
    values = table[:, 1:] / (100.0 if percent else 1.0)
    wrong = np.argwhere((values < 0.0) | (values > 1.5))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"{path}: sample {names[column]!r} has {table[row, column + 1]:g} at {table[row, 0]:g} nm; "
            f"expected reflectance in {'0..100' if percent else '0..1 (--percent reads percent)'}"
        )
    return Spectra(
        torch.from_numpy(table[:, 0].copy()), torch.from_numpy(values.T.copy()), names, groups
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _row(path: Path, number: int, cells: list[str], width: int) -> list[float]:
    """A line as numbers."""
    if len(cells) != width:
        raise DataError(f"{path}: line {number} has {len(cells)} columns; expected {width}")
    values = [_number(cell) for cell in cells]
    if None in values:
        wrong = cells[values.index(None)]
        raise DataError(f"{path}: line {number} holds {wrong!r}; expected a number")
    return [value for value in values if value is not None]
